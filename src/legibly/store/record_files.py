"""Reads and writes record files: one record per JSON line; readings may share a file."""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from legibly import object_keys
from legibly.errors import Invalid
from legibly.iteration import batched
from legibly.records import ReadingRecord, now
from legibly.store import Store

READING_ERRORS = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""The errors of reading a torn or malformed record."""
_MAX_PER_FILE = 15  # each has a mark in the file name, which is limited to 255 bytes
_log = logging.getLogger(__name__)


def read_json(store: Store, key: str, *fields: str) -> dict[str, Any]:
    """The JSON object under a key. Raises NotFound, and Invalid if it is torn or lacks a field."""
    try:
        data: dict[str, Any] = json.loads(store.read(key))
        for field in fields:
            data[field]
    except READING_ERRORS as error:
        remedy = "Restore it, or move it away."
        raise Invalid("this object of the store is torn.", where=key, remedy=remedy) from error
    return data


def line(data: Mapping[str, Any]) -> bytes:
    """One record as a JSON line. Raises ValueError for NaN and infinity, which JSON lacks."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace") + b"\n"  # our keys and texts have no lone surrogates


def write_readings(store: Store, records: Iterable[ReadingRecord]) -> list[str]:
    """Write readings that do not exist yet, in as few files as possible; return their keys."""
    keys = []
    groups: dict[tuple[str, str], list[ReadingRecord]] = defaultdict(list)
    for record in records:
        group = (object_keys.date(record.image), record.reading.model.version)
        groups[group].append(record)
    for (_, version), group_records in groups.items():
        for several in batched(group_records, _MAX_PER_FILE):
            images = [record.image for record in several]
            key = object_keys.reading(images[0], version)
            if len(images) > 1:
                key = object_keys.batch(images, version, now())
            text = "".join(f"{record.json_text()}\n" for record in several)
            store.create(key, text.encode())
            keys.append(key)
    return keys


def shared_readings(store: Store, images: Collection[str], version: str) -> list[ReadingRecord]:
    """The readings of these images by one model version in shared files."""
    records = []
    by_day: dict[str, set[str]] = defaultdict(set)
    for image in images:
        by_day[object_keys.day(object_keys.READINGS, image)].add(image)
    for folder, ids in by_day.items():
        marks = {object_keys.mark(image) for image in ids}
        for stat in store.list(
            folder, after=folder + min(ids)
        ):  # the name of a file has a later time
            if not marks.isdisjoint(object_keys.marks(stat.key)):
                records += [record for record in _readings(store, stat.key) if record.image in ids]
    return [record for record in records if record.reading.model.version == version]


def write_others(store: Store, key: str, images: Collection[str]) -> bool:
    """Copy the records of other images in the file at `key` to a new file.

    False, without writing, if it has no records of these images.
    """
    if {object_keys.mark(image) for image in images}.isdisjoint(object_keys.marks(key)):
        return False
    write_readings(store, (other for other in _readings(store, key) if other.image not in images))
    return True


def _readings(store: Store, key: str) -> Iterator[ReadingRecord]:
    for text in store.read(key).splitlines():
        try:
            yield ReadingRecord.from_json(json.loads(text))
        except READING_ERRORS as error:
            _log.warning("a line of %s is torn and was skipped: %r", key, error)
