"""Rebuilds the index out of the object store, which holds everything that the index knows."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from legibly import adoption, object_keys
from legibly.errors import NotFound
from legibly.index.port import Index
from legibly.pipeline import image_of, is_picture
from legibly.record_files import READING_ERRORS
from legibly.records import (
    AdoptionRecord,
    Batch,
    FailureRecord,
    Image,
    LabelRecord,
    Pair,
    ReadingRecord,
    UploadRecord,
)
from legibly.store import Stat, Store

T = TypeVar("T")
_AT_ONCE = 16
_BATCH = 1000


def reindex(
    store: Store,
    index: Index,
    *,
    progress: Callable[[str, int], None] = lambda _phase, _count: None,
    skipped: Callable[[str], None] = lambda _where: None,
) -> int:
    """Empty the index and fill it again; returns the number of images.

    `progress` is told each kind and count, `skipped` the object and number of each line that is no
    record.
    """
    reported: set[str] = set()

    def skip(where: str) -> None:  # readings are read twice: for the ids, and for themselves
        if where not in reported:
            reported.add(where)
            skipped(where)

    read = partial(_records, store, skipped=skip)
    deleted = {
        object_keys.last(stat.key).partition(".")[0] for stat in store.list(object_keys.DELETIONS)
    }
    failures = list(read(object_keys.FAILURES, FailureRecord.from_json))
    adopted = _Adopted([*_keyed(read(object_keys.READINGS, ReadingRecord.from_json)), *failures])
    uploads = {record.image: record for record in read(object_keys.UPLOADS, UploadRecord.from_json)}
    adoptions = list(read(object_keys.ADOPTIONS, AdoptionRecord.from_json))
    copied = {(record.source, record.bytes) for record in adoptions}
    images = _images(store, uploads, deleted, adopted, copied)
    images |= {
        record.image: adoption.image_of(record)
        for record in adoptions
        if record.image not in deleted
    }
    progress("images", len(images))
    readings = []
    for record in read(object_keys.READINGS, ReadingRecord.from_json):
        _take_reading(images, record)
        readings.append(replace(record, reading=replace(record.reading, items=(), milliseconds={})))
    progress("readings", sum(image.reading is not None for image in images.values()))
    for failure in failures:
        _take_failure(images, failure)
    labels = _take_labels(images, read(object_keys.LABELS, LabelRecord.from_json))
    progress("labels", sum(image.label is not None for image in images.values()))
    index.begin_rebuild()
    index.clear()
    for batch in _batches(images[image_id] for image_id in sorted(images)):
        index.add(batch)
    for image_id in deleted | adopted.superseded:
        index.remove(image_id)
    index.add_batches(list(read(object_keys.BATCHES, Batch.from_json)))
    index.add_labels(labels)  # of most images there is one, which came with the image
    index.add_readings(readings)
    pairs = list(read(object_keys.PAIRS, Pair.from_json))
    if any(stat.key.endswith(".parquet") for stat in store.list(object_keys.PAIRS)):
        from legibly.accuracy.compaction import (
            compact,  # DuckDB, where `legibly compact` has been at work
        )

        pairs += compact.pairs(store)
    for start in range(0, len(pairs), _BATCH):
        index.add_pairs(pairs[start : start + _BATCH])
    index.end_rebuild()
    progress("pairs", len(pairs))
    return len(images)


def _images(
    store: Store,
    uploads: Mapping[str, UploadRecord],
    deleted: set[str],
    adopted: "_Adopted",
    copied: set[tuple[str, int]],
) -> dict[str, Image]:
    """The images of `images/`, less those `copied`: a sweep decides by their content."""
    images = {}
    for stat in store.list(object_keys.IMAGES):
        if is_picture(stat) and (stat.key, stat.size) not in copied:
            image_id = adopted.image_id(stat)
            if image_id not in deleted:
                image = image_of(stat, uploads.get(image_id))
                received_at = object_keys.received_at(image_id)
                images[image_id] = replace(image, id=image_id, received_at=received_at)
    return images


class _Adopted:
    """The ids of pictures that others put into the store, as their records have them.

    Such an id holds the time of the last change, which differs after `cp -r` or a restore: where
    no record knows it, the record of the same key and size says which image it was.
    """

    def __init__(self, records: Iterable[ReadingRecord | FailureRecord]) -> None:
        self._known: set[str] = set()
        self._by_object: dict[tuple[str, int], str] = {}
        self.superseded: set[str] = set()
        for record in records:
            if not object_keys.is_own(record.key):
                self._known.add(record.image)
                self._by_object[record.key, record.bytes] = record.image

    def image_id(self, stat: Stat) -> str:
        """The id of the picture at a key; remembers the one that its time would give instead."""
        by_time = object_keys.image_id(stat.key, stat.modified_at)
        earlier = self._by_object.get((stat.key, stat.size))
        if by_time in self._known or earlier is None:
            return by_time
        self.superseded.add(by_time)
        return earlier


def _keyed(records: Iterable[ReadingRecord]) -> Iterator[ReadingRecord]:
    """The readings of others' pictures alone, for the ids of ours stand in their keys."""
    return (record for record in records if not object_keys.is_own(record.key))


def _take_reading(images: dict[str, Image], record: ReadingRecord) -> None:
    image = images.get(record.image)
    if image and (image.reading is None or image.reading.at <= record.reading.at):
        images[record.image] = image.with_reading(record)


def _take_failure(images: dict[str, Image], record: FailureRecord) -> None:
    image = images.get(record.image)
    if image and image.reading is None:
        images[record.image] = replace(
            image, state="failed", error=record.error, width=record.width, height=record.height
        )


def _take_labels(images: dict[str, Image], records: Iterable[LabelRecord]) -> list[LabelRecord]:
    """Give each image a label of its own; returns all labels of those that have several."""
    by_image: dict[str, list[LabelRecord]] = defaultdict(list)
    for record in records:
        by_image[record.image].append(record)
    for image_id in by_image.keys() & images.keys():
        images[image_id] = replace(images[image_id], label=by_image[image_id][0].label)
    return [record for several in by_image.values() if len(several) > 1 for record in several]


def _records(
    store: Store,
    prefix: str,
    make: Callable[[Mapping[str, Any]], T],
    *,
    skipped: Callable[[str], None],
) -> Iterator[T]:
    """What every JSON line of every object under `prefix` says; one that was torn, or is something
    else, is told.
    """
    for where, line in _lines(store, prefix):
        try:
            record = make(json.loads(line))
        except READING_ERRORS:
            skipped(where)
        else:
            yield record


def _lines(store: Store, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every line of every JSON object under `prefix`, with its key and number."""
    listed = [stat.key for stat in store.list(prefix) if stat.key.endswith((".json", ".jsonl"))]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(listed), _BATCH):
            part = listed[start : start + _BATCH]
            for key, content in zip(
                part, pool.map(lambda key: _content(store, key), part), strict=True
            ):
                for number, line in enumerate(content.splitlines(), start=1):
                    if line.strip():
                        yield f"{key}:{number}", line


def _content(store: Store, key: str) -> bytes:
    try:
        return store.read(key)
    except NotFound:  # deleted since it was listed
        return b""


def _batches(images: Iterable[Image]) -> Iterator[list[Image]]:
    batch: list[Image] = []
    for image in images:
        batch.append(image)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
