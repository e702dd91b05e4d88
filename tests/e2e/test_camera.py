"""The camera of a computer in a real browser, played by the browser's own two test cameras."""

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Server, call

pytestmark = pytest.mark.service("chromium")


def test_a_camera_is_chosen_frozen_and_cut(server: Server, page: Page) -> None:
    """Of two cameras one is chosen and stays chosen; a part of the frozen frame is what is sent."""
    page.goto(server.url)
    page.get_by_role("button", name="Camera", exact=True).click()
    dialog = page.locator("dialog.camera")
    devices = dialog.get_by_label("Which camera")
    expect(devices.locator("option")).to_have_count(2)
    second = devices.locator("option").nth(1).get_attribute("value") or ""
    devices.select_option(second)
    dialog.get_by_role("button", name="Take the picture").click()
    frame = dialog.locator("canvas")
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75, steps=4)
    page.mouse.up()
    expect(dialog.locator(".crop")).to_be_visible()
    size = frame.evaluate("canvas => [canvas.width, canvas.height]")
    dialog.get_by_role("button", name="Use it").click()
    expect(page.locator("#recent li")).to_have_count(1)
    image = call(server, "/api/images")["images"][0]
    assert image["name"] == "camera.jpg"
    assert image["width"] == pytest.approx(size[0] / 2, abs=8)
    assert image["height"] == pytest.approx(size[1] / 2, abs=8)
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(devices.locator("option")).to_have_count(2)
    assert devices.input_value() == second
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
