"""Reads the pictures of one delivery of messages, for the function and for workers on its queue.

Needs only the object store. Deliveries may be repeated, reordered and interrupted at any point:

- The readings of a batch are written to one new record file, a single reading to a file named after
  its image and model. A message is done only after that, so an interrupted delivery is repeated.
- A repeated message (`receives` > 1, or redriven) may have been processed before, so the record
  files since its first delivery are searched for its reading. First deliveries skip this.
- S3 rarely sends two messages for one object. Both then write the same reading; consumers keep one
  per image and model version, and compaction drops the other.
- An event with an outdated etag is ignored, since the newer object has its own event.
- A picture that can never be read (not an image, empty, too large) fails at once. Other errors are
  left to the queue's retries; the last one records the reason before the message becomes a dead
  letter.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from legibly import errors, object_keys, pipeline, records
from legibly.ingest import retry
from legibly.ingest.s3_documents import Event, Message, picture
from legibly.store import Store, record_files
from legibly.telemetry import tracing

_log = logging.getLogger(__name__)
_MAX_PER_FILE = 40  # see `object_keys.batch`
_THREADS = 8  # fetching mostly waits for S3
_EARLIER = timedelta(seconds=5)  # the clocks of S3, the queue and this machine differ


@dataclass(frozen=True, slots=True)
class _Task:
    message: Message
    event: Event
    key: str


@dataclass(slots=True)
class _Outcome:
    """The outcome of a batch; `retry` holds the ids of messages to be delivered again."""

    readings: list[tuple[_Task, records.ReadingRecord]] = field(default_factory=list)
    retry: set[str] = field(default_factory=set)


class BatchReader:
    """Reads the pictures of a delivery. `prefix` is the store's prefix in its bucket."""

    def __init__(
        self,
        *,
        store: Store,
        reader: pipeline.Reader,
        prefix: str = "",
        max_bytes: int,
        attempts: int,
    ) -> None:
        self._store = store
        self._reader = reader
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._attempts = attempts

    def read(self, messages: Sequence[Message]) -> list[str]:
        """Read all pictures in the messages; return the ids of those to deliver again."""
        outcome = _Outcome()
        tasks = list(self._tasks(messages, outcome))
        with ThreadPoolExecutor(max_workers=max(1, min(_THREADS, len(tasks)))) as pool:
            for task, record in zip(
                tasks, pool.map(lambda task: self._read(task, outcome), tasks), strict=True
            ):
                if record:
                    outcome.readings.append((task, record))
        self._write(outcome)
        return [message.id for message in messages if message.id in outcome.retry]

    def _tasks(self, messages: Sequence[Message], outcome: _Outcome) -> Iterator[_Task]:
        versions: set[tuple[str, str | None]] = set()
        for message in messages:
            if message.error:
                _log.error(
                    "message %s: %s", message.id, message.error, extra={"message_id": message.id}
                )
                outcome.retry.add(message.id)
            for event in message.events:
                key = picture(event.key, prefix=self._prefix)
                if key is None or event.kind != "created":
                    _log.info("nothing to read: %s %s", event.kind, event.key)
                elif (key, event.etag) not in versions:
                    versions.add((key, event.etag))
                    yield _Task(message, event, key)

    def _read(self, task: _Task, outcome: _Outcome) -> records.ReadingRecord | None:
        image = object_keys.image_id(task.key, task.event.at or records.now())
        try:
            task = self._with_key(task)
            size = self._store.head(task.key).size if task.event.size is None else task.event.size
            if size > self._max_bytes:
                raise errors.TooLarge(
                    "the picture has {bytes} bytes; {limit} are allowed.",
                    where=task.key,
                    bytes=size,
                    limit=self._max_bytes,
                )
            stat, data = self._store.fetch(task.key)
            image = object_keys.image_id(task.key, stat.modified_at)
            if not _is_current(task.event, stat.etag):
                _log.warning("%s was replaced since; its own event follows", task.key)
                return None
            if self._has_reading(task.message, image, task.event.at):
                _log.info("%s was read by an earlier delivery", task.key)
                return None
            return self._record(image, task.key, data)
        except errors.NotFound:
            _log.warning("%s was deleted before it was read", task.key)
        except retry.TRANSIENT as error:
            self._again(task, image, str(error), outcome)
        except errors.LegiblyError as error:
            self._fail(task, image, str(error), outcome)
        except Exception as error:
            _log.exception("an unexpected error while reading %s", task.key)
            self._again(
                task, image, f"reading it failed unexpectedly ({type(error).__name__}).", outcome
            )
        return None

    def _with_key(self, task: _Task) -> _Task:
        """The task with the key as sent, if there is no object at the decoded key."""
        literal = picture(task.event.literal_key or "", prefix=self._prefix)
        if literal is None or self._store_has(task.key) or not self._store_has(literal):
            return task
        return replace(task, key=literal)

    def _record(self, image: str, key: str, data: bytes) -> records.ReadingRecord:
        with tracing.span("read", image):
            result = self._reader.read(data)
        facts = result.facts
        return records.ReadingRecord(
            image,
            key,
            facts.media_type,
            len(data),
            facts.width,
            facts.height,
            reading=result.reading,
        )

    def _has_reading(self, message: Message, image: str, at: datetime | None) -> bool:
        """Whether an earlier delivery of this message wrote the reading."""
        if message.receives < 2 and not message.redriven:
            return False
        since = at if message.redriven else message.since
        version = self._reader.model.version
        folder = object_keys.day(object_keys.READINGS, image)
        if self._store_has(object_keys.reading(image, version)):
            return True
        after = folder + object_keys.new_id(since - _EARLIER)[:13] if since else None
        return any(
            object_keys.holds(stat.key, image, version)
            for stat in self._store.list(folder, after=after)
        )

    def _store_has(self, key: str) -> bool:
        try:
            self._store.head(key)
        except errors.NotFound:
            return False
        return True

    def _again(self, task: _Task, image: str, reason: str, outcome: _Outcome) -> None:
        """Leave the picture to the queue; after its last try, record the reason."""
        message = task.message
        outcome.retry.add(message.id)
        facts = {"message_id": message.id, "key": task.key}
        _log.warning(
            "%s (message %s), try %d: %s",
            task.key,
            message.id,
            message.receives,
            reason,
            extra=facts,
        )
        if message.receives >= self._attempts:
            try:
                self._write_failure(task, image, f"{reason} It was tried {message.receives} times.")
            except errors.LegiblyError as error:
                _log.warning(
                    "%s: the reason could not be written: %s", task.key, error, extra=facts
                )

    def _fail(self, task: _Task, image: str, reason: str, outcome: _Outcome) -> None:
        """Record that a picture can never be read, and finish its message."""
        _log.warning("%s cannot be read: %s", task.key, reason, extra={"key": task.key})
        try:
            self._write_failure(task, image, reason)
        except errors.LegiblyError as error:
            self._again(task, image, str(error), outcome)

    def _write_failure(self, task: _Task, image: str, reason: str) -> None:
        size = task.event.size or 0
        record = records.FailureRecord(
            image, task.key, size, width=None, height=None, error=reason, at=records.now()
        )
        self._store.create(
            object_keys.failure(image, self._reader.model.version),
            record_files.line(record.to_json()),
        )

    def _write(self, outcome: _Outcome) -> None:
        for group in _files(outcome.readings):
            try:
                self._write_file([record for _, record in group])
            except errors.LegiblyError as error:
                for task, record in group:
                    self._again(task, record.image, str(error), outcome)

    def _write_file(self, group: Sequence[records.ReadingRecord]) -> None:
        if len(group) == 1:
            pipeline.write_reading(self._store, group[0])
            return
        key = object_keys.batch(
            [record.image for record in group], group[0].reading.model.version, records.now()
        )
        self._store.create(key, b"".join(record_files.line(record.to_json()) for record in group))


def _is_current(event: Event, etag: str | None) -> bool:
    return event.etag is None or etag is None or event.etag == etag.strip('"')


def _files(
    readings: Sequence[tuple[_Task, records.ReadingRecord]],
) -> Iterator[list[tuple[_Task, records.ReadingRecord]]]:
    """Group readings by the date of their images, each image once, in files of bounded size."""
    by_date: dict[str, dict[str, tuple[_Task, records.ReadingRecord]]] = defaultdict(dict)
    for task, record in readings:
        by_date[object_keys.date(record.image)].setdefault(record.image, (task, record))
    for images in by_date.values():
        group = list(images.values())
        yield from (
            group[start : start + _MAX_PER_FILE] for start in range(0, len(group), _MAX_PER_FILE)
        )
