"""An index that is rebuilt from the store is the one that events and people filled, row by row."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from legibly import object_keys
from legibly.index import record_rows, schema
from legibly.index.sql import SqlIndex
from legibly.ingest.consumer import Consumer, MemoryQueue
from legibly.ingest.s3_documents import Event, Message
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service, image_of
from legibly.records import FailureRecord, Item, Model, Reading, ReadingRecord, UploadRecord
from legibly.reindex import reindex
from legibly.store import Stat, Store, open_store
from legibly.store.record_files import READING_ERRORS, line
from legibly.vision.reading import Reader

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
PASSING = {"sequence", "attempts", "leased_until", "owner"}
"""Columns that say how an index came to know a thing, not what it knows (`owner`: of deletions)."""


def record(
    number: int, *, model: str = "a" * 12, seconds: float = 0, text: str = "7"
) -> ReadingRecord:
    """A reading of image `number`."""
    taken_at = AT + timedelta(milliseconds=number)
    image = f"{object_keys.new_id(taken_at)[:13]}-7000-8000-{number:012d}"
    item = Item((1, 2, 30, 40), text, 0.9, {"7": 0.9, "1": 0.1}, 0.5, "1")
    statement = Reading(
        "read",
        text,
        0.9,
        Model("digits", model),
        taken_at + timedelta(seconds=seconds),
        (item,),
        {"read": 1.5},
        left_out=0.25 if number % 2 else None,
    )
    key = object_keys.image(image, "image/png")
    return ReadingRecord(image, key, "image/png", 7, 28, 29, statement)


RECORDS = [record(number) for number in range(8)]
READ_AGAIN = record(1, model="b" * 12, seconds=9, text="1")
READ_BEFORE = record(2, model="c" * 12, seconds=-9, text="4")
MOVED = record(3, seconds=5, text="3")
UPLOADED = RECORDS[4].image
FAILED = RECORDS[6].image
DELETED = RECORDS[7].image


def written(store: Store) -> list[str]:
    """A store as its writers leave it; returns the keys in the order of their events."""
    for entry in RECORDS:
        store.create(entry.key, b"picture")
    upload = UploadRecord(UPLOADED, RECORDS[4].key, "image/png", 7, "a b.png", "Ada", None, None)
    store.create(object_keys.upload(UPLOADED), line(upload.to_json()))
    failure = FailureRecord(FAILED, RECORDS[6].key, 7, 28, 29, "torn", AT)
    odd = RECORDS[5].to_json() | {"written_by": "another program"}
    odd["items"][0].pop("kind")  # as version 0.1 wrote it
    files = {
        object_keys.failure(FAILED, "a" * 12): [failure.to_json()],
        "records/readings/date=2026-01-01/a.jsonl": [entry.to_json() for entry in RECORDS[:5]],
        "records/readings/date=2026-01-01/b.jsonl": [odd, RECORDS[7].to_json()],
        "records/readings/date=2026-01-01/c.jsonl": [
            entry.to_json() for entry in (READ_AGAIN, READ_BEFORE, MOVED, RECORDS[0])
        ],
    }
    for key, lines in files.items():
        store.create(key, b"".join(map(line, lines)))
    return [*(entry.key for entry in RECORDS), *files]


def rows(index: SqlIndex, table: sa.Table) -> list[dict[str, object]]:
    """All rows of a table, but for what passes and numbers at 0; readings as what they say."""
    columns = [column for column in table.columns if column.name not in PASSING]
    with index.engine.connect() as connection:
        entries = [dict(row._mapping) for row in connection.execute(sa.select(*columns))]
    for row in entries:
        if row.get("reading"):
            row["reading"] = Reading.from_json(json.loads(str(row["reading"])))
    return sorted((row for row in entries if row.get("n") != 0), key=str)


def test_a_rebuilt_index_is_the_same_row_by_row(index: SqlIndex) -> None:
    """Readings of several models and of two times, lines of other programs, names, labels, pairs,
    failures and deletions: the rows are those that events and people made, and so are the indexes
    and keys; numbers of rows are right, and follow what comes later.
    """
    store = open_store("memory://", environ={})
    reader = Reader(open_pack(registry.find("digits")))
    service = Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**7)
    events = [Event("bucket", key, "created") for key in written(store)]
    consumer = Consumer(service, MemoryQueue())
    for event in events:
        assert consumer.take([Message(id="1", events=(event,))])
    service.remove([DELETED])
    service.label(UPLOADED, "7")
    service.label(RECORDS[0].image, "1")
    tables = schema.METADATA.sorted_tables
    before = {table.name: rows(index, table) for table in tables if table.name != "counters"}
    indexes = sa.inspect(index.engine).get_indexes("images")
    keys = primary_keys(index)
    assert reindex(store, index) == len(RECORDS) - 1
    for table in tables:
        if table.name != "counters":
            assert rows(index, table) == before[table.name], table.name
    names = {entry["name"] for entry in indexes}
    assert {entry["name"] for entry in sa.inspect(index.engine).get_indexes("images")} == names
    assert primary_keys(index) == keys
    assert is_logged(index)


def primary_keys(index: SqlIndex) -> list[object]:
    inspector = sa.inspect(index.engine)
    return [inspector.get_pk_constraint(table.name) for table in schema.METADATA.sorted_tables]


def is_logged(index: SqlIndex) -> bool:
    """Whether the rows of images survive a crash of PostgreSQL."""
    if index.engine.dialect.name == "sqlite":
        return True
    query = "SELECT relpersistence FROM pg_class WHERE oid = 'images'::regclass"
    with index.engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar_one() in ("p", b"p")


def test_lines_of_this_version_need_no_record() -> None:
    """Every reading that a record writes becomes a row without one, and the row is the same."""
    for entry in (*RECORDS, READ_AGAIN):
        text = entry.json_text().encode()
        assert record_rows.of_own_line(text) == record_rows.of_record(entry)
        assert record_rows.of_own_line(line(entry.to_json()).rstrip()) is not None
        assert record_rows.of_line(text) == record_rows.of_record(entry)


def test_lines_that_are_not_as_this_version_writes_them_go_through_a_record() -> None:
    """NaN, other fields and other forms of a time: mended or refused as ever, never stored."""
    text = RECORDS[0].json_text()
    mended = text.replace('"confidence":0.9', '"confidence":NaN')
    assert record_rows.of_own_line(mended.encode()) is None
    assert record_rows.of_line(mended.encode()).confidence == 0
    later = text.replace("T12:00:00.000Z", "T13:00:00+01:00")
    assert record_rows.of_line(later.encode()) == record_rows.of_record(RECORDS[0])
    for torn in (text[:-1], text.replace("2026-01-01T", "2026-13-01T"), "[]", '{"image":7}'):
        with pytest.raises(READING_ERRORS):
            record_rows.of_line(torn.encode())


def test_many_readings_enter_as_few_do(index: SqlIndex) -> None:
    """A delivery of many, among them two of one image and those of images that nobody knows,
    changes what it changes piece by piece, and says the same.
    """
    entries = [record(number) for number in range(60)]
    pictures = [Stat(entry.key, 7, AT, None) for entry in entries]
    later = record(5, seconds=5, text="5")
    unknown = record(99)
    index.add([image_of(picture, None) for picture in pictures])
    index.remove(entries[7].image)
    sequence = index.sequence()
    changed = index.apply_readings([*entries, later, unknown])
    ids = {entry.image for entry in entries} - {entries[7].image}
    assert {image.id for image in changed} == ids
    assert {change[0] for change in index.changes(sequence, limit=99)} <= set(
        range(sequence + 1, sequence + 63)
    )
    assert len(index.changes(sequence, limit=99)) == 59
    assert index.get(later.image).reading == later.reading
    before = [rows(index, table) for table in (schema.images, schema.readings)]
    for entry in (*entries, later, unknown):
        index.apply_readings([entry])
    assert [rows(index, table) for table in (schema.images, schema.readings)] == before
