"""Practice and the handwriting report in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Server, call
from e2e.writing import practise, write

pytestmark = pytest.mark.service("chromium")


def test_practice_asks_answers_at_once_and_makes_the_report(server: Server, page: Page) -> None:
    """Each written digit is told read or not, counts with what was asked as its label, and stands
    in the report.
    """
    page.goto(f"{server.url}/handwriting")
    expect(page.locator("main")).to_contain_text("Nothing has been written yet")
    page.get_by_role("link", name="Practise").click()
    for count in range(1, 7):
        requested = practise(page, count=count)
        expect(page.locator("#results li").first).to_contain_text(requested)
    images = call(server, "/api/images")["images"]
    assert {image["label"]["source"] for image in images} == {"at_upload"}
    page.get_by_role("link", name="See the report").click()
    expect(page.locator(".lead").first).to_contain_text("Your digits are")
    report = call(server, "/api/legibility")
    assert report["written"] == 6
    enough = [row["digit"] for row in report["digits"] if row["enough"]]
    expect(page.locator(".hand h2")).to_have_text(enough)


def test_the_report_prints_on_one_page(server: Server, desktop: Page) -> None:
    """The print style leaves the figures and drops buttons and navigation."""
    desktop.goto(server.url)
    desktop.locator("#automatic").uncheck()
    for count in range(1, 5):
        write(desktop, "7")
        desktop.keyboard.press("Enter")
        expect(desktop.locator("#recent li")).to_have_count(count)
    desktop.goto(f"{server.url}/handwriting")
    desktop.emulate_media(media="print")
    expect(desktop.locator("nav")).to_be_hidden()
    assert desktop.pdf().count(b"/Type /Page\n") == 1
