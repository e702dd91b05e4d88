"""A process that reads what a queue tells of."""

from pathlib import Path

import pictures
from legibly import object_keys
from legibly.ingest.batch import BatchReader
from legibly.ingest.consumer import MemoryQueue
from legibly.ingest.queue_worker import QueueWorker
from legibly.ingest.s3_documents import Event
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.store import open_store
from legibly.vision.reading import Reader


def test_what_is_read_is_done(tmp_path: Path) -> None:
    """A picture that is there is read and its message done."""
    store = open_store(f"file://{tmp_path}", environ={})
    store.create("images/a b.png", pictures.png())
    stat = store.head("images/a b.png")
    queue = MemoryQueue()
    reader = Reader(open_pack(registry.find("digits")))
    worker = QueueWorker(
        queue, BatchReader(store=store, reader=reader, max_bytes=10**6, attempts=3)
    )
    queue.send(
        Event("bucket", "images/a b.png", "created", size=stat.size, etag=None, at=stat.modified_at)
    )
    assert worker.work_once(wait_seconds=1) == 1
    assert len(list(store.list(object_keys.READINGS))) == 1
    assert worker.work_once(wait_seconds=0) == 0
