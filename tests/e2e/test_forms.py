"""Forms in a real browser: made of a scan, named, read, corrected field by field."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

import pictures
import services
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


def test_a_form_is_made_read_and_corrected(server: Server, page: Page) -> None:
    """Boxes of a scan get names, a scan gives values, a corrected value is a labelled picture and
    stands in the CSV; the form is there after a reload. Nothing is wider than the screen.
    """
    page.goto(f"{server.url}/forms")
    page.locator("#form-scan").set_input_files(file("empty.png", sheet()))
    names = page.locator("#fields input")
    expect(names).to_have_count(3)
    expect(page.locator("#sheet rect")).to_have_count(3)
    names.nth(1).fill("amount")
    page.get_by_role("button", name="Leave out").nth(2).click()
    expect(names).to_have_count(2)
    filled = sheet()
    filled.paste(pictures.drawing().resize((130, 130)), (415, 315))
    scans = [file("a.png", filled.resize((1200, 840))), file("b.png", pictures.drawing())]
    page.locator("#scan-files").set_input_files(scans)
    expect(page.locator("#progress")).to_have_text("2 of 2 scans read")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#pages .note")).to_contain_text("form was not found")
    value = page.get_by_role("textbox", name="amount in a.png")
    expect(value).to_have_value("7")
    value.fill("1")
    value.press("Enter")
    expect(page.locator("#pages tbody tr").nth(1)).to_contain_text("confirmed")

    def labelled() -> list[tuple[str, str, str | None]]:
        return [
            (image["name"], image["reading"]["text"], image["label"] and image["label"]["text"])
            for image in call(server, "/api/images")["images"]
            if image["reading"]
        ]

    services.wait_for(
        lambda: labelled() == [("a.png: amount", "7", "1")], subject="the corrected value"
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["source,field_1,amount,unsure", "a.png,,1,"]
    page.reload()
    expect(names.nth(1)).to_have_value("amount")
