"""Exports pictures with their readings and labels as CSV, JSON or ZIP.

Downloads are streamed, so that a hundred thousand pictures fit too.
"""

import csv
import io
import json
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from legibly.errors import LegiblyError
from legibly.exchange import training_formats
from legibly.exchange.training_formats import File, Inputs
from legibly.index.port import Filter, Index, cursor_of
from legibly.iteration import batched
from legibly.labels.rules import NOTHING
from legibly.records import Image, stamp
from legibly.statistics import aggregates
from legibly.store import Store

Format = Literal["csv", "json", "zip", "folders.zip", "imagefolder.zip", "coco.zip", "idx.zip"]
_JSON = "application/json"
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": _JSON, "zip": "application/zip"}
COLUMNS = (
    *("id", "name", "received_at", "writer", "verdict", "text", "confidence"),
    *("label", "label_at", "width", "height"),
)
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A digit in a text by its true class and its reading. "" means no digit, None means any.

    Digits are aligned as in the accuracy report, so that a cell of its table selects its own
    pictures; texts of `single_label_models` are a single label.
    """

    actual: str | None
    predicted: str | None
    single_label_models: Collection[str] = ()

    def holds(self, image: Image) -> bool:
        """Whether any digit of a labelled image matches."""
        if image.reading is None or image.label is None or image.label.text is None:
            return False
        single = aggregates.is_single_label(image.reading.model.name, self.single_label_models)
        return any(
            self.actual in (None, actual) and self.predicted in (None, predicted)
            for predicted, actual in aggregates.aligned_labels(
                image.reading.text, image.label.text, single=single
            )
            or ()
        )

    @classmethod
    def of(
        cls,
        actual: str | None,
        predicted: str | None,
        *,
        single_label_models: Callable[[], Collection[str]] = tuple,
    ) -> "Place | None":
        """The place by_ids in an address, with `∅` for no digit.

        None, without calling `single_label_models`, if the address names no place.
        """
        if not actual and not predicted:
            return None
        true, predicted = (
            value.replace("∅", "") if value else None for value in (actual, predicted)
        )
        return cls(true, predicted, single_label_models())


def matching(
    index: Index, image_filter: Filter, *, place: Place | None = None, after: str | None = None
) -> Iterator[Image]:
    """The images after the id `after` that match a filter and have such a place, newest first."""
    if place is not None:
        is_complete = None not in (place.actual, place.predicted)
        differ = is_complete and place.actual != place.predicted
        image_filter = replace(image_filter, labelled=True, wrong=image_filter.wrong or differ)
    while page := index.page(image_filter, limit=_PAGE, after=after):
        yield from page if place is None else filter(place.holds, page)
        after = cursor_of(page[-1], image_filter.sort)


def by_ids(
    index: Index, ids: Iterable[str], *, may_see: Callable[[Image], bool]
) -> Iterator[Image]:
    """The images with these ids in order, except unknown and invisible ones."""
    for batch in batched(ids, _PAGE):
        yield from filter(may_see, index.several(batch).values())


def stream(
    images: Iterable[Image], kind: Format, *, store: Store, inputs: Inputs
) -> Iterator[bytes]:
    """The chunks of a download."""
    if kind == "csv":
        return _csv(images)
    if kind == "json":
        return _json(images)
    if kind == "zip":
        return _zip(_with_tables(images, store))
    return _zip(training_formats.files(images, kind, store=store, inputs=inputs))


def _csv(images: Iterable[Image]) -> Iterator[bytes]:
    yield "\ufeff".encode() + _row(COLUMNS)  # for spreadsheets
    for image in images:
        yield _row(_cells(image))


def _cells(image: Image) -> list[str]:
    reading = image.reading
    facts = [image.id, image.name or "", stamp(image.received_at), image.writer or ""]
    read = [reading.verdict, reading.text, f"{reading.confidence:.6f}"] if reading else [""] * 3
    label = image.label if image.label and image.label.text is not None else None
    truth = [label.text or NOTHING, stamp(label.at)] if label else ["", ""]
    size = [str(image.width or ""), str(image.height or "")]
    return [harmless(text) for text in (*facts, *read, *truth, *size)]


def harmless(text: str) -> str:
    """A cell that no spreadsheet reads as a formula, not even with full-width signs."""
    first = unicodedata.normalize("NFKC", text[:1])
    return f"'{text}" if first in ("=", "+", "-", "@", "\t", "\r") else text


def _row(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def _json(images: Iterable[Image]) -> Iterator[bytes]:
    yield b"["
    for at, image in enumerate(images):
        yield (b",\n" if at else b"\n") + json.dumps(image.to_json(), ensure_ascii=False).encode()
    yield b"\n]\n"


class _Pipe(io.RawIOBase):
    """A writable buffer for a zip file that is streamed in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._buffer += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._buffer)
        self._buffer = bytearray()
        return taken


def _zip(files: Iterable[File]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(name, data)
            yield pipe.take()
    yield pipe.take()


def _with_tables(images: Iterable[Image], store: Store) -> Iterator[File]:
    """Pictures by id, with `images.csv` and `images.json`; skips missing pictures."""
    included = []
    for image in images:
        try:
            data = store.read(image.key)
        except LegiblyError:
            continue
        included.append(image)
        yield File(f"images/{image.id}.{image.key.rpartition('.')[2]}", data)
    yield File("images.csv", b"".join(_csv(included)))
    yield File("images.json", b"".join(_json(included)))
