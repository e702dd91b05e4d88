"""What a deployment of many images waits for first: the consumer's inserts, and a rebuilt index.

    python benchmarks/scale.py [--images 20000] [--database postgresql://…/empty] [--one 4000]

Images are synthetic: pictures of a few bytes that the app has taken in, readings in record files of
40 (what a function's batch writes) and of one, in a store in memory; live pages are streams of one
process, without sockets. Rates are images per second of
the wall clock, and of processor time in this process, which a busy machine changes less.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from legibly import object_keys
from legibly.index.sql import SqlIndex, open_index
from legibly.ingest.consumer import Consumer, MemoryQueue
from legibly.ingest.s3_documents import Event, Message
from legibly.ingest.stored_packs import open_any
from legibly.iteration import batched
from legibly.pipeline import Service, image_of
from legibly.records import Item, Model, Reading, ReadingRecord
from legibly.reindex import reindex
from legibly.store import Stat, Store, open_store, record_files
from legibly.vision.reading import Reader
from legibly.web.live_hub import Hub

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
IN_A_FILE = 40
IN_A_DELIVERY = 10
"""Messages of a queue that are received together."""


def record(number: int, model: Model) -> ReadingRecord:
    """The reading of one image; 400,000 of them lie on a day."""
    at = BEGIN + timedelta(milliseconds=216 * number)
    image = object_keys.new_id(at)
    text = str(number % 10)
    probabilities = {str(digit): 0.001 for digit in range(10)} | {text: 0.99}
    item = Item((60, 50, 150, 180), text, 0.99, probabilities, 0.9, "1")
    reading = Reading("read", text, 0.99, model, at, (item,))
    key = object_keys.image(image, "image/png")
    return ReadingRecord(image, key, "image/png", 2614, 280, 280, reading=reading)


def write(store: Store, records: Sequence[ReadingRecord], each: int) -> list[str]:
    """Pictures and record files; returns the keys of the files."""
    keys = []
    for several in batched(records, each):
        for entry in several:
            store.create(entry.key, b"picture")
        version = several[0].reading.model.version
        images = [entry.image for entry in several]
        at = several[0].reading.at
        key = object_keys.batch(images, version, at) if each > 1 else ""
        key = key or object_keys.reading(images[0], version)
        store.create(key, b"".join(record_files.line(entry.to_json()) for entry in several))
        keys.append(key)
    return keys


def consume(service: Service, keys: Sequence[str]) -> None:
    """Take in record files as deliveries of a queue."""
    consumer = Consumer(service, MemoryQueue())
    messages = [Message(id=key, events=(Event("bucket", key, "created"),)) for key in keys]
    for delivery in batched(messages, IN_A_DELIVERY):
        if len(consumer.take(delivery)) < len(delivery):
            raise SystemExit("a delivery was not taken in")


def measure(name: str, count: int, work: Callable[[], object]) -> None:
    """Run once, and print images per second."""
    began = time.perf_counter()
    before = time.process_time()
    work()
    wall = count / (time.perf_counter() - began)
    processor = count / (time.process_time() - before)
    print(f"| {name} | {wall:,.0f} | {processor:,.0f} |", flush=True)


def run(database: str, each: int, count: int) -> None:
    """Consume and rebuild one store with record files of that size."""
    store = open_store("memory://", environ=os.environ)
    index: SqlIndex = open_index(database)
    pack = open_any("digits", environ=os.environ)
    reader = Reader(pack, max_pixels=50_000_000)
    service = Service(
        store=store, index=index, reader=reader, max_bytes=10_000_000, max_pixels=50_000_000
    )
    records = [record(number, reader.model) for number in range(count)]
    keys = write(store, records, each)
    index.add([image_of(Stat(entry.key, 2614, BEGIN, None), None) for entry in records])
    name = f"record files of {each}"
    measure(f"consumer, {name}", count, lambda: consume(service, keys))
    measure(f"reindex, {name}", count, lambda: reindex(store, index))
    if index.counts().get("read") != count:
        raise SystemExit(f"{index.counts()} instead of {count} read images")
    index.close()


def deliver(index: SqlIndex, pages: int, changes: int) -> None:
    """Send changes of images to so many pages of one process, as texts; prints the rate."""
    hub = Hub(index, document=lambda image: image.to_json())
    heard = asyncio.Queue[str]()

    async def listen() -> None:
        async for text in hub.stream(after=index.sequence()):
            heard.put_nowait(text)

    async def send(count: int) -> None:
        records = [record(number, Model("digits", "a" * 12)) for number in range(count)]
        images = [image_of(Stat(entry.key, 2614, BEGIN, None), None) for entry in records]
        index.add(images)
        index.apply_readings(records)
        hub.wake()
        for _ in range(count * pages):
            await heard.get()

    async def begin() -> list[asyncio.Task[None]]:
        await hub.start()
        tasks = [asyncio.create_task(listen()) for _ in range(pages)]
        for _ in range(pages):
            await heard.get()
        await asyncio.sleep(2)  # until each has looked for what it missed
        await send(1)
        return tasks

    with asyncio.Runner() as runner:
        runner.run(begin())
        name = f"deliveries to {pages:,} live pages"
        measure(name, changes * pages, lambda: runner.run(send(changes)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--one", type=int, default=4_000, help="images with a record file each")
    parser.add_argument("--listeners", type=int, default=1_000, help="live pages of one process")
    parser.add_argument("--database", default="", help="SQLite in a temporary folder, unless given")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| work | images a second | of processor time |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for each, count in ((IN_A_FILE, arguments.images), (1, arguments.one)):
            database = arguments.database or f"sqlite:///{name}/{each}.db"
            run(database, each, count)
        index = open_index(f"sqlite:///{name}/live.db")
        deliver(index, arguments.listeners, 100)
        index.close()


if __name__ == "__main__":
    main()
