"""A delivery of messages, read into record files: exact under retries, cuts, replacements and
rubbish.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import pictures
from legibly import errors, object_keys, records
from legibly.ingest.batch import BatchReader
from legibly.ingest.s3_documents import Event, Message
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Reader as ReaderPort
from legibly.store import Store, open_store
from legibly.vision.reading import Reader, Result

ATTEMPTS = 3


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(open_pack(registry.find("digits")), max_pixels=1_000_000)


@pytest.fixture
def store() -> Store:
    return open_store("memory://", environ={})


def batch_reader(store: Store, reader: ReaderPort) -> BatchReader:
    return BatchReader(store=store, reader=reader, max_bytes=1_000_000, attempts=ATTEMPTS)


def put(store: Store, key: str, data: bytes | None = None) -> Event:
    """Put a picture, and give the event that S3 would send."""
    store.replace(key, pictures.png() if data is None else data)
    stat = store.head(key)
    etag = (stat.etag or "").strip('"') or None
    return Event("bucket", key, "created", size=stat.size, etag=etag, at=stat.modified_at)


def message(number: int, *events: Event, receives: int = 1, redriven: bool = False) -> Message:
    since = datetime.now(UTC) - timedelta(seconds=60)
    return Message(
        id=f"m{number}", events=events, receives=receives, since=since, redriven=redriven
    )


def readings(store: Store) -> list[records.ReadingRecord]:
    return [records.ReadingRecord.from_json(data) for data in lines(store, object_keys.READINGS)]


def failures(store: Store) -> list[records.FailureRecord]:
    return [records.FailureRecord.from_json(data) for data in lines(store, object_keys.FAILURES)]


def lines(store: Store, folder: str) -> Iterator[records.Json]:
    for stat in store.list(folder):
        yield from (json.loads(line) for line in store.read(stat.key).splitlines())


def test_a_batch_becomes_one_file_and_a_single_picture_its_own(
    store: Store, reader: Reader
) -> None:
    """Ten messages write one record file with ten lines; one message the file named after image and
    model.
    """
    batch = [message(number, put(store, f"images/{number}.png")) for number in range(10)]
    assert batch_reader(store, reader).read(batch) == []
    [file] = list(store.list(object_keys.READINGS))
    assert sorted(record.key for record in readings(store)) == [
        f"images/{number}.png" for number in range(10)
    ]
    assert all(
        object_keys.holds(file.key, record.image, reader.model.version)
        for record in readings(store)
    )
    assert batch_reader(store, reader).read([message(10, put(store, "images/one.png"))]) == []
    [alone] = [record for record in readings(store) if record.key == "images/one.png"]
    assert store.head(object_keys.reading(alone.image, reader.model.version)).size


def test_a_delivery_that_comes_again_after_it_was_written_writes_nothing(
    store: Store, reader: Reader
) -> None:
    """The function is killed after writing: the same messages, in other company, double nothing and
    lose nothing.
    """
    events = [put(store, f"images/{number}.png") for number in range(4)]
    batch_reader(store, reader).read(
        [message(number, event) for number, event in enumerate(events[:3])]
    )
    late = put(store, "images/late.png")
    again = [message(0, events[0], receives=2), message(3, events[3]), message(9, late)]
    assert batch_reader(store, reader).read(again) == []
    assert (
        batch_reader(store, reader).read(
            [message(number, events[number], receives=2) for number in (1, 2)]
        )
        == []
    )
    assert sorted(record.key for record in readings(store)) == [
        *(f"images/{n}.png" for n in range(4)),
        "images/late.png",
    ]


def test_a_dead_letter_put_back_is_read_once(store: Store, reader: Reader) -> None:
    """A message put back counts as delivered before, though its queue says that it is new."""
    event = put(store, "images/a.png")
    assert (
        batch_reader(store, reader).read(
            [message(1, event), message(2, put(store, "images/b.png"))]
        )
        == []
    )
    assert batch_reader(store, reader).read([message(3, event, redriven=True)]) == []
    assert len(readings(store)) == 2


def test_one_picture_told_of_twice_in_a_batch_is_read_once(store: Store, reader: Reader) -> None:
    """Duplicates within a delivery cost nothing."""
    event = put(store, "images/a.png")
    assert batch_reader(store, reader).read([message(1, event, event), message(2, event)]) == []
    assert len(readings(store)) == 1


def test_an_event_of_a_picture_that_was_replaced_is_passed_over(
    store: Store, reader: Reader
) -> None:
    """Old and new event in either order: the present picture is read, once."""
    old = put(store, "images/a.png", pictures.png(pictures.ONE))
    new = put(store, "images/a.png", pictures.png(pictures.ZERO))
    assert batch_reader(store, reader).read([message(1, new)]) == []
    assert batch_reader(store, reader).read([message(2, old)]) == []
    [record] = readings(store)
    assert record.reading.text == "0"


def test_what_is_gone_or_none_of_ours_is_done_with(store: Store, reader: Reader) -> None:
    """Deleted before the event, deletions, folder markers, our own records, strangers: done,
    nothing written.
    """
    gone = put(store, "images/a.png")
    store.remove([gone.key])
    others = [
        Event("bucket", key, "created", size=0)
        for key in ("images/folder/", "records/readings/x.jsonl", "else/b.png")
    ]
    removed = Event("bucket", "images/c.png", "removed")
    assert (
        batch_reader(store, reader).read(
            [message(1, gone), message(2, *others), message(3, removed)]
        )
        == []
    )
    assert readings(store) == []
    assert failures(store) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ""),
        (b"hello, no picture", ""),
        (pictures.png()[:300], ""),
        (b"\x89PNG" * 300_000, "bytes"),
    ],
)
def test_what_can_never_be_read_is_written_down_at_once(
    store: Store, reader: Reader, data: bytes, reason: str
) -> None:
    """Empty, no image, cut off, too large: one failure record with the reason, no retry, and the
    others are read.
    """
    bad = put(store, "images/bad.png", data)
    good = put(store, "images/good.png")
    assert batch_reader(store, reader).read([message(1, bad), message(2, good)]) == []
    [failure] = failures(store)
    assert (failure.key, failure.image) == (
        "images/bad.png",
        object_keys.image_id(bad.key, store.head(bad.key).modified_at),
    )
    assert reason in failure.error
    assert [record.key for record in readings(store)] == ["images/good.png"]


class Broken:
    """A reader whose model server is away, or that breaks, on every picture or on those with a
    mark.
    """

    def __init__(self, reader: Reader, error: Callable[[], Exception]) -> None:
        self.model = reader.model
        self._reader = reader
        self._error = error
        self.is_broken = True

    def read(self, data: bytes) -> Result:
        if self.is_broken:
            raise self._error()
        return self._reader.read(data)


@pytest.mark.parametrize(
    "error", [lambda: errors.Unavailable("the model server is away."), lambda: MemoryError()]
)
def test_what_may_pass_is_left_to_the_queue_and_written_down_last(
    store: Store, reader: Reader, error: Callable[[], Exception]
) -> None:
    """Until the last try nothing is written; on the last the reason is; put back after mending, it
    is read.
    """
    broken = Broken(reader, error)
    event = put(store, "images/a.png")
    for receives in range(1, ATTEMPTS):
        assert batch_reader(store, broken).read([message(1, event, receives=receives)]) == ["m1"]
    assert failures(store) == []
    assert batch_reader(store, broken).read([message(1, event, receives=ATTEMPTS)]) == ["m1"]
    [failure] = failures(store)
    assert f"tried {ATTEMPTS} times" in failure.error
    broken.is_broken = False
    assert batch_reader(store, broken).read([message(2, event, redriven=True)]) == []
    assert len(readings(store)) == 1


def test_a_message_that_cannot_be_understood_comes_again_alone(
    store: Store, reader: Reader
) -> None:
    """It is named for the queue's retries, and harms no other."""
    good = message(2, put(store, "images/a.png"))
    assert batch_reader(store, reader).read([Message(id="m1", error="is not JSON"), good]) == ["m1"]
    assert len(readings(store)) == 1


def test_a_store_that_cannot_be_written_loses_nothing(tmp_path: Path, reader: Reader) -> None:
    """Where the record file cannot be written, every message of it comes again; after mending all
    is there.
    """
    store = open_store(f"file://{tmp_path}/store", environ={})
    batch = [message(number, put(store, f"images/{number}.png")) for number in range(3)]
    (tmp_path / "store" / "records").write_text("a file where a folder should be")
    assert batch_reader(store, reader).read(batch) == ["m0", "m1", "m2"]
    (tmp_path / "store" / "records").unlink()
    assert batch_reader(store, reader).read(batch) == []
    assert len(readings(store)) == 3


def test_poison_messages_fail_alone(store: Store, reader: Reader) -> None:
    """A key with half a character and an event of 1960 cost no other message of their batch."""
    good = [message(number, put(store, f"images/{number}.png")) for number in range(3)]
    half = Event("bucket", "images/\ud800.png", "created")
    early = Event("bucket", "images/old.png", "created", at=datetime(1960, 1, 1, tzinfo=UTC))
    batch = [*good, message(8, half), message(9, early)]
    assert {"m0", "m1", "m2"}.isdisjoint(batch_reader(store, reader).read(batch))
    assert len(readings(store)) == 3


def test_a_key_that_was_not_encoded_is_read_literally(store: Store, reader: Reader) -> None:
    """Where nothing is at the decoded key, the key as it was sent is tried: some forget to
    encode.
    """
    put(store, "images/a+b.png")
    event = Event("bucket", "images/a b.png", "created", literal_key="images/a+b.png")
    assert batch_reader(store, reader).read([message(1, event)]) == []
    assert [record.key for record in readings(store)] == ["images/a+b.png"]
