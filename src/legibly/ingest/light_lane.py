"""Stores, reads and indexes small pictures whose senders wait, in groups, then acknowledges them.

Pictures that arrive while another one is read share the next record file and transaction. Nothing
is acknowledged before both are written; if the process is killed earlier, a sweep adopts the
pictures. Unusual pictures go to the general worker, which handles retries and failures.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from legibly import object_keys, pipeline
from legibly.errors import LegiblyError, Unavailable
from legibly.images import limits, privacy, sniff, truncation
from legibly.pipeline import Service, UploadDetails
from legibly.pipeline.uploads import reserve
from legibly.records import Image, ReadingRecord, now
from legibly.store import record_files
from legibly.telemetry import tracing
from legibly.vision.reading import Result

_log = logging.getLogger(__name__)
T = TypeVar("T")
LIGHT_PIXELS = 500_000
LIGHT_BYTES = 500_000
MAX_QUEUED = 512
"""The most waiting pictures; further ones are refused with 503."""
_MIN_BATCH = 8  # with this many waiting, since a busy machine saves most by writing them together
_MAX_BATCH = 15  # the limit of a record file, see `record_files`


@dataclass(frozen=True, slots=True)
class _ReadPicture:
    """A picture that has been read, but is not stored yet."""

    id: str
    data: bytes
    details: UploadDetails
    result: Result


@dataclass(frozen=True, slots=True)
class _ReadUpload:
    """A picture that has been stored and read, but is not in the index yet."""

    image: Image
    record: ReadingRecord
    has_name: bool = False
    """Whether the same upload may be in progress elsewhere too."""


class _Task:
    """An upload. Either the lane starts it or its sender withdraws it, never both."""

    __slots__ = ("_token", "data", "details", "future", "outcome", "request")

    def __init__(
        self,
        data: bytes,
        details: UploadDetails,
        request: str | None,
        future: "asyncio.Future[Image | None]",
    ) -> None:
        self.data = data
        self.details = details
        self.request = request
        self.future = future
        self.outcome: Image | LegiblyError | None = None
        self._token = [True]

    def take(self) -> bool:
        """Whether the caller is the first to take it."""
        try:
            return self._token.pop()  # only one thread succeeds
        except IndexError:
            return False

    def answer(self) -> None:
        """Return the outcome to the sender, in the event loop's thread."""
        if self.future.done():
            return
        if isinstance(self.outcome, LegiblyError):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class LightLane:
    """Threads that read small pictures at once; `on_change` is called with the images.

    A batch older than `batch_seconds` accepts no more than eight pictures.
    """

    def __init__(
        self,
        service: Service,
        *,
        threads: int,
        on_change: Callable[[Sequence[Image]], None],
        batch_seconds: float = 0.03,
    ) -> None:
        self._service = service
        self._batch_seconds = batch_seconds
        self._on_change = on_change
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"light-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads, for the running event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish started tasks; return the others to the general worker."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)

    async def read(
        self, data: bytes, details: UploadDetails, *, seconds: float, request: str | None = None
    ) -> Image | None:
        """Store and read a picture; None if the general worker must do so: after `seconds` in the
        queue, or if the upload `request` is a repetition.

        Raises Unavailable if too many wait, or if the index or the store does not answer.
        """
        if self._loop is None or not self._is_light(data, details):
            return None
        if self._tasks.qsize() >= MAX_QUEUED:
            raise Unavailable(
                "too many pictures are waiting to be read.",
                code="busy",
                remedy="Send it again later.",
            )
        task = _Task(data, details, request, self._loop.create_future())
        timer = self._loop.call_later(seconds, self._withdraw, task)
        self._tasks.put(task)
        try:
            return await task.future
        finally:
            timer.cancel()

    def _is_light(self, data: bytes, details: UploadDetails) -> bool:
        """Whether this machine can read a picture in a few milliseconds, and it has no label."""
        service = self._service
        pack = getattr(service.reader, "pack", None)
        if details.label is not None or pack is None or pack.card.remote is not None:
            return False
        if not service.store.is_local or len(data) > min(LIGHT_BYTES, service.max_bytes):
            return False
        return limits.plain_pixels(data) <= LIGHT_PIXELS

    def _withdraw(self, task: _Task) -> None:
        if task.take():
            task.answer()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._serve(task)

    def _serve(self, task: _Task | None) -> None:
        """Read a picture and those waiting behind it, and write and acknowledge them together.

        Files are written after all are read, since the reader is faster with warm caches.
        """
        ends = time.monotonic() + self._batch_seconds
        pictures: dict[_Task, _ReadPicture | None] = {}
        while task is not None:
            if task.take():
                pictures[task] = self._attempt(
                    partial(_read, self._service, task.data, task.details)
                )
            is_late = len(pictures) >= _MIN_BATCH and time.monotonic() > ends
            is_full = is_late or len(pictures) >= _MAX_BATCH
            task = None if is_full else self._next()
        changed = self._commit(pictures, list(self._store(pictures)))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, list(pictures), changed)

    def _store(self, pictures: Mapping[_Task, _ReadPicture | None]) -> Iterator[_ReadUpload]:
        """Store the pictures that were read."""
        for task, picture in pictures.items():
            if picture is not None:
                store = partial(_store, self._service, picture, request=task.request)
                upload = self._attempt(store)
                if upload is not None:
                    task.outcome = upload.image
                    yield upload

    def _finish(self, tasks: Sequence[_Task], changed: Sequence[Image]) -> None:
        """Answer the senders, then report the changes, in the event loop's thread."""
        for task in tasks:
            task.answer()
        if changed:
            self._on_change(changed)

    def _next(self) -> _Task | None:
        try:
            task = self._tasks.get_nowait()
        except queue.Empty:
            return None
        if task is None:
            self._tasks.put(None)  # for the loop in `_work`
        return task

    def _attempt(self, work: Callable[[], T | None]) -> T | None:
        """Do it; None if that fails, and then the general worker reports why."""
        try:
            return work()
        except LegiblyError:
            return None
        except Exception:
            _log.exception("an unexpected error while reading a picture; it will be retried")
            return None

    def _commit(self, tasks: Collection[_Task], uploads: Sequence[_ReadUpload]) -> list[Image]:
        """Write readings and index rows; return the new images."""
        if not uploads:
            return []
        try:
            ids = _commit(self._service, uploads)
            changed = [upload.image for upload in uploads if upload.image.id in ids]
            self._look_up_adopted(tasks, ids)
        except LegiblyError as error:
            _set_outcome(tasks, error)
        except Exception:
            _log.exception("pictures could not be written")
            _set_outcome(tasks, Unavailable("the picture could not be stored."))
        else:
            return changed
        return []

    def _look_up_adopted(self, tasks: Collection[_Task], ids: Collection[str]) -> None:
        """Use the index's version of images that a sweep has added first."""
        for task in tasks:
            if isinstance(task.outcome, Image) and task.outcome.id not in ids:
                task.outcome = self._service.index.get(task.outcome.id)


def _set_outcome(tasks: Collection[_Task], error: LegiblyError) -> None:
    for task in tasks:
        if task.outcome is not None:
            task.outcome = error


def _read(service: Service, data: bytes, details: UploadDetails) -> _ReadPicture:
    """Check and read a picture. Raises the errors of `Service.receive` and `Service.read`."""
    details = details.checked()
    service.check_batch(details)
    truncation.check(data, sniff.media_type(data))
    image_id = object_keys.new_id(now())
    with tracing.span("read", image_id):
        return _ReadPicture(image_id, data, details, service.reader.read(data))


def _store(
    service: Service, picture: _ReadPicture, *, request: str | None = None
) -> _ReadUpload | None:
    """Store a picture; None if the upload `request` is a repetition. Raises the store's errors."""
    image_id = picture.id
    data = picture.data
    details = picture.details
    if request is not None:
        owner = details.owner
        if reserve(service.store, request, data, owner=owner, fresh=image_id) != image_id:
            return None
    facts = picture.result.facts
    stored = privacy.strip(data, facts.media_type)
    image = pipeline.pending_image(image_id, facts, size=len(stored), details=details)
    record = pipeline.reading_record(
        picture.result, image=image_id, key=image.key, size=len(stored)
    )
    with tracing.span("store", image_id):
        service.store_picture(image, stored)
    return _ReadUpload(image.with_reading(record), record, has_name=request is not None)


def _commit(service: Service, uploads: Sequence[_ReadUpload]) -> set[str]:
    """Write readings and index rows together; return the ids that were new to the index.

    Raises the errors of index and store, after withdrawing the pictures.
    """
    keys: list[str] = []

    def write(ids: Collection[str]) -> None:
        records = [upload.record for upload in uploads if upload.image.id in ids]
        keys.extend(record_files.write_readings(service.store, records))

    images = [upload.image for upload in uploads]
    try:
        with tracing.span("index", *(image.id for image in images)):
            return service.index.add_read(images, write=write)
    except Exception:
        # Those with a name stay, to be adopted: the same upload may be promised elsewhere.
        nameless = [upload.image for upload in uploads if not upload.has_name]
        service.withdraw(nameless, records=keys)
        raise
