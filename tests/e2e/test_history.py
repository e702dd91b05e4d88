"""The gallery in a real browser: find, select, label, download, delete, undo."""

import csv
import io
import json
import urllib.request
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.conftest import Server, call, context_of
from e2e.test_classify import png

pytestmark = pytest.mark.service("chromium")


def upload(
    server: Server, count: int, *, label: str | None = None, name: str = "bar"
) -> list[dict[str, Any]]:
    """Pictures of a 1, read."""
    images = []
    for n in range(count):
        boundary = uuid.uuid4().hex
        fields = {"label": label} if label else {}
        parts = [
            f"--{boundary}\r\nContent-Disposition: form-data;"
            f' name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file";'
            f' filename="{name}-{n}.png"\r\n'
        )
        body = (
            b"".join(parts)
            + head.encode()
            + b"Content-Type: image/png\r\n\r\n"
            + png(n)
            + f"\r\n--{boundary}--\r\n".encode()
        )
        request = urllib.request.Request(
            f"{server.url}/api/images?wait=20", data=body, method="POST"
        )
        request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
        with urllib.request.urlopen(request, timeout=30) as response:
            images.append(json.load(response))
    return images


def test_the_gallery_pages_filters_and_follows(server: Server, page: Page) -> None:
    """It loads page by page, the filter stands in the address, wrong ones can be had alone, new
    ones come unasked.
    """
    upload(server, 70)
    upload(server, 2, label="7")
    page.goto(f"{server.url}/history")
    expect(page.locator("#gallery li").nth(59)).to_be_attached()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("#count")).to_have_text("72 in all")
    if page.locator("#filters-open").is_visible():
        page.locator("#filters-open").click()
    page.get_by_label("wrong only").check()
    expect(page.locator("#gallery li")).to_have_count(2)
    assert "wrong=true" in page.url
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(2)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#gallery li").nth(59)).to_be_attached()
    page.evaluate("scrollTo(0, 0)")
    newest = upload(server, 1)[0]["id"]
    expect(page.locator("#gallery li").first).to_have_attribute("data-id", newest)


def test_many_are_labelled_and_it_can_be_undone(server: Server, page: Page) -> None:
    """Selected pictures get a label at once; undo gives back what was there."""
    upload(server, 5)
    page.goto(f"{server.url}/history")
    for n in range(3):
        page.locator("#gallery input").nth(n).check()
    expect(page.locator("#selected-count")).to_have_text("3 selected")
    page.locator("#bulk-text").fill("7")
    page.locator("#bulk-text").press("Enter")
    expect(page.locator(".toast")).to_contain_text("3 labelled")
    assert len(call(server, "/api/images?label=7")["images"]) == 3
    page.locator(".toast button").click()
    expect(page.locator(".shot.wrong")).to_have_count(0)
    assert call(server, "/api/images?label=7")["images"] == []


def test_all_that_match_are_selected_beyond_the_first_page(server: Server, desktop: Page) -> None:
    """After A a button selects what later pages hold, and all of it is labelled at once."""
    upload(server, 130)
    desktop.goto(f"{server.url}/history")
    expect(desktop.locator("#gallery li").first).to_be_visible()
    desktop.keyboard.press("a")
    desktop.locator("#select-all").click()
    expect(desktop.locator("#selected-count")).to_have_text("130 selected")
    expect(desktop.locator("#select-all")).to_be_hidden()


def test_a_deletion_holds_and_can_be_undone(server: Server, browser: Browser) -> None:
    """Deleted pictures are gone at once, in other tabs too; undo brings them back."""
    upload(server, 3)
    context = context_of(browser)
    page = context.new_page()
    other = context.new_page()
    other.goto(f"{server.url}/history")
    expect(other.locator("#gallery li")).to_have_count(3)
    expect(other.locator("html")).to_have_attribute("data-live", "on")
    page.goto(f"{server.url}/history")
    expect(page.locator("#gallery li")).to_have_count(3)
    page.keyboard.press("a")
    page.keyboard.press("Delete")
    expect(page.locator(".toast")).to_contain_text("3 deleted")
    assert call(server, "/api/images")["images"] == []
    expect(other.locator("#gallery li")).to_have_count(0)
    page.locator(".toast button").click()
    expect(page.locator("#gallery li")).to_have_count(3)
    assert len(call(server, "/api/images")["images"]) == 3
    context.close()


def test_a_deletion_survives_leaving_the_page(server: Server, desktop: Page) -> None:
    """Delete on the page of an image and leave at once: it is gone, and History offers to undo."""
    image = upload(server, 1)[0]
    desktop.goto(f"{server.url}/images/{image['id']}")
    desktop.locator("#delete").click()
    desktop.wait_for_url("**/history")
    assert call(server, "/api/images")["images"] == []
    desktop.locator(".toast button").click()
    expect(desktop.locator("#gallery li")).to_have_count(1)


@pytest.mark.parametrize("kind", ["csv", "json", "zip"])
def test_what_is_selected_can_be_downloaded(
    server: Server, desktop: Page, tmp_path: Path, kind: str
) -> None:
    """CSV, JSON and ZIP hold exactly the selected pictures; no cell is a formula."""
    images = upload(server, 3, name="=1+1")
    desktop.goto(f"{server.url}/history")
    desktop.locator("#gallery input").nth(0).check()
    desktop.locator("#gallery input").nth(2).check()
    desktop.locator("#format").select_option(kind)
    with desktop.expect_download() as waiting:
        desktop.locator("#download").click()
    waiting.value.save_as(tmp_path / "got")
    data = (tmp_path / "got").read_bytes()
    required = [images[2]["id"], images[0]["id"]]
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert archive.read(f"images/{required[0]}.png") == png(2)
            data = archive.read("images.csv")
            kind = "csv"
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
        assert [row["name"] for row in rows] == ["'=1+1-2.png", "'=1+1-0.png"]
    else:
        rows = json.loads(data)
    assert [row["id"] for row in rows] == required


def test_a_cell_of_the_accuracy_shows_its_pictures(server: Server, desktop: Page) -> None:
    """A cell finds the pictures where that digit was read so, within texts too, and says what it
    shows.
    """
    upload(server, 2, label="7")
    upload(server, 1, label="1")
    desktop.goto(f"{server.url}/accuracy")
    desktop.get_by_role("link", name="7 read as 1: 2").click()
    expect(desktop.locator("#place strong")).to_have_text("Pictures in which a 7 was read as 1")
    expect(desktop.locator("#count")).to_have_text("2 in all")
    desktop.get_by_role("button", name="Show others too").click()
    expect(desktop.locator("#count")).to_have_text("3 in all")
    expect(desktop.locator("#place")).to_be_hidden()
    assert desktop.url == f"{server.url}/history"
