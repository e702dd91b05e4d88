"""The worker in `serve`: threads that read pending images, and one that sweeps the store."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from legibly.errors import LegiblyError, NotFound, Unavailable
from legibly.ingest import retry
from legibly.ingest.consumer import Consumer
from legibly.ingest.sweep import Sweeper
from legibly.pipeline import LEASE_SECONDS, Service
from legibly.records import Image, ReadingRecord

_log = logging.getLogger(__name__)
_BATCH = 8
_TEND_SECONDS = 0.5
_MAX_QUEUED_BYTES = 64_000_000
"""Bytes of waiting pictures kept in memory; the others are fetched when their turn comes."""
_HEAVY_PIXELS = 2_000_000
_HEAVY_BYTES = 1_000_000  # if the size in pixels is unknown
_CLAIMED = 128


@dataclass(frozen=True, slots=True)
class Task:
    """One image to classify; `data` None: fetch the picture; `attempt` counts from 1."""

    image: Image
    data: bytes | None = None
    attempt: int = 1


class Worker:
    """Classifies pending images until it is stopped; calls `on_change` with the results."""

    def __init__(
        self,
        service: Service,
        *,
        threads: int,
        attempts: int,
        sweeper: Sweeper,
        consumer: Consumer | None = None,
        on_change: Callable[[Sequence[Image]], None],
    ) -> None:
        self._service = service
        self._attempts = attempts
        self._on_change = on_change
        self._sweeper = sweeper
        self._consumer = consumer
        self._active: set[str] = set()
        self._active_lock = threading.Lock()
        self._renewal_due = 0.0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        # Large pictures take seconds, so they have their own queue and thread.
        self._heavy_tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._queued_bytes = 0
        self.problem = ""
        """Why the last search for pictures failed; empty if it succeeded."""
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"classify-{n}", daemon=True)
            for n in range(threads)
        ]
        self._threads.append(
            threading.Thread(target=self._work_heavy, name="classify-heavy", daemon=True)
        )
        self._threads.append(threading.Thread(target=self._tend, name="tend", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        if self._consumer:
            self._consumer.start()

    def stop(self) -> None:
        """Finish pictures in progress and stop; the others stay pending."""
        self._stopping.set()
        if self._consumer:
            self._consumer.stop()
        for _ in self._threads:
            self._tasks.put(None)
        self._heavy_tasks.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs."""
        follows = self._consumer is None or self._consumer.is_alive
        return follows and all(thread.is_alive() for thread in self._threads)

    def submit(self, image: Image, data: bytes | None = None) -> None:
        """Classify an image whose lease this process holds."""
        self._begin([image])
        with self._active_lock:
            if data is not None and self._queued_bytes + len(data) > _MAX_QUEUED_BYTES:
                data = None
            self._queued_bytes += len(data or b"")
        self._queue(Task(image, data))

    def _queue(self, task: Task) -> None:
        (self._heavy_tasks if _is_heavy(task.image) else self._tasks).put(task)

    def _work(self) -> None:
        while not self._stopping.is_set():
            task = self._tasks.get()
            if task is None:
                return
            self._classify(self._more([task]))

    def _work_heavy(self) -> None:
        while not self._stopping.is_set():
            task = self._heavy_tasks.get()
            if task is None:
                return
            self._classify([task])

    def _more(self, tasks: list[Task]) -> list[Task]:
        """Add waiting tasks, up to this thread's share, to be committed in one transaction."""
        share = min(_BATCH, 1 + self._tasks.qsize() // len(self._threads))
        while len(tasks) < share:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                break
            if task is None:
                self._tasks.put(None)
                break
            tasks.append(task)
        return tasks

    def _classify(self, tasks: list[Task]) -> None:
        try:
            read = [(task, record) for task in tasks if (record := self._read(task)) is not None]
            self._settle(read)
        except Exception:
            # The thread must survive all errors; the leases end and the images are retried.
            _log.exception("classifying failed; the images will be retried")
        finally:
            with self._active_lock:
                self._active.difference_update(task.image.id for task in tasks)
                self._queued_bytes -= sum(len(task.data or b"") for task in tasks)

    def _read(self, task: Task) -> ReadingRecord | None:
        try:
            if task.attempt > self._attempts:
                # Attempts are counted before they start: these crashed the process or were cut off.
                reason = f"reading it did not finish in {self._attempts} attempts."
                self._fail(task.image, reason)
                return None
            return self._service.read(task.image, task.data)
        except NotFound:
            self._gone(task.image)
        except retry.TRANSIENT as error:
            self._again(task, str(error))
        except LegiblyError as error:
            self._fail(task.image, str(error))
        except Exception as error:
            _log.exception("an unexpected error while reading image %s", task.image.id)
            self._again(task, f"reading it failed unexpectedly ({type(error).__name__}).")
        return None

    def _settle(self, read: Sequence[tuple[Task, ReadingRecord]]) -> None:
        try:
            images = self._service.apply_readings([record for _, record in read])
        except Unavailable as error:
            for task, _ in read:
                self._again(task, str(error))
        else:
            if images:
                self._on_change(images)

    def _again(self, task: Task, reason: str) -> None:
        if task.attempt >= self._attempts:
            self._fail(task.image, f"{reason} It was tried {task.attempt} times.")
        else:
            _log.warning("image %s, try %d: %s", task.image.id, task.attempt, reason)
            with self._active_lock:  # its lease is no longer renewed
                self._active.discard(task.image.id)
            self._service.index.defer(task.image.id, seconds=retry.delay_seconds(task.attempt))

    def _fail(self, image: Image, reason: str) -> None:
        _log.warning("image %s cannot be read: %s", image.id, reason)
        self._on_change([self._service.fail(image, reason)])

    def _gone(self, image: Image) -> None:
        """Forget an image whose picture was deleted before it was read."""
        _log.info("image %s was deleted before it was read", image.id)
        self._service.index.remove(image.id)

    def _tend(self) -> None:
        """Find work that nobody submitted: left by a crash, due for a retry, or put into the store
        by others.
        """
        while not self._stopping.wait(_TEND_SECONDS):
            try:
                self._sweeper.sweep_if_due()
                self._renew_leases()
                self._claim()
                self.problem = ""
            except LegiblyError as error:
                if self.problem != error.message:
                    _log.warning("looking for pictures: %s", error)
                self.problem = error.message
            except Exception as error:
                self.problem = type(error).__name__
                _log.exception("looking for pictures failed; it will be retried")

    def _begin(self, images: Sequence[Image]) -> list[str]:
        """Mark images as active in this process; returns the ids that were not before."""
        with self._active_lock:
            fresh = [image.id for image in images if image.id not in self._active]
            self._active.update(fresh)
        return fresh

    def _renew_leases(self) -> None:
        """Renew the leases of all images that this process has queued or is reading."""
        if time.monotonic() < self._renewal_due:
            return
        with self._active_lock:
            active = list(self._active)
        self._service.index.renew(active, lease_seconds=LEASE_SECONDS)
        self._renewal_due = time.monotonic() + LEASE_SECONDS / 3

    def _waiting(self) -> int:
        return self._tasks.qsize() + self._heavy_tasks.qsize()

    def _claim(self) -> None:
        # At most as many as the threads can read well before the leases end.
        while self._waiting() < _CLAIMED and not self._stopping.is_set():
            claims = self._service.index.claim(limit=_CLAIMED, lease_seconds=LEASE_SECONDS)
            fresh = set(self._begin([claim.image for claim in claims]))
            for claim in claims:
                if claim.image.id not in fresh:
                    continue  # a thread of this process is already reading it
                self._queue(Task(claim.image, attempt=claim.attempt))
            if len(claims) < _CLAIMED:
                return
            self._stopping.wait(0.05)


def _is_heavy(image: Image) -> bool:
    """Whether reading an image takes much longer than most."""
    if image.width is None or image.height is None:
        return image.bytes > _HEAVY_BYTES
    return image.width * image.height > _HEAVY_PIXELS
