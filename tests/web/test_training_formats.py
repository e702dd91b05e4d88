"""Downloads that other programs train on, out of a running server."""

import csv
import io
import json
import struct
import zipfile
from pathlib import Path

import httpx
import pytest

import pictures
from legibly.evaluation import datasets


@pytest.fixture
def labelled(client: httpx.Client) -> dict[str, str]:
    """Ids of four images by their true text; one has no label and is in no download."""
    texts = ("7", "1", "∅", "")
    strokes = {"1": pictures.ONE}
    ids = {}
    for text in texts:
        picture = pictures.encoded(pictures.drawing(strokes.get(text, pictures.SEVEN)))
        data = {"label": text} if text else {}
        answer = client.post("/api/images?wait=20", files={"file": picture}, data=data)
        ids[text] = answer.json()["id"]
    return ids


def archive(client: httpx.Client, kind: str, ids: dict[str, str]) -> zipfile.ZipFile:
    """The download of a selection."""
    body = {"ids": " ".join(ids.values())}
    answer = client.post(f"/history/download.{kind}", data=body)
    assert answer.status_code == 200
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_class_folders_hold_each_labelled_image_under_its_text(
    client: httpx.Client, labelled: dict[str, str], tmp_path: Path
) -> None:
    """The folders are the classes, one of them for "no digit", and evaluation reads them back."""
    files = archive(client, "folders.zip", labelled)
    assert sorted(files.namelist()) == sorted(
        [f"7/{labelled['7']}.png", f"1/{labelled['1']}.png", f"no_digit/{labelled['∅']}.png"]
    )
    files.extractall(tmp_path, [name for name in files.namelist() if name[0] in "17"])
    assert sorted(sample.text for sample in datasets.samples(tmp_path)) == ["1", "7"]


def test_an_imagefolder_has_its_metadata_beside_the_pictures(
    client: httpx.Client, labelled: dict[str, str]
) -> None:
    """`metadata.csv` names every file of its folder with its label."""
    files = archive(client, "imagefolder.zip", labelled)
    rows = list(csv.DictReader(io.StringIO(files.read("train/metadata.csv").decode())))
    assert {f"train/{row['file_name']}" for row in rows} == set(files.namelist()) - {
        "train/metadata.csv"
    }
    assert sorted(row["label"] for row in rows) == ["", "1", "7"]


def test_coco_has_a_box_and_a_category_for_each_digit(
    client: httpx.Client, labelled: dict[str, str]
) -> None:
    """An image without a digit has no annotation; boxes lie within their images."""
    files = archive(client, "coco.zip", labelled)
    document = json.loads(files.read("annotations.json"))
    names = {entry["id"]: entry["name"] for entry in document["categories"]}
    assert sorted(names.values()) == ["1", "7"]
    assert len(document["images"]) == 3
    images = {entry["id"]: entry for entry in document["images"]}
    for entry in document["annotations"]:
        image = images[entry["image_id"]]
        assert names[entry["category_id"]] == image["text"]
        assert image["file_name"] in files.namelist()
        left, top, width, height = entry["bbox"]
        assert left + width <= image["width"]
        assert top + height <= image["height"]


def test_idx_files_are_those_of_mnist(client: httpx.Client, labelled: dict[str, str]) -> None:
    """Light ink on dark, 28 by 28, a label for each."""
    files = archive(client, "idx.zip", labelled)
    crops = files.read("train-images-idx3-ubyte")
    classes = files.read("train-labels-idx1-ubyte")
    assert struct.unpack(">IIII", crops[:16]) == (0x803, 2, 28, 28)
    assert struct.unpack(">II", classes[:8]) == (0x801, 2)
    assert sorted(classes[8:]) == [1, 7]
    assert len(crops) == 16 + 2 * 28 * 28
    assert max(crops[16:]) > 200
    assert crops[16] == 0
