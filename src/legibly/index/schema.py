"""The tables: one row per image with its newest label and reading, one per pair, one per reading in
short, and counters.
"""

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from legibly.labels.agreement import agreement
from legibly.records import (
    UNANSWERED,
    Image,
    Label,
    LabelBox,
    Pair,
    Reading,
    counted_actual,
    moment,
    stamp,
)

VERSION = 7
METADATA = MetaData()

images = Table(
    "images",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("key", Text, nullable=False),
    Column("received_at", String(24), nullable=False),
    Column("media_type", String(40), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("name", Text, nullable=False),  # empty instead of null, so that pages can sort by it
    Column("writer", Text),
    Column("owner", Text),
    Column("batch", String(36)),
    Column("label_text", Text),
    Column("label_at", String(24)),
    Column("label_source", String(12)),
    Column("label_by", Text),
    Column("label_boxes", Text),
    Column("review", String(8)),
    Column("verdict", String(12)),
    Column("text", Text),
    Column("confidence", Float),
    Column("read_at", String(24)),
    Column("reading", Text),
    Column("error", Text),
    Column("attempts", Integer, nullable=False, default=0),
    Column("leased_until", Float, nullable=False, default=0.0),
    Column("sequence", BigInteger, nullable=False, index=True),
    Index("images_by_verdict", "verdict", "id"),
    Index("images_by_text", "text", "id"),
    Index("images_by_label", "label_text", "id"),
    Index("images_by_state", "state", "id"),
    Index("images_by_confidence", "confidence", "id"),
    Index("images_by_name", "name", "id"),
)

# Partial, since most images have none of these: inserts write fewer pages.
_PARTIAL: list[tuple[Index, ColumnElement[bool]]] = [
    (Index(f"images_by_{column.name}", column, images.c.id), column.is_not(None))
    for column in (images.c.writer, images.c.owner, images.c.batch, images.c.review)
]

WRONG = images.c.label_text.is_not(None) & (images.c.label_text != images.c.text)
"""The condition of wrong readings; since these are few, an index of them avoids reading every row.
"""
# The time adds no condition, but keeps SQLite from using this index for wrong readings.
LABELLED = images.c.label_text.is_not(None) & images.c.label_at.is_not(None)
_PARTIAL += [
    (Index("images_wrong", images.c.id), WRONG),
    (Index("images_labelled", images.c.id), LABELLED),
]


def narrow_indexes(dialect: str) -> None:
    """Limit indexes to the rows that they are for, in the words of one dialect: an option named
    before would import PostgreSQL's into every process.
    """
    for index, rows in _PARTIAL:
        index.dialect_options[dialect]["where"] = rows


# Every label ever given: an image's row has the newest one, and the result of reviews.
labels = Table(
    "labels",
    METADATA,
    Column("image", String(36), primary_key=True),
    Column("at", String(24), primary_key=True),
    Column("text", Text),
    Column("source", String(12), nullable=False),
    Column("by", Text),
    Column("boxes", Text),
)

pairs = Table(
    "pairs",
    METADATA,
    Column("image", String(36), primary_key=True),
    Column("model", String(80), primary_key=True),
    Column("labelled_at", String(24), primary_key=True),
    Column("predicted", Text, nullable=False),
    Column("actual", Text),
    Column("confidence", Float, nullable=False),
    Column("writer", Text),
    Column("source", String(12), nullable=False),
)

# Every reading in short, one per image and model: the population that the labels sample.
readings = Table(
    "readings",
    METADATA,
    Column("image", String(36), primary_key=True),
    Column("model", String(80), primary_key=True),
    Column("at", String(24), nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("text", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    sqlite_with_rowid=False,  # only the key is searched: one tree to write instead of two
)

batches = Table(
    "batches",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, index=True),
)

# `sequence` and `owner` are null for deletions from the store: no browser waits for those.
deletions = Table(
    "deletions",
    METADATA,
    Column("image", String(36), primary_key=True),
    Column("sequence", BigInteger, index=True),
    Column("owner", Text),
)

# Numbers of images and readings, which triggers keep (see counting.py); rows may reach 0.
image_counts = Table(
    "image_counts",
    METADATA,
    Column("state", String(8), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
reading_counts = Table(
    "reading_counts",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("model", String(80), primary_key=True),
    Column("verdict", String(12), primary_key=True),
    Column("text", Text, primary_key=True),
    Column("bin", Integer, primary_key=True),
    Column("n", BigInteger, nullable=False),
)

# One row each for the sequence number and the version of this schema.
counters = Table(
    "counters", METADATA, Column("name", String(20), primary_key=True), Column("value", BigInteger)
)


def image_row(image: Image) -> dict[str, Any]:
    """The columns of an image, without its sequence number and lease."""
    return {
        "id": image.id,
        "key": image.key,
        "received_at": stamp(image.received_at),
        "media_type": image.media_type,
        "bytes": image.bytes,
        "state": image.state,
        "width": image.width,
        "height": image.height,
        "name": image.name or "",
        "writer": image.writer,
        "owner": image.owner,
        "batch": image.batch,
        "error": image.error,
        **label_columns(image.label),
        "review": agreement([image.label]) if image.label else None,
        **reading_columns(image.reading),
    }


def label_columns(label: Label | None) -> dict[str, Any]:
    """The columns of an image's newest label; a retracted one keeps its time, to reject older
    labels.
    """
    return {
        "label_text": label.text if label else None,
        "label_at": stamp(label.at) if label else None,
        "label_source": label.source if label else None,
        "label_by": label.by if label else None,
        "label_boxes": _boxes_text(label) if label else None,
    }


def label_row(image: str, label: Label) -> dict[str, Any]:
    """The columns of `labels`."""
    return {"image": image, **label.to_json(), "boxes": _boxes_text(label)}


def _boxes_text(label: Label) -> str | None:
    boxes = [box.to_json() for box in label.boxes]
    return json.dumps(boxes, separators=(",", ":")) if boxes else None


def _boxes_of(text: str | None) -> tuple[LabelBox, ...]:
    return tuple(LabelBox.from_json(box) for box in json.loads(text)) if text else ()


def label_of(row: Any) -> Label:
    """The label of a row of `labels`."""
    boxes = _boxes_of(row.boxes)
    return Label(row.text, moment(row.at), source=row.source, by=row.by, boxes=boxes)


def reading_columns(reading: Reading | None) -> dict[str, Any]:
    """The columns of an image's reading."""
    return {
        "verdict": reading.verdict if reading else None,
        "text": reading.text if reading else None,
        "confidence": reading.confidence if reading else None,
        "read_at": stamp(reading.at) if reading else None,
        "reading": _json_text(reading) if reading else None,
    }


def _json_text(reading: Reading) -> str:
    try:
        return reading.json_text()
    except ValueError:  # a record by another program, with NaN
        return json.dumps(reading.to_json(), separators=(",", ":"))


def reading_row(image: str, reading: Reading) -> dict[str, Any]:
    """The columns of `readings`."""
    return {
        "image": image,
        "model": str(reading.model),
        "at": stamp(reading.at),
        "verdict": reading.verdict,
        "text": reading.text,
        "confidence": reading.confidence,
    }


def image_of(row: Any, reading: Reading | None = None) -> Image:
    """The image of a row of `images`; `reading` is its reading, if known already."""
    if reading is None and row.reading:
        reading = Reading.from_json(json.loads(row.reading))
    label = None
    if row.label_at is not None:
        label = Label(
            row.label_text,
            moment(row.label_at),
            source=row.label_source,
            by=row.label_by,
            boxes=_boxes_of(row.label_boxes),
        )
    return Image(
        id=row.id,
        key=row.key,
        received_at=moment(row.received_at),
        media_type=row.media_type,
        bytes=row.bytes,
        state=row.state,
        width=row.width,
        height=row.height,
        name=row.name or None,
        writer=row.writer,
        owner=row.owner,
        batch=row.batch,
        label=label,
        reading=reading,
        error=row.error,
    )


def pair_row(pair: Pair) -> dict[str, Any]:
    """The columns of a pair; `actual` as it is counted, which accounts for the verdict."""
    columns = {name: value for name, value in pair.to_json().items() if name in pairs.columns}
    return columns | {"actual": counted_actual(pair.predicted, pair.actual, pair.verdict)}


def pair_of(row: Any) -> Pair:
    """The pair of a row of `pairs`."""
    pair = Pair.from_json({column.name: getattr(row, column.name) for column in pairs.columns})
    return replace(pair, actual="", verdict="unsure") if pair.actual == UNANSWERED else pair
