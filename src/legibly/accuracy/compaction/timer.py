"""Compacts beside a running server, in a process of its own because DuckDB takes much memory."""

import logging
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import chain, islice

from legibly import object_keys
from legibly.accuracy import plan
from legibly.accuracy.compaction import readings
from legibly.errors import LegiblyError
from legibly.store import Store

FIRST_SECONDS = 3600.0
"""First compaction after the start, roughly: several servers should not begin at once."""
MIN_FILES = 1000
"""With fewer small files there is little to gain."""
_LIMIT_SECONDS = 3600.0
_log = logging.getLogger(__name__)


class CompactionTimer:
    """Runs `legibly compact` over stores that have many small files, every `hours`."""

    def __init__(
        self,
        stores: Callable[[], Iterable[Store]],
        *,
        hours: float,
        first_seconds: float = FIRST_SECONDS,
        least_files: int = MIN_FILES,
    ) -> None:
        self._stores = stores
        self._seconds = hours * 3600
        self._first_seconds = first_seconds * random.uniform(0.5, 1.5)  # noqa: S311
        self._least_files = least_files
        self._stopping = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="compaction", daemon=True)

    def start(self) -> None:
        """Start the timer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a compaction in progress is aborted, which loses nothing."""
        self._stopping.set()
        if self._child is not None:
            self._child.terminate()

    def _run(self) -> None:
        pause = self._first_seconds
        while not self._stopping.wait(pause):
            pause = self._seconds
            for store in self._stores():
                try:
                    self._compact(store)
                except (LegiblyError, OSError, subprocess.TimeoutExpired) as error:
                    _log.warning("compacting %s: %s; it will be retried", store.url, error)
                if self._stopping.is_set():
                    return

    def _compact(self, store: Store) -> None:
        if not store.url.startswith(("file://", "s3://")) or not self._is_worth_it(store):
            return
        command = [sys.executable, "-m", "legibly", "compact", "--store", store.url]
        self._child = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            output, _ = self._child.communicate(timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise
        finally:
            self._child = None
        _log.info("%s: %s", store.url, " ".join(output.split()))

    def _is_worth_it(self, store: Store) -> bool:
        pairs = (
            stat
            for stat in store.list(object_keys.PAIRS)
            if stat.key.endswith(".jsonl") and stat.size <= plan.SMALL_BYTES
        )
        alone = (stat for stat in store.list(object_keys.READINGS) if readings.is_alone(stat.key))
        small = chain(pairs, alone)
        return len(list(islice(small, self._least_files))) >= self._least_files
