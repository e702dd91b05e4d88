"""Batches in a real browser: their table, labels beside the pictures, and review of exactly
these.
"""

import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Page, expect

import pictures
from e2e.conftest import Server, call
from e2e.test_classify import png
from e2e.test_queue import files

pytestmark = pytest.mark.service("chromium")


def labels(server: Server) -> dict[str, Any]:
    """The true text of each image by its file's name, None where it has none."""
    images = call(server, "/api/images?limit=500")["images"]
    return {image["name"]: image["label"] and image["label"]["text"] for image in images}


def test_a_batch_has_a_table_that_is_reviewed_and_filtered(server: Server, page: Page) -> None:
    """Several files are a batch with a name; its table names file, answer and confidence, and
    "review these" shows exactly these pictures.
    """
    page.goto(server.url)
    page.locator("#files").set_input_files(files(1))
    expect(page.locator("#recent li")).to_have_count(1)
    page.locator(".upload-options summary").click()
    page.get_by_label("Name of the batch").fill("Scans of Tuesday")
    page.locator("#files").set_input_files(files(3))
    page.locator("#batch-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Scans of Tuesday")
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(3)
    expect(page.locator("#summary")).to_contain_text("3 pictures: 3 read")
    expect(rows.first).to_contain_text("%")
    page.locator("#sort").select_option("name")
    expect(rows.first).to_contain_text("0.png")
    page.locator("#review").click()
    expect(page.locator("#left")).to_have_text("3 to review")
    page.keyboard.press("1")
    expect(page.locator("#left")).to_have_text("2 to review")
    page.reload()
    expect(page.locator("#left")).to_have_text("2 to review")
    page.goto(f"{server.url}/history?search=2.png")
    expect(page.locator("#gallery li")).to_have_count(1)


def test_labels_come_beside_the_pictures_or_in_their_names(
    server: Server, desktop: Page, tmp_path: Path
) -> None:
    """A CSV file, a pattern of file names, and folders named like digits (after a question) label
    what is sent.
    """
    desktop.goto(server.url)
    csv: Any = {
        "name": "labels.csv",
        "mimeType": "text/csv",
        "buffer": b"\xef\xbb\xbffile;label\r\n0.png;7\r\n1.png;\r\n",
    }
    desktop.locator("#files").set_input_files([*files(2), csv])
    expect(desktop.locator(".toast")).to_contain_text("Labels for 1 of 2 pictures")
    expect(desktop.locator("#queue p")).to_contain_text("All done: 2 of 2", timeout=30_000)
    assert labels(server) == {"0.png": "7", "1.png": None}
    desktop.locator(".upload-options summary").click()
    desktop.get_by_label("Pattern of file names").fill("{label}_{writer}_*")
    named: Any = {**files(1)[0], "name": "4_ada_0131.png"}
    desktop.locator("#files").set_input_files([named])
    expect(desktop.locator("#recent li")).to_have_count(3)
    assert labels(server)["4_ada_0131.png"] == "4"
    desktop.get_by_label("Pattern of file names").fill("")
    for digit in ("3", "5"):
        folder = tmp_path / "digits" / digit
        folder.mkdir(parents=True)
        (folder / f"of-{digit}.png").write_bytes(png(int(digit), side=90))
    desktop.locator("#folder").set_input_files(tmp_path / "digits")
    desktop.get_by_role("button", name="Yes, use them as labels").click()
    expect(desktop.locator("#recent li")).to_have_count(5)
    assert labels(server)["of-3.png"] == "3"
    assert call(server, "/api/batches")["batches"][0]["name"] == "digits"


def test_a_pair_of_idx_files_comes_in_with_its_labels(server: Server, desktop: Page) -> None:
    """Pictures and labels as MNIST has them, packed or not, are a batch of labelled pictures."""
    crops = b"".join(
        Image.open(io.BytesIO(png(digit, side=28))).convert("L").tobytes() for digit in (7, 1)
    )
    head = struct.pack(">IIII", 0x803, 2, 28, 28)
    pair: list[Any] = [
        {
            "name": "two-images-idx3-ubyte.gz",
            "mimeType": "application/gzip",
            "buffer": gzip.compress(head + crops),
        },
        {
            "name": "two-labels-idx1-ubyte",
            "mimeType": "application/octet-stream",
            "buffer": struct.pack(">II", 0x801, 2) + bytes([7, 1]),
        },
    ]
    desktop.goto(server.url)
    desktop.locator("#files").set_input_files(pair)
    expect(desktop.locator("#queue p")).to_contain_text("All done: 2 of 2", timeout=30_000)
    name = "two-images-idx3-ubyte-0000"
    assert labels(server) == {f"{name}0.png": "7", f"{name}1.png": "1"}


def test_coco_beside_pictures_brings_their_boxes(server: Server, desktop: Page) -> None:
    """Categories and boxes of a COCO file are the labels, as they were at the upload; boxes in a
    JPEG that EXIF turns by 90 degrees turn with it.
    """
    names = {1: "1.png", 2: "2.png", 3: "3.jpg"}
    coco = {
        "images": [{"id": at, "file_name": name} for at, name in names.items()],
        "categories": [{"id": 7, "name": "7"}, {"id": 8, "name": "1"}],
        "annotations": [
            {"image_id": 1, "category_id": 7, "bbox": [3, 4, 15.6, 20]},
            {"image_id": 2, "category_id": 8, "bbox": [5, 6, 7, 8]},
            {"image_id": 3, "category_id": 8, "bbox": [10, 70, 40, 15]},
        ],
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = pictures.drawing().resize((200, 100))
    files: list[Any] = [
        {"name": f"{at}.png", "mimeType": "image/png", "buffer": png(digit)}
        for at, digit in ((1, 7), (2, 1))
    ]
    jpeg = pictures.encoded(turned, "JPEG", exif=exif)
    files.append({"name": "3.jpg", "mimeType": "image/jpeg", "buffer": jpeg})
    files.append(
        {"name": "coco.json", "mimeType": "application/json", "buffer": json.dumps(coco).encode()}
    )
    desktop.goto(server.url)
    desktop.locator("#files").set_input_files(files)
    expect(desktop.locator("#queue p")).to_contain_text("All done: 3 of 3", timeout=30_000)
    images = call(server, "/api/images")["images"]
    boxes = {
        image["name"]: [(box["label"], box["box"]) for box in image["label"]["boxes"]]
        for image in images
    }
    assert boxes == {
        "1.png": [("7", [3, 4, 16, 20])],
        "2.png": [("1", [5, 6, 7, 8])],
        "3.jpg": [("1", [15, 10, 15, 40])],
    }
    assert {image["label"]["source"] for image in images} == {"at_upload"}


def test_files_are_dropped_and_sent_from_every_page(server: Server, desktop: Page) -> None:
    """A file that is pasted on Accuracy is sent while one stays there."""
    desktop.goto(f"{server.url}/accuracy")
    expect(desktop.locator("#sending")).to_be_attached()
    desktop.wait_for_load_state("networkidle")
    desktop.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(bytes)], "p.png", { type: "image/png" }));
          dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
        }""",
        list(png(5)),
    )
    expect(desktop.locator("#sending")).to_have_text("All done: 1 of 1 sent, 1 read")
    assert labels(server) == {"p.png": None}


def test_a_scan_becomes_a_batch_of_its_pages(server: Server, page: Page, tmp_path: Path) -> None:
    """A PDF that is chosen counts as its pages, and leads to their table."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(pictures.pages("PDF", [pictures.SEVEN, pictures.ZERO]))
    page.goto(server.url)
    page.locator("#files").set_input_files(path)
    page.locator("#batch-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("scan.pdf")
    expect(page.locator("#results tbody tr")).to_have_count(2)
    assert labels(server) == {"scan.pdf p. 1": None, "scan.pdf p. 2": None}
