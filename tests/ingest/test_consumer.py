"""The consumer of the records' queue: what others wrote is taken in, however often and in whatever
order.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

import pictures
import services
from legibly import object_keys, pipeline, records
from legibly.index.port import Filter
from legibly.index.sql import open_index
from legibly.ingest.batch import BatchReader
from legibly.ingest.consumer import Consumer, MemoryQueue
from legibly.ingest.external_readers import Elsewhere
from legibly.ingest.s3_documents import Event, Message
from legibly.ingest.sweep import Sweeper
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service, UploadDetails
from legibly.store import open_store
from legibly.vision.reading import Reader


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(open_pack(registry.find("digits")), max_pixels=1_000_000)


@pytest.fixture
def service(tmp_path: Path, reader: Reader) -> Iterator[Service]:
    index = open_index(f"sqlite:///{tmp_path}/index.db")
    store = open_store("memory://", environ={})
    yield Service(
        store=store, index=index, reader=reader, max_bytes=1_000_000, max_pixels=1_000_000
    )
    index.close()


def put(service: Service, key: str, data: bytes | None = None) -> Event:
    service.store.replace(key, pictures.png() if data is None else data)
    stat = service.store.head(key)
    return Event("bucket", key, "created", size=stat.size, at=stat.modified_at)


def function(service: Service, *events: Event) -> list[Event]:
    """What the function does with a delivery; gives the events of the records that it wrote."""
    before = {stat.key for stat in service.store.list("records/")}
    batch_reader = BatchReader(
        store=service.store, reader=service.reader, max_bytes=1_000_000, attempts=1
    )
    batch_reader.read(
        [Message(id=str(number), events=(event,)) for number, event in enumerate(events)]
    )
    after = {stat.key for stat in service.store.list("records/")}
    return [Event("bucket", key, "created") for key in sorted(after - before)]


def images(service: Service) -> list[records.Image]:
    return service.index.page(Filter(), limit=100)


def test_readings_of_a_batch_become_images(service: Service) -> None:
    """Pictures that the index never heard of are there, read, after their record's event; once, if
    it comes again.
    """
    written = function(service, *(put(service, f"images/{number}.png") for number in range(3)))
    consumer = Consumer(service, MemoryQueue())
    message = Message(id="1", events=tuple(written))
    assert consumer.take([message]) == [message]
    matches = images(service)
    assert [image.state for image in matches] == ["read"] * 3
    assert {image.name for image in matches} == {"0.png", "1.png", "2.png"}
    sequence = service.index.sequence()
    assert consumer.take([message, message]) == [message, message]
    assert images(service) == matches
    assert service.index.sequence() >= sequence


def test_failures_are_shown_and_a_later_reading_wins(service: Service) -> None:
    """A failure record marks the image with its reason; it never overrules a reading, whatever came
    first.
    """
    [failed] = function(service, put(service, "images/a.png", b"no picture"))
    consumer = Consumer(service, MemoryQueue())
    consumer.take([Message(id="1", events=(failed,))])
    [image] = images(service)
    assert image.state == "failed"
    assert image.error
    record = records.ReadingRecord(
        image.id, image.key, "image/png", 10, 5, 5, service.reader.read(pictures.png()).reading
    )
    pipeline.write_reading(service.store, record)
    read = Event("bucket", object_keys.reading(image.id, service.reader.model.version), "created")
    consumer.take([Message(id="2", events=(read,))])
    consumer.take([Message(id="3", events=(failed,))])
    [image] = images(service)
    assert (image.state, image.error) == ("read", None)


def test_a_picture_event_makes_a_pending_image(service: Service) -> None:
    """With the pictures' own queue, images become pending for whoever classifies; folder markers do
    not.
    """
    consumer = Consumer(service, MemoryQueue())
    consumer.take(
        [
            Message(
                id="1",
                events=(put(service, "images/a.png"), Event("bucket", "images/x/", "created")),
            )
        ]
    )
    assert [image.state for image in images(service)] == ["pending"]


def test_a_deleted_image_does_not_come_back(service: Service) -> None:
    """Records of an image that a person deleted are passed over, and the message is done."""
    written = function(service, put(service, "images/a.png"), put(service, "images/b.png"))
    message = Message(id="1", events=tuple(written))
    consumer = Consumer(service, MemoryQueue())
    consumer.take([message])
    gone = images(service)[0].id
    service.remove([gone])
    assert consumer.take([message]) == [message]
    assert gone not in {image.id for image in images(service)}


@pytest.mark.parametrize("content", [b"{not json", b'{"image": 7}', b"[]"])
def test_a_broken_record_holds_up_nobody(service: Service, content: bytes) -> None:
    """A record that is none stays in the queue, for its dead letters; the others are taken in."""
    [good] = function(service, put(service, "images/a.png"))
    bad = f"{object_keys.READINGS}date=2026-11-22/x.jsonl"
    service.store.create(bad, content)
    messages = [
        Message(id="bad", events=(Event("bucket", bad, "created"),)),
        Message(id="good", events=(good,)),
    ]
    assert Consumer(service, MemoryQueue()).take(messages) == messages[1:]
    assert [image.state for image in images(service)] == ["read"]


def test_an_announced_upload_comes_with_what_was_said_of_it(service: Service) -> None:
    """Writer, name and label that were given before the picture was put are there when it is, and
    make its pair.
    """
    record = service.announce(
        UploadDetails(name="seven.png", writer="Ada", label=" 7 "), media_type="image/png", size=10
    )
    assert images(service) == []
    written = function(service, put(service, record.key))
    Consumer(service, MemoryQueue()).take([Message(id="1", events=tuple(written))])
    [image] = images(service)
    assert (image.id, image.name, image.writer) == (record.image, "seven.png", "Ada")
    assert image.label
    assert (image.label.text, image.label.source) == ("7", "at_upload")
    assert [pair.actual for pair in service.index.pairs()] == ["7"]


def test_the_thread_follows_and_tells(service: Service) -> None:
    """Started, it takes in what comes and tells of every image; stopped, it ends."""
    summary: list[records.Image] = []
    queue = MemoryQueue()

    def listen(changed: Sequence[records.Image]) -> None:
        summary.extend(changed)

    sweeper = Sweeper(service, seconds=0)
    consumer = Consumer(service, queue, on_change=listen)
    worker = Elsewhere(service, consumer=consumer, sweeper=sweeper, on_change=listen)
    worker.start()
    queue.send(*function(service, put(service, "images/a.png")))
    services.wait_for(lambda: summary, subject="the consumer")
    assert worker.is_alive
    assert summary[0].state == "read"
    worker.stop()
    assert not worker.is_alive


def test_what_nobody_read_in_time_is_read_here(service: Service) -> None:
    """A picture whose event was lost is read by the server itself once it is late, and not
    before.
    """
    service.adopt([service.store.head(put(service, f"images/{name}").key) for name in ("a.png",)])
    service.adopt([service.store.head(put(service, "images/bad.png", b"rubbish").key)])
    sweeper = Sweeper(service, seconds=0)
    patient = Elsewhere(service, consumer=None, sweeper=sweeper, on_change=lambda _images: None)
    assert patient.read_late() == 0
    hasty = Elsewhere(
        service,
        consumer=None,
        sweeper=sweeper,
        on_change=lambda _images: None,
        late=timedelta(seconds=-5),
    )
    assert hasty.read_late() == 2
    assert sorted(image.state for image in images(service)) == ["failed", "read"]


def test_a_late_picture_does_not_wait_behind_newer_ones(service: Service) -> None:
    """It is read although more pictures than one look takes came after it."""
    hour_ago = object_keys.new_id(records.now() - timedelta(hours=1))
    keys = [object_keys.image(hour_ago, "image/png")]
    keys += [object_keys.image(object_keys.new_id(records.now()), "image/png") for _ in range(101)]
    for key in keys:
        put(service, key)
    service.adopt([service.store.head(key) for key in keys])
    sweeper = Sweeper(service, seconds=0)
    elsewhere = Elsewhere(service, consumer=None, sweeper=sweeper, on_change=lambda _images: None)
    assert elsewhere.read_late() == 1
    assert service.index.get(hour_ago).state == "read"
