"""What is on the sheet is what keys act on, and one drawing is one image."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import services
from e2e.conftest import Server, call, context_of
from e2e.writing import DIGITS, answers, draw, write

pytestmark = pytest.mark.service("chromium")
SLOW = {"offline": False, "latency": 2500, "downloadThroughput": -1, "uploadThroughput": -1}


def images(server: Server) -> list[dict[str, Any]]:
    """The images of a server, the oldest first."""
    return list(reversed(call(server, "/api/images")["images"]))


def labels(server: Server) -> list[tuple[str, str | None]]:
    """The answer and the label of each image, the oldest first."""
    return [
        (image["reading"]["text"], image["label"] and image["label"]["text"])
        for image in images(server)
        if image["reading"]
    ]


def test_a_key_within_the_pause_labels_the_ink_on_the_sheet(server: Server, page: Page) -> None:
    """4, confirmed; 7 and its key at once: each label is that of its own ink, on a slow line
    too.
    """
    page.goto(server.url)
    write(page, "4")
    answers(page, "4")
    page.keyboard.press("Enter")
    expect(page.locator(".truth .done")).to_contain_text("Right: 4")
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    write(page, "7")
    expect(page.locator("#card [data-answer]")).to_have_attribute("data-answer", "…")
    page.keyboard.press("7")
    services.wait_for(
        lambda: labels(server) == [("4", "4"), ("7", "7")], subject="the label of the 7", seconds=30
    )


def test_enter_on_an_empty_sheet_does_nothing(server: Server, desktop: Page) -> None:
    """With an older picture on the card, Enter and digits label nothing; nor after Clear."""
    desktop.goto(server.url)
    write(desktop, "7")
    answers(desktop, "7")
    desktop.keyboard.press("r")
    expect(desktop.locator("#recent li")).to_have_count(1)
    desktop.reload()
    answers(desktop, "7")
    for key in ("Enter", "3", "n"):
        desktop.keyboard.press(key)
    write(desktop, "4")
    answers(desktop, "4")
    desktop.keyboard.press("c")
    for key in ("Enter", "3", "n"):
        desktop.keyboard.press(key)
    desktop.wait_for_timeout(500)
    assert labels(server) == [("7", None)]


def test_two_slow_strokes_are_one_drawing(server: Server, page: Page) -> None:
    """Reading while somebody writes stores nothing; a late stroke joins; Enter stores one image."""
    page.goto(server.url)
    draw(page, DIGITS["4"][:1])
    page.wait_for_timeout(1600)
    assert images(server) == []
    draw(page, DIGITS["4"][1:])
    expect(page.locator("#card .verdict")).to_have_text("Reading …")
    answers(page, "4")
    assert images(server) == []
    page.keyboard.press("Enter")
    services.wait_for(lambda: labels(server) == [("4", "4")], subject="the one image")


def test_leaving_the_page_stores_the_drawing_once(server: Server, desktop: Page) -> None:
    """Ink that is not stored yet is stored when the page is left, and only once."""
    desktop.goto(server.url)
    write(desktop, "7")
    answers(desktop, "7")
    desktop.goto(f"{server.url}/models")
    services.wait_for(lambda: labels(server) == [("7", None)], subject="the drawing")
    desktop.goto(server.url)
    desktop.wait_for_timeout(700)
    assert labels(server) == [("7", None)]


def test_strokes_come_back_with_redo(server: Server, desktop: Page) -> None:
    """Ctrl+Z takes a stroke, Ctrl+Shift+Z and Ctrl+Y bring it back."""
    desktop.goto(server.url)
    desktop.locator("#automatic").uncheck()
    write(desktop, "7")
    for key in ("Control+Shift+Z", "Control+y"):
        desktop.keyboard.press("Control+z")
        expect(desktop.locator("#read")).to_be_disabled()
        desktop.keyboard.press(key)
        expect(desktop.locator("#read")).to_be_enabled()


def test_no_digit_here_is_a_label(server: Server, desktop: Page) -> None:
    """N says that there is no digit: the label is an empty text, and U takes it back."""
    desktop.goto(server.url)
    write(desktop, "7")
    answers(desktop, "7")
    desktop.keyboard.press("n")
    expect(desktop.locator(".truth .done")).to_contain_text("no digit here")
    services.wait_for(lambda: labels(server) == [("7", "")], subject="the label")
    desktop.keyboard.press("u")
    services.wait_for(lambda: labels(server) == [("7", None)], subject="the label taken back")


def test_offline_ink_is_kept_and_says_so(server: Server, browser: Browser) -> None:
    """Without a connection no old answer stands beside new ink; it is stored later, with its
    key.
    """
    context = context_of(browser)
    page = context.new_page()
    page.goto(server.url)
    write(page, "4")
    answers(page, "4")
    page.keyboard.press("Enter")
    services.wait_for(lambda: labels(server) == [("4", "4")], subject="the 4")
    context.set_offline(True)
    write(page, "7")
    expect(page.locator("#card")).to_contain_text("cannot be reached")
    expect(page.locator("#card [data-answer]")).to_have_attribute("data-answer", "…")
    page.keyboard.press("7")
    context.set_offline(False)
    services.wait_for(
        lambda: labels(server) == [("4", "4"), ("7", "7")], subject="the 7", seconds=40
    )
    context.close()
