"""Imports true labels of stored images from a CSV file."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

from legibly.errors import Invalid
from legibly.index.port import Filter, Index
from legibly.records import Image

_ID = ("id", "image", "legibly_id")
_FILE = ("file", "file_name", "filename", "name")
_LABEL = ("label", "text", "digit", "class", "true_text")
_MAX_IMAGES_OF_NAME = 50


class Row(NamedTuple):
    """One line: the image by its id or its file's name, and its label."""

    image_id: str
    name: str
    label: str


def rows(data: bytes) -> Iterator[Row]:
    """The lines with a label. Raises Invalid for a file of another kind."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("this is not a CSV file in UTF-8.", remedy="Save it as UTF-8.") from error
    head = text.split("\n", 1)[0]
    separator = next((sign for sign in ",;\t" if sign in head), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}

    def column(names: tuple[str, ...]) -> str | None:
        return next((columns[name] for name in names if name in columns), None)

    image_id, file, label = (column(names) for names in (_ID, _FILE, _LABEL))
    if label is None or (image_id is None and file is None):
        raise Invalid(
            "this table has no columns for images and labels.",
            remedy="Add the columns file (or id) and label.",
        )
    for line in reader:
        values = [
            (line.get(name) or "").strip() if name else "" for name in (image_id, file, label)
        ]
        if values[2]:
            yield Row(*values)


def images_of(row: Row, index: Index, *, may_see: Callable[[Image], bool]) -> list[Image]:
    """The images of a line: one by its id, or all with that file name."""
    if row.image_id:
        return [image for image in _by_id(row.image_id, index) if may_see(image)]
    matches = index.page(Filter(search=row.name), limit=_MAX_IMAGES_OF_NAME) if row.name else []
    return [image for image in matches if image.name == row.name and may_see(image)]


def _by_id(image_id: str, index: Index) -> list[Image]:
    return [index.get(image_id)] if image_id in index.known([image_id]) else []
