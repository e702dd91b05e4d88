"""Trials and changes of the model on its page, in a browser."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.conftest import call, context_of, serving
from legibly.packs import card as cards
from legibly.packs import registry

pytestmark = pytest.mark.service("chromium")


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_pack_is_tried_promoted_and_taken_back(
    browser: Browser, tmp_path: Path, size: str
) -> None:
    """A canary begins and ends with a click; without proof a reason is asked for; the way back is
    one click, and everything stands in the list of changes.
    """
    folder = Path(shutil.copytree(registry.find("digits"), tmp_path / "packs" / "mine"))
    cards.write_card(folder, replace(cards.read_card(folder), created="later"))
    with serving(tmp_path, LEGIBLY_ACCOUNTS="off") as server:
        page = context_of(browser, size=size).new_page()
        page.goto(f"{server.url}/models")
        mine = page.locator('section[aria-label="mine"]')
        mine.get_by_role("button", name="Let it answer 5").click()
        trial = page.locator('section[aria-label="On trial"]')
        expect(trial).to_contain_text("It answers 5.0")
        trial.get_by_role("button", name="End the trial").click()
        expect(trial).to_have_count(0)
        mine.get_by_role("button", name="Use it if it is proven").click()
        reason = mine.get_by_label("Reason")
        expect(reason).to_be_focused()
        expect(mine.get_by_role("status")).to_contain_text("label")
        reason.fill("a drill")
        reason.press("Enter")
        expect(mine.locator(".verdict")).to_have_text("in use")
        assert call(server, "/api/models")["serving"]["setting"] == "mine"
        mine.get_by_role("button", name="Go back").click()
        expect(page.locator('section[aria-label="digits"] .verdict')).to_have_text("in use")
        rows = page.locator("section:has(#changes-title) tbody tr")
        expect(rows).to_have_count(4)
        expect(rows.nth(1)).to_contain_text("a drill")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
