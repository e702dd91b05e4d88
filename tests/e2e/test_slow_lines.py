"""Labels on a slow line: the last one that somebody gave holds, and none lands elsewhere."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

import services
from e2e.conftest import Server, call
from e2e.test_history import upload
from e2e.writing import DIGITS, answers, write

pytestmark = pytest.mark.service("chromium")
PUT = "**/api/images/*/label"
REFUSED = 415  # the status that the page fixtures do not take for a fault of the page


@contextmanager
def holding(page: Page, address: str) -> Iterator[list[Route]]:
    """Requests to an address wait until the end of the block."""
    waiting: list[Route] = []
    is_open = False

    def handle(route: Route) -> None:
        if is_open:
            route.continue_()
        else:
            waiting.append(route)

    page.route(address, handle)
    yield waiting
    is_open = True
    for route in waiting:
        route.continue_()


def arrived(page: Page, waiting: list[Route], count: int) -> None:
    """Wait until that many requests wait."""
    for _ in range(100):
        if len(waiting) >= count:
            break
        page.wait_for_timeout(20)
    assert len(waiting) == count


def label(server: Server, image: str, text: str) -> None:
    """Label an image as somebody else would."""
    request = urllib.request.Request(
        f"{server.url}/api/images/{image}/label",
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=20).close()


def label_of(server: Server, image: str) -> str | None:
    """The text of an image's label."""
    document: dict[str, Any] = call(server, f"/api/images/{image}")
    return document["label"] and str(document["label"]["text"])


def test_of_two_quick_keys_the_last_holds(server: Server, desktop: Page) -> None:
    """4, then 7 while the 4 is on its way: the card shows the 7 whatever the server still says,
    the 7 is sent after the 4, and leaving the page at once loses nothing.
    """
    image = upload(server, 1)[0]["id"]
    desktop.goto(server.url)
    desktop.locator("#recent a").first.click()
    with holding(desktop, PUT) as waiting:
        desktop.keyboard.press("4")
        arrived(desktop, waiting, 1)
        desktop.keyboard.press("7")
        with desktop.expect_response("**/accuracy/panel"):  # the page has the news
            label(server, image, "4")
        answers(desktop, "1")
        expect(desktop.locator("#card .done")).to_contain_text("it was 7.")
        assert len(waiting) == 1
    expect(desktop.locator("#status")).to_have_text("Noted: 7")
    expect(desktop.locator("#card .done")).to_contain_text("it was 7.")
    assert label_of(server, image) == "7"
    desktop.keyboard.press("0")
    desktop.keyboard.press("3")
    desktop.goto("about:blank")
    services.wait_for(lambda: label_of(server, image) == "3", subject="the label that was left")


def test_a_label_that_is_refused_leaves_the_one_before(server: Server, desktop: Page) -> None:
    """The card goes back to what the server has, with what it learned meanwhile."""
    image = upload(server, 1)[0]["id"]
    desktop.goto(server.url)
    desktop.locator("#recent a").first.click()
    waiting: list[Route] = []
    desktop.route(PUT, lambda route: waiting.append(route))
    desktop.keyboard.press("4")
    arrived(desktop, waiting, 1)
    label(server, image, "9")
    expect(desktop.locator("#card .done")).to_contain_text("it was 4.")
    waiting[0].fulfill(status=REFUSED, json={"detail": "No."})
    expect(desktop.locator(".toast")).to_have_text("No.")
    expect(desktop.locator("#card .done")).to_contain_text("it was 9.")


def test_all_are_right_leaves_what_others_say_meanwhile(server: Server, desktop: Page) -> None:
    """Of six pictures the first four are on their way when somebody labels the last: that label
    stays, and undo takes back only what this page gave.
    """
    images = [image["id"] for image in upload(server, 6)]
    desktop.goto(f"{server.url}/history?sort=oldest")
    expect(desktop.locator("#gallery li")).to_have_count(6)
    desktop.keyboard.press("a")
    with holding(desktop, PUT) as waiting:
        desktop.locator("#as-read").click()
        arrived(desktop, waiting, 4)
        label(server, images[5], "8")
        expect(desktop.locator("#gallery li").nth(5)).to_contain_text("→ 8")
    expect(desktop.locator(".toast")).to_contain_text("5 labelled")
    assert [label_of(server, image) for image in images] == [*["1"] * 5, "8"]
    label(server, images[0], "6")
    expect(desktop.locator("#gallery li").nth(0)).to_contain_text("→ 6")
    desktop.get_by_role("button", name="Undo").click()
    services.wait_for(
        lambda: [label_of(server, image) for image in images] == ["6", *[None] * 4, "8"],
        subject="what undo takes back",
    )


def test_review_never_changes_the_picture_under_a_key(server: Server, desktop: Page) -> None:
    """A judgement that fails comes again after the picture that somebody looks at; one that
    somebody else has judged, or deleted, does not come at all.
    """
    images = [image["id"] for image in upload(server, 4, label="7")]
    desktop.goto(f"{server.url}/review")
    expect(desktop.locator("#left")).to_have_text("4 to review")
    waiting: list[Route] = []
    desktop.route("**/api/review/*", lambda route: waiting.append(route))
    first = desktop.locator("#card").get_attribute("data-id")
    desktop.keyboard.press("1")
    arrived(desktop, waiting, 1)
    second = desktop.locator("#card").get_attribute("data-id")
    waiting[0].fulfill(status=REFUSED, json={"detail": "Out of order."})
    expect(desktop.locator(".toast")).to_have_text("Out of order.")
    desktop.unroute("**/api/review/*")
    expect(desktop.locator("#left")).to_have_text("4 to review")
    expect(desktop.locator("#card")).to_have_attribute("data-id", second or "")
    later = [image for image in images if image not in (first, second)]
    label(server, later[0], "1")
    expect(desktop.locator("#left")).to_have_text("3 to review")
    urllib.request.urlopen(
        urllib.request.Request(f"{server.url}/api/images/{later[1]}", method="DELETE"), timeout=20
    ).close()
    expect(desktop.locator("#left")).to_have_text("2 to review")
    desktop.keyboard.press("1")
    expect(desktop.locator("#card")).to_have_attribute("data-id", first or "")
    desktop.keyboard.press("1")
    expect(desktop.locator("#empty")).to_be_visible()
    services.wait_for(
        lambda: [label_of(server, image or "") for image in (first, second)] == ["1", "1"],
        subject="both judgements",
    )


def test_practice_takes_back_what_was_written_last(server: Server, desktop: Page) -> None:
    """Take back while the last drawing is on its way: that one goes, not the one before; and the
    digit that is asked for does not change under ink.
    """
    desktop.goto(f"{server.url}/handwriting/practice")
    written = []
    for count in (1, 2):
        while (digit := desktop.locator("#ask").get_attribute("data-wanted")) not in DIGITS:
            desktop.keyboard.press("s")
        write(desktop, digit)
        written.append(digit)
        if count == 1:
            desktop.keyboard.press("Enter")
            expect(desktop.locator("#results li")).to_have_count(1)
    with holding(desktop, "**/api/images?wait=*") as waiting:
        desktop.keyboard.press("Enter")
        arrived(desktop, waiting, 1)
        write(desktop, "7")
        digit = desktop.locator("#ask").get_attribute("data-wanted")
        desktop.keyboard.press("u")
        expect(desktop.locator("#ask")).to_have_attribute("data-wanted", digit or "")
    expect(desktop.locator("#told")).to_have_text("1 deleted")
    expect(desktop.locator("#ask")).to_have_attribute("data-wanted", digit or "")
    left = call(server, "/api/images")["images"]
    assert [image["label"]["text"] for image in left] == written[:1]
