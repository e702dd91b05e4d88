"""Forms in a real browser: made of a scan, named, read, corrected field by field."""

import secrets
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

import pictures
from e2e.conftest import Server, call

pytestmark = pytest.mark.service("chromium")


def sheet() -> Image.Image:
    """An empty form with three boxes."""
    image = Image.new("L", (1000, 700), 255)
    for left in (100, 400, 700):
        ImageDraw.Draw(image).rectangle((left, 300, left + 160, 460), outline=0, width=3)
    return image


def file(name: str, image: Image.Image) -> FilePayload:
    """A scan to choose."""
    return {"name": name, "mimeType": "image/png", "buffer": pictures.encoded(image)}


def test_a_form_is_stored_read_and_corrected(server: Server, page: Page) -> None:
    """Boxes of a scan get names, and the form a name, under which it is stored. A scan gives
    values; another browser sees them, and a correction that it makes. A field's link opens its
    values in Review, the CSV has the correction. Nothing is wider than the screen.
    """
    name = f"meters {secrets.token_hex(4)}"  # the server has the forms of other tests
    page.goto(f"{server.url}/forms")
    page.locator("#form-scan").set_input_files(file(f"{name}.png", sheet()))
    names = page.locator("#fields input")
    expect(names).to_have_count(3)
    expect(page.locator("#sheet rect")).to_have_count(3)
    names.nth(1).fill("amount")
    page.get_by_role("button", name="Leave out").nth(2).click()
    expect(names).to_have_count(2)
    expect(page.get_by_label("Name of the form")).to_have_value(name)
    page.get_by_role("button", name="Save the form").click()
    expect(page.locator("h1")).to_have_text(name)
    filled = sheet()
    filled.paste(pictures.drawing().resize((130, 130)), (415, 315))
    scans = [file("a.png", filled.resize((1200, 840))), file("b.png", pictures.drawing())]
    page.locator("#scan-files").set_input_files(scans)
    expect(page.locator("#progress")).to_have_text("2 of 2 scans read")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#pages .note")).to_contain_text("form was not found")
    value = page.get_by_role("textbox", name="amount in a.png")
    expect(value).to_have_value("7")
    expect(page.get_by_role("link", name="Picture: amount in a.png")).to_be_visible()

    other = page.context.new_page()
    other.goto(f"{server.url}/forms")
    other.get_by_role("link", name=name).click()
    its_value = other.get_by_role("textbox", name="amount in a.png")
    expect(its_value).to_have_value("7")
    its_value.fill("1")
    its_value.press("Enter")
    expect(page.locator("#pages tbody tr").nth(1)).to_contain_text("confirmed")
    expect(value).to_have_value("1")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["source,field_1,amount,unsure", "a.png,,1,"]
    batch = call(server, f"/api/forms/{quote(name)}")["batch"]
    images = call(server, f"/api/images?labelled=true&batch={batch}")["images"]
    assert [image["label"]["text"] for image in images] == ["1"]
    other.locator("#fields a").first.click()
    expect(other.locator("#card .picture")).to_be_visible()
    assert "search=%5Bfield_1%5D" in other.url
