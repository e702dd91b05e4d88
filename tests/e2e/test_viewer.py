"""The page of an image in a real browser: looked at closely, corrected in place, left for
others.
"""

import urllib.request

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import pictures
from e2e.conftest import Server, call

pytestmark = pytest.mark.service("chromium")

SLOW = {"offline": False, "latency": 700, "downloadThroughput": -1, "uploadThroughput": -1}


def upload(server: Server, data: bytes, name: str) -> str:
    """The id of a picture, read."""
    request = urllib.request.Request(
        f"{server.url}/api/images?wait=20&name={name}", data=data, method="POST"
    )
    request.add_header("Content-Type", "image/png")
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.headers["Location"]).rpartition("/")[2]


def row_of(*strokes: list[tuple[int, int]], side: int = 1) -> bytes:
    """Digits side by side on one sheet."""
    sheet = Image.new("L", (280 * len(strokes), 280 * side), 255)
    for at, stroke in enumerate(strokes):
        sheet.paste(pictures.drawing(stroke), (280 * at, 0))
    return pictures.encoded(sheet)


@pytest.fixture
def image(server: Server) -> str:
    """An image that is read as 717."""
    return upload(server, row_of(pictures.SEVEN, pictures.ONE, pictures.SEVEN), "row.png")


def test_an_item_is_corrected_in_place(server: Server, page: Page, image: str) -> None:
    """A tap near a box chooses it and brings it into the middle; a digit corrects that item alone,
    and without a choice a digit says nothing of three.
    """
    page.goto(f"{server.url}/images/{image}")
    expect(page.locator("#viewer rect")).to_have_count(3)
    page.keyboard.press("4")
    expect(page.locator("#card .done")).to_have_count(0)
    box = page.locator("#viewer rect").nth(1).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] + 8, box["y"] + box["height"] / 2)
    expect(page.locator("#correction")).to_contain_text("Item 2 was read as 1")
    page.keyboard.press("4")
    expect(page.locator("#card .done")).to_contain_text("747")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#correction")).to_contain_text("Item 3")
    page.locator("#correction button").last.click()
    expect(page.locator("#card .done")).to_contain_text("it was 74.")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("1")
    expect(page.locator("#status")).to_have_text("Noted: 71")
    assert call(server, f"/api/images/{image}")["label"]["text"] == "71"


def test_a_picture_without_digits_is_named_in_words(server: Server, desktop: Page) -> None:
    """Its page and its tile say "not a digit", never the name in the records, and only once; all
    keys lie within the card.
    """
    zigzag = [(20, 140), (60, 40), (100, 240), (140, 40), (180, 240), (220, 40), (260, 140)]
    image = upload(server, row_of(zigzag, zigzag), "zigzag.png")
    assert call(server, f"/api/images/{image}")["reading"]["verdict"] == "not_a_digit"
    desktop.goto(f"{server.url}/images/{image}")
    expect(desktop.locator("#card .verdict")).to_have_text("not a digit")
    expect(desktop.locator("#card")).not_to_contain_text("not_a_digit")
    card = desktop.locator("#card").bounding_box()
    key = desktop.locator("#card .digits button").last.bounding_box()
    assert card
    assert key
    assert key["x"] + key["width"] < card["x"] + card["width"]
    desktop.goto(f"{server.url}/history")
    expect(desktop.locator("#gallery .line")).to_have_text("not a digit")


def test_a_digit_that_was_overlooked_is_added(server: Server, page: Page, image: str) -> None:
    """A tap between two boxes adds a digit at that place of the label."""
    page.goto(f"{server.url}/images/{image}")
    boxes = [page.locator("#viewer rect").nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    page.get_by_role("button", name="Add a digit").click()
    x = (boxes[0]["x"] + boxes[0]["width"] + boxes[1]["x"]) / 2
    page.mouse.click(x, boxes[1]["y"] + boxes[1]["height"] / 2)
    expect(page.locator("#correction")).to_contain_text("missing")
    page.keyboard.press("5")
    expect(page.locator("#status")).to_have_text("Noted: 7517")
    assert call(server, f"/api/images/{image}")["label"]["text"] == "7517"


def test_boxes_are_drawn_and_kept(server: Server, page: Page, image: str) -> None:
    """A box that is drawn around an overlooked digit, one that is drawn again and one that is taken
    out stand in the label, on a slow line too, and are there after a reload.
    """
    page.goto(f"{server.url}/images/{image}")
    frames = [page.locator("#viewer rect").nth(at).bounding_box() for at in (0, 1)]
    assert frames[0]
    assert frames[1]
    read = [item["box"] for item in call(server, f"/api/images/{image}")["reading"]["items"]]
    gap = (frames[0]["x"] + frames[0]["width"], frames[1]["x"])
    top = frames[1]["y"]
    page.get_by_role("button", name="Add a digit").click()
    drag(page, (gap[0] + 5, top + 5), (gap[1] - 5, top + 30))
    page.keyboard.press("5")
    expect(page.locator("#status")).to_have_text("Noted: 7517")
    expect(page.locator("#viewer rect")).to_have_count(4)
    boxes = call(server, f"/api/images/{image}")["label"]["boxes"]
    assert [box["label"] for box in boxes] == ["7", "5", "1", "7"]
    assert boxes[0]["box"] == read[0]
    assert read[0][0] + read[0][2] < boxes[1]["box"][0] < read[1][0]
    page.reload()
    expect(page.locator("#viewer rect")).to_have_count(4)
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.get_by_role("button", name="Draw its box again").click()
    drag(page, (frames[0]["x"] + 3, top + 4), (frames[0]["x"] + 20, top + 40))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#correction")).to_contain_text("Item 3 was read as 1")
    page.keyboard.press("Delete")
    expect(page.locator("#viewer rect")).to_have_count(3)
    expect(page.locator("#status")).to_have_text("Noted: 757")
    label = call(server, f"/api/images/{image}")["label"]
    assert label["text"] == "757"
    assert label["boxes"][0]["box"][2] < read[0][2]
    assert label["boxes"][1:] == [boxes[1], boxes[3]]


def drag(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box on the picture, from corner to corner."""
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def test_the_picture_is_zoomed_and_moved(server: Server, page: Page, image: str) -> None:
    """By wheel about the pointer, by keys, back to all of it; dragging moves it."""
    page.goto(f"{server.url}/images/{image}")
    stage = page.locator("#viewer .stage")
    rect = page.locator("#viewer rect").nth(2)
    before = rect.bounding_box()
    assert before is not None
    page.mouse.move(before["x"] + 5, before["y"] + 5)
    page.mouse.wheel(0, -400)
    expect(stage).not_to_have_attribute("data-scale", "1.00")
    larger = rect.bounding_box()
    assert larger is not None
    assert larger["width"] > 2 * before["width"]
    page.mouse.down()
    page.mouse.move(before["x"] - 40, before["y"] + 5, steps=3)
    page.mouse.up()
    moved = rect.bounding_box()
    assert moved is not None
    assert moved["x"] < larger["x"] - 20
    page.keyboard.press("Home")
    expect(stage).to_have_attribute("data-scale", "1.00")
    page.keyboard.press("+")
    expect(stage).to_have_attribute("data-scale", "1.40")


def test_previous_and_next_follow_the_filtered_list(server: Server, page: Page) -> None:
    """From a filtered gallery through its pictures, and back to the tile that one came from."""
    ids = [upload(server, row_of(pictures.SEVEN), f"scan-{at:02}.png") for at in range(4)]
    upload(server, row_of(pictures.ONE), "other.png")
    page.goto(f"{server.url}/history?search=scan&sort=name")
    expect(page.locator("#gallery li")).to_have_count(4)
    page.locator(f'li[data-id="{ids[1]}"] a').click()
    expect(page.locator("#place")).to_have_text("2 of 4")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).to_have_text("3 of 4")
    assert ids[2] in page.url
    page.locator("#back").click()
    expect(page.locator("#gallery li")).to_have_count(4)
    expect(page.locator(f'li[data-id="{ids[2]}"] a')).to_be_focused()
    page.locator(f'li[data-id="{ids[0]}"] a').click()
    expect(page.locator("#previous")).to_be_hidden()
    page.go_back()
    expect(page.locator(f'li[data-id="{ids[0]}"] a')).to_be_focused()


def test_a_wide_picture_fits_the_page(server: Server, page: Page) -> None:
    """A row of eight digits does not make the page scroll sideways, on a phone neither."""
    wide = upload(server, row_of(*[pictures.SEVEN] * 8), "wide.png")
    page.goto(f"{server.url}/images/{wide}")
    expect(page.locator(".viewer img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
