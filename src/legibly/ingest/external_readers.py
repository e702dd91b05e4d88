"""The worker of a server whose pictures are read by a function or by other workers.

It replaces `worker.Worker`. Readings arrive by the queue; this looks for pictures without an event,
and only reads those that nothing else has read for a long time.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from legibly import errors
from legibly.index.port import Filter
from legibly.ingest.consumer import Consumer
from legibly.ingest.sweep import Sweeper
from legibly.pipeline import Service
from legibly.records import Image, now

_log = logging.getLogger(__name__)
LATE = timedelta(minutes=20)
"""Longer than all attempts of the queue: five, three minutes apart."""


class Elsewhere:
    """Follows the queue if there is one, sweeps, reads late pictures; calls `on_change` with every
    changed image.
    """

    def __init__(
        self,
        service: Service,
        *,
        consumer: Consumer | None,
        sweeper: Sweeper,
        on_change: Callable[[Sequence[Image]], None],
        every_seconds: float = 30.0,
        late: timedelta = LATE,
    ) -> None:
        self._service = service
        self._consumer = consumer
        self._sweeper = sweeper
        self._on_change = on_change
        self._every_seconds = every_seconds
        self._late = late
        self.problem = ""
        """Why the last look for pictures failed; empty where it did not."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="tend", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        if self._consumer:
            self._consumer.start()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._consumer:
            self._consumer.stop()
        self._thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return self._thread.is_alive() and (self._consumer is None or self._consumer.is_alive)

    def submit(self, image: Image, data: bytes | None = None) -> None:
        """Do nothing: the picture is in the store, and its event will come."""

    def read_late(self) -> int:
        """Read pictures that were not read in time; return the number of changed images."""
        pending = self._service.index.page(Filter(state="pending", sort="oldest"), limit=100)
        latest = now() - self._late
        return sum(self._read(image) for image in pending if image.received_at < latest)

    def _read(self, image: Image) -> bool:
        try:
            changed = self._service.classify(image)
        except errors.NotFound:  # deleted in the meantime
            self._service.index.remove(image.id)
            return True
        except (errors.Unavailable, errors.Forbidden) as error:
            _log.warning("image %s is late, and cannot be read here: %s", image.id, error)
            return False
        except errors.LegiblyError as error:
            changed = self._service.fail(image, str(error))
        self._on_change([changed])
        return True

    def _tend(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self._sweeper.sweep_if_due()
                self.read_late()
                self.problem = ""
            except errors.LegiblyError as error:
                if self.problem != error.message:
                    _log.warning("looking for pictures: %s", error)
                self.problem = error.message
            except Exception as error:
                self.problem = type(error).__name__
                _log.exception("looking for pictures failed; it will be retried")
