"""Mirrors folders of immutable objects in memory, for accounts and classes."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from legibly.errors import NotFound
from legibly.store import Store
from legibly.store.record_files import READING_ERRORS

_log = logging.getLogger(__name__)
T = TypeVar("T")


class StoreMirror(ABC, Generic[T]):
    """The entries of some folders, each object read once; thread-safe. Torn and strange objects are
    skipped: of several versions the last sound one counts.

    Each process follows the store on its own, at most `stale_seconds` behind the others.
    """

    folders: ClassVar[tuple[str, ...]]

    def __init__(self, store: Store, *, stale_seconds: float = 2.0) -> None:
        self._store = store
        self._stale_seconds = stale_seconds
        self._lock = threading.Lock()
        self._read: dict[str, T] = {}
        self._torn: set[str] = set()
        self._at = -stale_seconds

    @property
    def is_stale(self) -> bool:
        """Whether the store may have newer entries."""
        return time.monotonic() - self._at >= self._stale_seconds

    def refresh(self) -> None:
        """Read new objects, and drop deleted ones."""
        with self._lock:
            self._at = time.monotonic()
            matches = sorted(
                stat.key for folder in self.folders for stat in self._store.list(folder)
            )
            self._read = {key: entry for key in matches if (entry := self._entry(key)) is not None}
            self._take(list(self._read.values()))

    def _entry(self, key: str) -> T | None:
        try:
            return self._read.get(key) or self._parse(key)
        except NotFound:  # deleted since it was listed
            return None
        except READING_ERRORS as error:
            if key not in self._torn:
                _log.warning("%s is torn and was skipped: %r", key, error)
            self._torn.add(key)
            return None

    @abstractmethod
    def _parse(self, key: str) -> T:
        """Parse the entry of one object."""

    @abstractmethod
    def _take(self, entries: Sequence[T]) -> None:
        """Replace the state by all entries, in the order of their keys, which end in a time."""
