"""Rebuilds the index from the object store, which holds everything the index knows."""

import contextlib
import functools
import gc
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypeVar

from legibly import object_keys
from legibly.errors import NotFound
from legibly.index import record_rows
from legibly.index.port import Index, Rebuild
from legibly.index.record_rows import PictureRow
from legibly.iteration import ahead, batched
from legibly.pipeline import adoption, is_picture
from legibly.pipeline.adoption import Adopter
from legibly.records import (
    AdoptionRecord,
    Batch,
    FailureRecord,
    LabelRecord,
    Pair,
    ReadingRecord,
    UploadRecord,
    stamp,
)
from legibly.settings import Settings
from legibly.store import Stat, Store
from legibly.store.record_files import READING_ERRORS

T = TypeVar("T")
_AT_ONCE = 16
MAX_BYTES = Settings().max_bytes
_BATCH = 1000
_ROWS = 10_000
_PORTION_FILES = 20
_PORTION_BYTES = 500_000
_Read = Callable[..., Iterator[Any]]


def reindex(
    store: Store,
    index: Index,
    *,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[str, int], None] = lambda _phase, _count: None,
    skipped: Callable[[str], None] = lambda _where: None,
) -> int:
    """Build a new index and replace the present one with it; returns the number of images.

    Records are processed in batches to bound memory. `progress` gets each kind and count, `skipped`
    the object and number of each line that is not a record.
    """
    reported: set[str] = set()

    def skip(where: str) -> None:  # some records are read twice
        if where not in reported:
            reported.add(where)
            skipped(where)

    read = functools.partial(_records, store, skipped=skip)
    with _collecting_seldom(), index.rebuilding() as fresh:
        _fill_images(store, fresh, read, Adopter(store, max_bytes=max_bytes))
        count = fresh.count()
        progress("images", count)
        lines = _parsed(store, object_keys.READINGS, record_rows.of_line, skipped=skip)
        progress("readings", fresh.add_all_readings(ahead(batched(lines, _ROWS))))
        for labels in batched(read(object_keys.LABELS, LabelRecord.from_json), _BATCH):
            fresh.add_labels(labels)
        progress("labels", fresh.count_labelled())
        for batches in batched(read(object_keys.BATCHES, Batch.from_json), _BATCH):
            fresh.add_batches(batches)
        pairs = 0
        for several in batched(_pairs(store, read, skip), _BATCH):
            fresh.add_pairs(several)
            pairs += len(several)
        progress("pairs", pairs)
    return count


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Let Python look for cycles a hundred times less often: rows have none, and are many."""
    thresholds = gc.get_threshold()
    gc.set_threshold(thresholds[0] * 100, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _fill_images(store: Store, fresh: Rebuild, read: _Read, adopter: Adopter) -> None:
    """Add all images, with the details of their uploads, and failed images."""
    for ids in batched(_deleted(store), _BATCH):
        fresh.add_deletions(ids)
    for adoptions in batched(read(object_keys.ADOPTIONS, AdoptionRecord.from_json), _BATCH):
        fresh.add([adoption.image_of(record) for record in adoptions])
    _add_pictures(store, fresh, read, adopter)
    for uploads in batched(read(object_keys.UPLOADS, UploadRecord.from_json), _BATCH):
        fresh.apply_uploads(uploads)
    for failures in batched(read(object_keys.FAILURES, FailureRecord.from_json), _BATCH):
        fresh.apply_failures(failures)


def _deleted(store: Store) -> Iterator[str]:
    for stat in store.list(object_keys.DELETIONS):
        yield object_keys.last(stat.key).partition(".")[0]


def _pairs(store: Store, read: _Read, skipped: Callable[[str], None]) -> Iterator[Pair]:
    yield from read(object_keys.PAIRS, Pair.from_json)
    folders = (object_keys.PAIRS, object_keys.SETTLED_PAIRS)
    if any(stat.key.endswith(".parquet") for folder in folders for stat in store.list(folder)):
        from legibly.accuracy.compaction import compact  # DuckDB takes a while to import

        yield from compact.pairs(store, skipped=skipped)


def _add_pictures(store: Store, fresh: Rebuild, read: _Read, adopter: Adopter) -> None:
    """Add uploads unchanged, and copy other pictures that have no copy yet."""
    others: list[Stat] = []
    for rows, foreign in ahead(_picture_rows(store)):
        fresh.add_pictures(rows)
        known = fresh.known([adoption.image_id(stat) for stat in foreign])
        others += [stat for stat in foreign if adoption.image_id(stat) not in known]
    if not others:
        return
    readings = read(object_keys.READINGS, ReadingRecord.from_json)
    failures = read(object_keys.FAILURES, FailureRecord.from_json)
    earlier = _Adopted(chain(readings, failures))
    for stats in batched(others, _BATCH):
        adopted = adopter.adopt(stats, id_of=earlier.image_id)
        fresh.add([image for _, image in adopted])
        fresh.add_deletions([listed for listed, image in adopted if listed != image.id])


def _picture_rows(store: Store) -> Iterator[tuple[list[PictureRow], list[Stat]]]:
    """Pictures that senders uploaded as rows, and those that were put into the store directly."""
    for stats in batched(store.list(object_keys.IMAGES), _ROWS):
        rows = list(map(_picture_row, stats))
        others = [stat for stat, row in zip(stats, rows, strict=True) if row is None]
        yield [row for row in rows if row], list(filter(is_picture, others))


def _picture_row(stat: Stat) -> PictureRow | None:
    """The row of an uploaded picture; None for pictures that were put into the store directly."""
    key = stat.key
    image = object_keys.own_id(key)
    if image is None or not (stat.size or is_picture(stat)):
        return None
    milliseconds = object_keys.milliseconds(image)
    received_at = f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"
    return PictureRow(image, key, received_at, object_keys.media_type(key), stat.size)


@functools.lru_cache(maxsize=1)
def _second(since_1970: int) -> str:
    """A second as `stamp` writes it; pictures come in the order of their time."""
    return stamp(datetime.fromtimestamp(since_1970, UTC)).partition(".")[0]


class _Adopted:
    """The ids of pictures put into the store directly, as recorded.

    Such an id contains the time of the last change, which differs after `cp -r` or a restore. If no
    record has the id, the record with the same key and size identifies the image.
    """

    def __init__(self, records: Iterable[ReadingRecord | FailureRecord]) -> None:
        self._known: set[str] = set()
        self._by_object: dict[tuple[str, int], str] = {}
        for record in records:
            if not object_keys.is_own(record.key):
                self._known.add(record.image)
                self._by_object[record.key, record.bytes] = record.image

    def image_id(self, stat: Stat) -> str:
        """The id of the picture at a key."""
        by_time = adoption.image_id(stat)
        earlier = self._by_object.get((stat.key, stat.size))
        if by_time in self._known or earlier is None:
            return by_time
        return earlier


def _records(
    store: Store,
    prefix: str,
    make: Callable[[Mapping[str, Any]], T],
    *,
    skipped: Callable[[str], None],
) -> Iterator[T]:
    """The value of every JSON line of every object under `prefix`; invalid lines are reported."""
    return _parsed(store, prefix, lambda line: make(json.loads(line)), skipped=skipped)


def _parsed(
    store: Store, prefix: str, make: Callable[[bytes], T], *, skipped: Callable[[str], None]
) -> Iterator[T]:
    for key, content in _contents(store, prefix):
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = make(line)
            except READING_ERRORS:
                skipped(f"{key}:{number}")
            else:
                yield record


def _contents(store: Store, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every JSON object under `prefix` with its key, fetched ahead of use."""
    waiting: deque[Future[list[tuple[str, bytes]]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for keys in _portions(store.list(prefix)):
            waiting.append(pool.submit(_fetch, store, keys))
            if len(waiting) > _AT_ONCE:
                yield from waiting.popleft().result()
        for portion in waiting:
            yield from portion.result()


def _portions(stats: Iterable[Stat]) -> Iterator[list[str]]:
    """Keys to fetch one after another: some small files, or a large one."""
    keys: list[str] = []
    size = 0
    for stat in stats:
        if stat.key.endswith((".json", ".jsonl")):
            keys.append(stat.key)
            size += stat.size
            if size >= _PORTION_BYTES or len(keys) == _PORTION_FILES:
                yield keys
                keys = []
                size = 0
    yield keys


def _fetch(store: Store, keys: Sequence[str]) -> list[tuple[str, bytes]]:
    contents = []
    for key in keys:
        with contextlib.suppress(NotFound):  # deleted since it was listed
            contents.append((key, store.read(key)))
    return contents
