"""Follows a queue of S3 events, and adds what others wrote to the index and the live pages.

Reading and failure records of a function or another worker are applied to the index; pictures put
under `images/` become pending images. A message is done only after the index has been updated;
messages may come twice, late and in any order.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from legibly import errors, object_keys, records
from legibly.ingest import retry
from legibly.ingest.s3_documents import Event, Message, picture, relative
from legibly.pipeline import Service
from legibly.store import Stat
from legibly.store.record_files import READING_ERRORS

_log = logging.getLogger(__name__)
_THREADS = 8


class Queue(Protocol):
    """A queue of event documents that delivers each at least once."""

    def receive(self, *, wait_seconds: int) -> Sequence[Message]:
        """Some messages, or none after `wait_seconds`. Raises Unavailable and Forbidden."""

    def done(self, messages: Sequence[Message]) -> None:
        """Delete messages; all others are delivered again."""


class MemoryQueue:
    """A queue in memory, for tests and trials."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._lock = threading.Condition()

    def send(self, *events: Event) -> None:
        """Send a message with these events."""
        with self._lock:
            self._messages.append(Message(id=str(len(self._messages)), events=events))
            self._lock.notify()

    def receive(self, *, wait_seconds: int) -> Sequence[Message]:
        """All messages that are not done."""
        with self._lock:
            self._lock.wait_for(lambda: self._messages, timeout=wait_seconds)
            return list(self._messages)

    def done(self, messages: Sequence[Message]) -> None:
        """Delete messages."""
        with self._lock:
            self._messages = [message for message in self._messages if message not in messages]


@dataclass(slots=True)
class _Content:
    """The images and records of a message."""

    pictures: list[Stat] = field(default_factory=list)
    readings: list[records.ReadingRecord] = field(default_factory=list)
    failures: list[records.FailureRecord] = field(default_factory=list)


class Consumer:
    """A thread that applies the events of a queue; calls `on_change` with every changed image."""

    def __init__(
        self,
        service: Service,
        queue: Queue,
        *,
        prefix: str = "",
        on_change: Callable[[Sequence[records.Image]], None] = lambda _images: None,
    ) -> None:
        self._service = service
        self._queue = queue
        self._prefix = prefix
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def start(self) -> None:
        """Start following the queue."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; unfinished messages are delivered again."""
        self._stopping.set()
        self._thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Apply messages; return those that are done."""
        with ThreadPoolExecutor(max_workers=max(1, min(_THREADS, len(messages)))) as pool:
            read = list(zip(messages, pool.map(self._content, messages), strict=True))
        good = [(message, content) for message, content in read if content is not None]
        self._settle([content for _, content in good])
        return [message for message, _ in good]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                messages = self._queue.receive(wait_seconds=5)
                if messages:
                    self._queue.done(self.take(messages))
            except errors.LegiblyError as error:
                _log.warning("following the queue: %s", error)
                self._stopping.wait(retry.QUEUE_SECONDS)
            except Exception:
                _log.exception("following the queue failed; it will be retried")
                self._stopping.wait(retry.QUEUE_SECONDS)

    def _content(self, message: Message) -> _Content | None:
        """What a message leads to; None where it has to come again."""
        if message.error:
            _log.error("message %s: %s", message.id, message.error)
            return None
        content = _Content()
        try:
            for event in message.events:
                if event.kind == "created":
                    self._look(event, content)
        except errors.LegiblyError as error:
            _log.warning("message %s, delivery %d: %s", message.id, message.receives, error)
            return None
        except READING_ERRORS as error:
            _log.error("message %s names a malformed record: %r", message.id, error)
            return None
        return content

    def _look(self, event: Event, content: _Content) -> None:
        key = relative(event.key, prefix=self._prefix) or ""
        try:
            if picture(key):
                content.pictures.append(self._service.store.head(key))
            elif key.startswith(object_keys.READINGS) and key.endswith(".jsonl"):
                content.readings += [
                    records.ReadingRecord.from_json(data) for data in self._lines(key)
                ]
            elif key.startswith(object_keys.FAILURES) and key.endswith(".json"):
                content.failures += [
                    records.FailureRecord.from_json(data) for data in self._lines(key)
                ]
        except errors.NotFound:
            _log.info("%s was deleted before it was looked at", key)

    def _lines(self, key: str) -> Iterator[records.Json]:
        return (
            json.loads(line) for line in self._service.store.read(key).splitlines() if line.strip()
        )

    def _settle(self, contents: Sequence[_Content]) -> None:
        readings = list(chain.from_iterable(content.readings for content in contents))
        failures = list(chain.from_iterable(content.failures for content in contents))
        pictures = list(chain.from_iterable(content.pictures for content in contents))
        # The record may come before the picture's own event, or instead of it.
        self._service.adopt([*pictures, *map(_stat, readings), *map(_stat, failures)])
        changed = self._service.apply_readings(readings)
        for failure in failures:
            changed += self._fail(failure)
        if changed:
            self._on_change(changed)

    def _fail(self, failure: records.FailureRecord) -> list[records.Image]:
        try:
            if self._service.index.get(failure.image).reading is None:
                return [self._service.index.fail(failure)]
        except errors.NotFound:
            _log.info("image %s was deleted before its failure was taken in", failure.image)
        return []


def _stat(record: records.ReadingRecord | records.FailureRecord) -> Stat:
    """The picture of a record with the facts for the index; its time is in its id."""
    return Stat(
        key=record.key,
        size=record.bytes,
        modified_at=object_keys.received_at(record.image),
        etag=None,
    )
