"""The classify page in a real browser over the real server."""

import base64
import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from e2e.conftest import Server, call, context_of
from e2e.writing import answers, write

pytestmark = pytest.mark.service("chromium")


def png(shade: int, *, side: int = 60) -> bytes:
    """A white picture with one upright bar, a 1, whose shade makes the file differ from others."""
    row = [255] * side
    row[side // 2 - 3 : side // 2 + 3] = [shade] * 6
    blank = bytes([0] + [255] * side)
    inked = bytes([0, *row])
    raw = blank * 8 + inked * (side - 16) + blank * 8

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_drawn_digit_is_answered_labelled_and_moves_the_accuracy(
    server: Server, page: Page
) -> None:
    """Draw a 7, see 7 without a reload, confirm it with Enter, and the accuracy appears; a label
    can be taken back.
    """
    page.goto(server.url)
    expect(page.locator("#accuracy")).to_contain_text("No data yet")
    write(page, "7")
    answers(page, "7")
    expect(page.locator("#card .verdict")).to_have_text("sure")
    expect(page.locator(".bars li")).to_have_count(3)
    assert (
        page.locator(".saw img").evaluate("image => image.decode().then(() => image.naturalWidth)")
        == 28
    )
    page.keyboard.press("Enter")
    expect(page.locator("#accuracy-words")).to_contain_text("Of 1,000 pictures like these")
    expect(page.locator("#accuracy .right3")).to_have_text("1")
    assert call(server, "/api/accuracy")["pairs"] == 1
    page.keyboard.press("u")
    expect(page.locator("#accuracy")).to_contain_text("No data yet")
    assert call(server, "/api/accuracy")["pairs"] == 0


def test_a_newcomer_can_try_a_sample(server: Server, page: Page) -> None:
    """Where nothing was written yet, one button shows the whole way; it goes with the first
    answer.
    """
    page.goto(server.url)
    page.get_by_role("button", name="Try a sample").click()
    answers(page, "7")
    expect(page.locator("#card .verdict")).to_have_text("sure")
    expect(page.locator("#sample")).to_have_count(0)


def test_a_predicted_0_is_shown_and_can_be_corrected_with_one_key(
    server: Server, page: Page
) -> None:
    """A 0 is an answer like any other: shown, confirmed, corrected."""
    page.goto(server.url)
    page.locator("#automatic").uncheck()
    write(page, "0")
    page.keyboard.press("Enter")
    answers(page, "0")
    expect(page.locator("#recent .line").first).to_contain_text("0")
    page.get_by_role("button", name="It was a 6").click()
    expect(page.locator(".truth .done")).to_contain_text("it was 6")
    expect(page.locator("#accuracy .wrong3")).to_have_attribute(
        "href", "/history?actual=6&predicted=0"
    )


def test_several_digits_are_read_and_confirmed(server: Server, page: Page) -> None:
    """1 and 7 side by side read 17; each is one item whose probabilities show, and the text can be
    typed; what is typed stays when the card is drawn again.
    """
    page.goto(server.url)
    page.locator("#automatic").uncheck()
    write(page, "1", left=-0.25, scale=0.6)
    write(page, "7", left=0.2, scale=0.6)
    page.locator("#read").click()
    answers(page, "17")
    expect(page.locator(".items button")).to_have_text(["1", "7"])
    page.locator(".items button").nth(1).click()
    expect(page.locator(".bars b").first).to_have_text("7")
    field = page.get_by_label("True text")
    field.fill("71")
    page.locator(".items button").nth(0).click()  # the card is drawn again
    expect(field).to_have_value("71")
    field.press("Enter")
    expect(page.locator(".truth .done")).to_contain_text("it was 71")


def test_a_finger_writes_and_the_page_stays(server: Server, browser: Browser) -> None:
    """Touch draws without scrolling the phone's page, a second finger adds nothing, and the answer
    comes.
    """
    context = context_of(browser, size="phone", is_mobile=True)
    page = context.new_page()
    page.goto(server.url)
    page.locator("#automatic").uncheck()
    page.evaluate("scrollTo(0, 40)")
    box = page.locator("#pad canvas").bounding_box()
    assert box is not None
    top = box["y"]
    left = box["x"]
    side = box["width"]
    path = [(left + 0.5 * side, top + side * (0.2 + 0.06 * step)) for step in range(11)]
    other = {"x": left + 0.1 * side, "y": top + 0.9 * side, "id": 2}
    session = context.new_cdp_session(page)
    for number, (x, y) in enumerate(path):
        kind = "touchMove" if number else "touchStart"
        points = [{"x": x, "y": y, "id": 1}, *([other] if number > 3 else [])]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("scrollY") == 40
    page.locator("#read").click()
    answers(page, "1")
    context.close()


def test_strokes_can_be_undone_and_the_sheet_cleared(server: Server, desktop: Page) -> None:
    """Undo takes one stroke, Clear all of them, and undo brings a cleared sheet back."""
    desktop.goto(server.url)
    desktop.locator("#automatic").uncheck()
    write(desktop, "4")
    desktop.keyboard.press("z")
    expect(desktop.locator("#read")).to_be_enabled()
    desktop.keyboard.press("c")
    expect(desktop.locator("#read")).to_be_disabled()
    desktop.keyboard.press("z")
    expect(desktop.locator("#read")).to_be_enabled()
    assert call(server, "/api/images")["images"] == []
    desktop.keyboard.press("c")  # ink that is left on the sheet would be stored


def test_another_models_answer_is_shown_without_what_it_saw(server: Server, desktop: Page) -> None:
    """After a change of model older answers stay, and the page does not ask for what only that
    model could show.
    """

    def older(route: Route) -> None:
        page = route.fetch().json()
        for image in page["images"]:
            image["reading"]["model"]["version"] = "0" * 12
        route.fulfill(json=page)

    desktop.goto(server.url)
    write(desktop, "7")
    answers(desktop, "7")
    expect(desktop.locator(".saw")).to_be_visible()
    desktop.keyboard.press("r")
    expect(desktop.locator("#recent li")).to_have_count(1)
    desktop.route("**/api/images?*", older)
    desktop.reload()
    answers(desktop, "7")
    expect(desktop.locator("#card")).to_contain_text("read by a different model")
    expect(desktop.locator(".saw, .why")).to_have_count(0)


def test_names_are_text_wherever_they_show(server: Server, desktop: Page) -> None:
    """A file name with markup and Unicode is shown as it is, on every page that names it."""
    name = "<img src=x onerror='document.title=1'>' & ñ 数 +.png"
    desktop.goto(server.url)
    files: list[Any] = [{"name": name, "mimeType": "image/png", "buffer": png(0)}]
    desktop.locator("#files").set_input_files(files)
    answers(desktop, "1")
    identity = call(server, "/api/images")["images"][0]["id"]
    for path in ("/", "/history", f"/images/{identity}"):
        desktop.goto(server.url + path)
        expect(desktop.locator("img[alt], .shot").first).to_be_visible()
        assert desktop.locator("img[src='x']").count() == 0
    expect(desktop.locator("table")).to_contain_text(name)


def test_another_tab_hears_of_everything(server: Server, browser: Browser) -> None:
    """What one tab uploads and labels shows in the other by itself."""
    context = context_of(browser)
    entry = context.new_page()
    other = context.new_page()
    other.goto(server.url)
    expect(other.locator("html")).to_have_attribute("data-live", "on")
    entry.goto(server.url)
    write(entry, "7")
    answers(entry, "7")
    entry.keyboard.press("Enter")
    answers(other, "7")
    expect(other.locator("#accuracy-words")).to_be_visible()
    context.close()


def test_pasted_pictures_are_read(server: Server, desktop: Page) -> None:
    """A picture on the clipboard is taken with one paste."""
    desktop.goto(server.url)
    expect(desktop.locator("#recent-empty")).to_be_visible()
    desktop.evaluate(
        """async (data) => {
          const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
          const blob = new Blob([bytes], { type: "image/png" });
          const transfer = new DataTransfer();
          transfer.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        base64.b64encode(png(0)).decode(),
    )
    answers(desktop, "1")


def test_first_paint_is_light_and_asks_nobody_else(server: Server, desktop: Page) -> None:
    """HTML, CSS and JavaScript of the first page are at most 60 KB as they travel, all from this
    server.
    """
    sizes: list[int] = []
    hosts: set[str] = set()
    desktop.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    desktop.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    desktop.goto(server.url, wait_until="load")
    expect(desktop.locator("#recent-empty")).to_be_visible()
    assert sum(sizes) <= 60_000
    assert hosts == {server.url.split("/")[2]}
