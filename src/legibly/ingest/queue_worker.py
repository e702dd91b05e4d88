"""Reads the pictures announced in a queue, without an index, as the Lambda function does."""

import logging
import threading

from legibly.errors import Forbidden, Unavailable
from legibly.ingest import retry
from legibly.ingest.consumer import Queue
from legibly.ingest.project_readers import ProjectReaders

_log = logging.getLogger(__name__)


class QueueWorker:
    """Receives messages, writes readings, and leaves retries to the queue."""

    def __init__(self, queue: Queue, reader: ProjectReaders) -> None:
        self._queue = queue
        self._reader = reader
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called from another thread or a signal handler."""
        while not self._stopping.is_set():
            try:
                self.work_once(wait_seconds=20)
            except (Unavailable, Forbidden) as error:
                _log.warning("the queue: %s", error)
                self._stopping.wait(retry.QUEUE_SECONDS)

    def stop(self) -> None:
        """Stop after the messages in progress."""
        self._stopping.set()

    def work_once(self, *, wait_seconds: int) -> int:
        """Read one delivery; returns how many of its messages are done. Raises Unavailable and
        Forbidden.
        """
        messages = self._queue.receive(wait_seconds=wait_seconds)
        again = set(self._reader.read(messages)) if messages else set()
        done = [message for message in messages if message.id not in again]
        if done:
            self._queue.done(done)
        self._reader.tend(seconds=0.0)
        return len(done)
