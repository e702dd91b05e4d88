"""The accuracy page in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Server
from e2e.test_history import upload

pytestmark = pytest.mark.service("chromium")


def test_a_threshold_is_explored(server: Server, page: Page) -> None:
    """Moving it says how much is answered and how much of that is wrong, by keys too."""
    upload(server, 3, label="1")
    upload(server, 1, label="7", name="wrong")
    page.goto(f"{server.url}/accuracy")
    slider = page.locator("#threshold input")
    output = page.locator("#threshold output")
    expect(output).to_contain_text("of these wrong")
    slider.focus()
    page.keyboard.press("Home")
    expect(output).to_contain_text("At 0.0 % or more: 100.0 % answered, 25.0 % of these wrong")
    page.locator(".shot.wrong").first.click()
    expect(page.locator("#card [data-answer]")).to_have_attribute("data-answer", "1")
