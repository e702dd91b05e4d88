"""Readings as rows, straight from the lines of record files: a rebuilt index has millions of them.

A line as this version writes it is checked in C and its reading is stored as it stands there. Other
lines, of earlier versions or other programs, go through `ReadingRecord`, which mends or refuses
them.
"""

import json
import re
from typing import NamedTuple

import msgspec

from legibly.index import schema
from legibly.records import ReadingRecord, moment

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class PictureRow(NamedTuple):
    """A picture that a sender uploaded, as columns of its image."""

    id: str
    key: str
    received_at: str
    media_type: str
    bytes: int


class ReadingRow(NamedTuple):
    """What a reading record says: columns of `images`, and the model."""

    id: str
    media_type: str
    width: int
    height: int
    verdict: str
    text: str
    confidence: float
    read_at: str
    reading: str
    model: str


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Has all of its fields and no others."""


class _Facts(_Strict):
    image: str
    key: str
    media_type: str
    bytes: int
    width: int
    height: int


class _Model(_Strict):
    name: str
    version: str


class _Item(_Strict):
    box: tuple[int, int, int, int]
    label: str
    confidence: float
    probabilities: dict[str, float]
    legibility: float | None
    confused_with: str | None
    kind: str


class _Reading(_Strict):
    verdict: str
    text: str
    confidence: float
    model: _Model
    at: str
    items: list[_Item]
    milliseconds: dict[str, float]
    left_out: float | None = None
    keeps: str = "digits"


_facts = msgspec.json.Decoder(_Facts).decode
_reading = msgspec.json.Decoder(_Reading).decode


def of_line(line: bytes) -> ReadingRow:
    """The row of a line. Raises what `json` and `ReadingRecord.from_json` raise."""
    return of_own_line(line) or of_record(ReadingRecord.from_json(json.loads(line)))


def of_record(record: ReadingRecord) -> ReadingRow:
    """The row of a record."""
    columns = schema.reading_columns(record.reading)
    facts = (record.image, record.media_type, record.width, record.height)
    return ReadingRow(*facts, **columns, model=str(record.reading.model))


def of_own_line(line: bytes) -> ReadingRow | None:
    """The row of a line that is as `ReadingRecord.json_text` writes it; None of others."""
    head, _, tail = line.partition(b',"verdict":')  # no string of JSON can hold these characters
    document = b'{"verdict":' + tail
    try:
        facts = _facts(head + b"}")
        reading = _reading(document)
        if not _STAMP.fullmatch(reading.at):
            return None
        moment(reading.at)
        text = document.decode()
    except ValueError:
        return None
    return ReadingRow(
        facts.image,
        facts.media_type,
        facts.width,
        facts.height,
        reading.verdict,
        reading.text,
        reading.confidence,
        reading.at,
        text,
        f"{reading.model.name}@{reading.model.version}",
    )
