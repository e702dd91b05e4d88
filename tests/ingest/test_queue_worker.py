"""A process that reads what a queue tells of."""

from pathlib import Path

import pictures
from legibly import object_keys
from legibly.ingest.consumer import MemoryQueue
from legibly.ingest.project_readers import ProjectReaders
from legibly.ingest.queue_worker import QueueWorker
from legibly.ingest.s3_documents import Event
from legibly.settings import Settings
from legibly.store import open_store


def test_what_is_read_is_done(tmp_path: Path) -> None:
    """A picture that is there is read and its message done."""
    store = open_store(f"file://{tmp_path}", environ={})
    store.create("images/a b.png", pictures.png())
    stat = store.head("images/a b.png")
    queue = MemoryQueue()
    settings = Settings(store=f"file://{tmp_path}")
    worker = QueueWorker(queue, ProjectReaders(settings, environ={}))
    queue.send(
        Event("bucket", "images/a b.png", "created", size=stat.size, etag=None, at=stat.modified_at)
    )
    assert worker.work_once(wait_seconds=1) == 1
    assert len(list(store.list(object_keys.READINGS))) == 1
    assert worker.work_once(wait_seconds=0) == 0
