"""Records survive their way through JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from legibly.records import (
    FailureRecord,
    Image,
    Item,
    Label,
    LabelRecord,
    Model,
    Pair,
    Reading,
    ReadingRecord,
    UploadRecord,
    moment,
    stamp,
)

AT = datetime(2026, 11, 22, 10, 30, 0, 123000, UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAYBE = st.none() | TEXT


@given(TEXT, MAYBE, st.floats(0, 1))
def test_every_record_comes_back_equal(text: str, maybe: str | None, confidence: float) -> None:
    """to_json, JSON text and from_json give an equal record, whatever the texts hold."""
    item = Item((1, 2, 3, 4), text, confidence, {text: confidence}, None, maybe)
    reading = Reading("read", text, confidence, Model("digits", "abc"), AT, (item,), {"find": 1.5})
    for record in (
        ReadingRecord("i", "k", "image/png", 1, 2, 3, reading),
        FailureRecord("i", "k", 1, None, None, text, AT),
        LabelRecord("i", Label(maybe, AT, "asked", maybe)),
        Pair("i", text, maybe, confidence, "m@v", maybe, "asked", AT),
        UploadRecord("i", "k", "image/png", 3, maybe, maybe, maybe),
    ):
        assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


@given(TEXT, MAYBE, st.floats(0, 1))
def test_texts_of_records_hold_what_their_json_holds(
    text: str, maybe: str | None, confidence: float
) -> None:
    """What is written out of parts that are texts already is the JSON of the complete record."""
    item = Item((1, 2, 3, 4), text, confidence, {text: confidence}, None, maybe)
    reading = Reading("read", text, confidence, Model("digits", "abc"), AT, (item,), {"find": 1.5})
    record = ReadingRecord("i", "k", "image/png", 1, 2, 3, reading)
    assert json.loads(record.json_text()) == record.to_json()
    image = Image("i", "k", AT, "image/png", 3, "read", name=maybe, writer=text)
    for each in (image, replace(image, reading=reading)):
        assert json.loads(each.json_text(ask=True)) == {**each.to_json(), "ask": True}


def test_moments_are_utc_to_the_millisecond_and_sort_as_text() -> None:
    """What is written can be read, other offsets included, and earlier is smaller."""
    assert stamp(AT) == "2026-11-22T10:30:00.123Z"
    assert moment(stamp(AT)) == AT == moment("2026-11-22T12:30:00.123+02:00")
