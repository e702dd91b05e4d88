"""Exports labelled pictures for training: class folders, imagefolder, COCO and idx.

Each is a stream of files in a ZIP of labelled images. Labels that a format cannot express are left
out: idx holds a text of several digits only if each digit belongs to an item of the reading.
"""

import csv
import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from legibly.errors import LegiblyError
from legibly.labels.rules import SEPARATORS
from legibly.records import Image, Item
from legibly.store import Store

TrainingFormat = Literal["folders.zip", "imagefolder.zip", "coco.zip", "idx.zip"]
Inputs = Callable[[Image, bytes], Sequence[NDArray[np.float32]]]
"""The model's input for each item of an image: (28, 28) float32, 0 paper … 1 ink."""

NO_DIGIT = "no_digit"
"""The folder of images without a digit."""
_COLUMNS = ("file_name", "label", "name", "writer", "verdict", "text", "confidence")
_SIDE = 28


class File(NamedTuple):
    """One file of an archive."""

    name: str
    data: bytes


def files(
    images: Iterable[Image], kind: TrainingFormat, *, store: Store, inputs: Inputs
) -> Iterator[File]:
    """The files of a download."""
    labelled = _labelled(images, store)
    if kind == "folders.zip":
        return _folders(labelled)
    if kind == "imagefolder.zip":
        return _imagefolder(labelled)
    return _coco(labelled) if kind == "coco.zip" else _idx(labelled, inputs)


def _labelled(images: Iterable[Image], store: Store) -> Iterator[tuple[Image, str, bytes]]:
    """Images with their true label and their picture; skips missing ones."""
    for image in images:
        if image.label is None or image.label.text is None:
            continue
        try:
            yield image, image.label.text, store.read(image.key)
        except LegiblyError:
            continue


def _file_name(image: Image) -> str:
    return f"{image.id}.{image.key.rpartition('.')[2]}"


def _folders(labelled: Iterable[tuple[Image, str, bytes]]) -> Iterator[File]:
    for image, label, data in labelled:
        folder = label.replace("/", "_").strip(" .") or NO_DIGIT
        yield File(f"{folder}/{_file_name(image)}", data)


def _imagefolder(labelled: Iterable[tuple[Image, str, bytes]]) -> Iterator[File]:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(_COLUMNS)
    for image, label, data in labelled:
        reading = image.reading
        read = (reading.verdict, reading.text, reading.confidence) if reading else ("", "", "")
        row = (_file_name(image), label, image.name or "", image.writer or "")
        writer.writerow([*row, *read])
        yield File(f"train/{_file_name(image)}", data)
    yield File("train/metadata.csv", table.getvalue().encode())


def boxes_of(image: Image, label: str) -> list[tuple[tuple[int, ...], str]]:
    """Each box with its true class: a person's boxes, else the reading's if the label fits them."""
    if image.label and image.label.boxes:
        return [(box.box, box.label) for box in image.label.boxes]
    return [(item.box, text) for item, text in digits_of(image, label)]


def digits_of(image: Image, label: str) -> list[tuple[Item, str]]:
    """Each item with its true class; empty if a label does not match the items one to one."""
    places = [sign for sign in label if sign not in SEPARATORS]
    items = image.reading.digits if image.reading else ()
    return list(zip(items, places, strict=True)) if len(items) == len(places) else []


def _coco(labelled: Iterable[tuple[Image, str, bytes]]) -> Iterator[File]:
    pictures = []
    boxes: list[dict[str, object]] = []
    categories: dict[str, int] = {}
    for number, (image, label, data) in enumerate(labelled, start=1):
        name = _file_name(image)
        size = {"width": image.width, "height": image.height}
        facts = {"legibly_id": image.id, "text": label, "writer": image.writer}
        pictures.append({"id": number, "file_name": f"images/{name}", **size, **facts})
        for frame, text in boxes_of(image, label):
            category = categories.setdefault(text, len(categories) + 1)
            box = {"bbox": list(frame), "area": frame[2] * frame[3], "iscrowd": 0}
            place = {"image_id": number, "category_id": category}
            boxes.append({"id": len(boxes) + 1, **place, **box})
        yield File(f"images/{name}", data)
    names = [{"id": number, "name": name} for name, number in categories.items()]
    document = {"images": pictures, "annotations": boxes, "categories": names}
    yield File("annotations.json", json.dumps(document, ensure_ascii=False).encode())


def _idx(labelled: Iterable[tuple[Image, str, bytes]], inputs: Inputs) -> Iterator[File]:
    """The model's inputs for the items of all images, as in MNIST: light ink on dark."""
    crops = bytearray()
    classes = bytearray()
    for image, label, data in labelled:
        digits = [text for _, text in digits_of(image, label)]
        if not digits or not all(text.isascii() and text.isdigit() for text in digits):
            continue
        try:
            views = inputs(image, data)
        except LegiblyError:
            continue
        if len(views) == len(digits):
            for view in views:
                crops += (255 * view.clip(0, 1)).round().astype(np.uint8).tobytes()
            classes += bytes(int(text) for text in digits)
    head = struct.pack(">IIII", 0x803, len(classes), _SIDE, _SIDE)
    yield File("train-images-idx3-ubyte", head + bytes(crops))
    yield File("train-labels-idx1-ubyte", struct.pack(">II", 0x801, len(classes)) + bytes(classes))
