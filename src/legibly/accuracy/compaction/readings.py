"""Readings with a file each into files of several, beside writers and jobs that read.

Listing, rebuilding the index and the accuracy job cost by the file. A run writes the readings that
have been alone for a while into shared files, and removes files whose reading has been in a shared
one for as long as a job may take that listed them before. A crash leaves readings twice, and those
count once everywhere.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from legibly import object_keys
from legibly.accuracy.engines import bundles
from legibly.iteration import batched
from legibly.records import ReadingRecord
from legibly.store import Stat, Store, record_files

_AT_ONCE = 1200
_THREADS = 16
_IN_A_THREAD = 50


@dataclass(frozen=True, slots=True)
class Merged:
    """Readings that now are in shared files as well, and files of one reading that are gone."""

    readings: int = 0
    files_removed: int = 0


def merge(store: Store, *, now: datetime, grace: timedelta) -> Merged:
    """Merge the files of every day whose last change is longer ago than `grace`."""
    readings = 0
    removed = 0
    for _, stats in groupby(store.list(object_keys.READINGS), key=_folder):
        day = _Day(store, list(stats), before=now - grace)
        gone = day.merged_earlier()
        written = day.merge(without=gone)
        readings += len(written)
        gone |= written if not grace else set()
        _remove(store, gone)
        removed += len(gone)
    return Merged(readings, removed)


def is_alone(key: str) -> bool:
    """Whether an object's key is that of a file with one reading."""
    image, _, ending = object_keys.last(key).partition(".")
    return object_keys.is_id(image) and ending.count(".") == 1 and ending.endswith(".jsonl")


class _Day:
    """The record files of one day."""

    def __init__(self, store: Store, stats: Sequence[Stat], *, before: datetime) -> None:
        self._store = store
        settled = [stat.key for stat in stats if stat.modified_at <= before]
        self._alone = {key for key in settled if is_alone(key)}
        self._shared = [key for key in settled if object_keys.marks(key)]

    def merged_earlier(self) -> set[str]:
        """Files whose reading is in a shared file."""
        marks = {_mark(key) for key in self._alone}
        likely = [key for key in self._shared if not marks.isdisjoint(object_keys.marks(key))]
        return {_key(record) for _, record in _records(self._store, likely)} & self._alone

    def merge(self, *, without: Collection[str]) -> set[str]:
        """Write shared files of what is still alone; returns the keys of these readings."""
        merged: set[str] = set()
        for keys in batched(sorted(self._alone - set(without)), _AT_ONCE):
            gone = self._deleted(keys)
            read = [
                (key, record)
                for key, record in _records(self._store, keys)
                if _key(record) == key and record.image not in gone
            ]
            merged |= self._write(read)
        return merged

    def _write(self, read: Iterable[tuple[str, ReadingRecord]]) -> set[str]:
        by_version: dict[str, list[tuple[str, ReadingRecord]]] = defaultdict(list)
        for key, record in read:
            by_version[record.reading.model.version].append((key, record))
        several = [
            entry for entries in by_version.values() if len(entries) > 1 for entry in entries
        ]
        written = record_files.write_readings(self._store, (record for _, record in several))
        keys = {key for key, _ in several}
        if gone := self._deleted(keys):  # an image that was deleted meanwhile stays so
            stale = [key for key in written if record_files.write_others(self._store, key, gone)]
            self._store.remove(stale)
        return keys - set(written)  # the last one of many may be alone, in the file that it had

    def _deleted(self, keys: Collection[str]) -> set[str]:
        """The images of these files that were deleted."""
        images = {_image(key) for key in keys}
        if not images:
            return set()
        folder = object_keys.day(object_keys.DELETIONS, min(images))
        return {_image(stat.key) for stat in self._store.list(folder)} & images


def _records(store: Store, keys: Sequence[str]) -> Iterator[tuple[str, ReadingRecord]]:
    """What files hold; lines that are no readings are left out."""
    for key, content in bundles.fetched(store, keys):
        for line in content.splitlines():
            try:
                yield key, ReadingRecord.from_json(json.loads(line))
            except record_files.READING_ERRORS:
                continue


def _remove(store: Store, keys: Collection[str]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(store.remove, batched(sorted(keys), _IN_A_THREAD)))


def _folder(stat: Stat) -> str:
    return stat.key.rpartition("/")[0]


def _image(key: str) -> str:
    return object_keys.last(key).partition(".")[0]


def _mark(key: str) -> str:
    return object_keys.mark(_image(key))


def _key(record: ReadingRecord) -> str:
    return object_keys.reading(record.image, record.reading.model.version)
