"""Deletes images with all their data in the store and the index."""

from collections import defaultdict
from collections.abc import Collection

from legibly import object_keys
from legibly.errors import NotFound
from legibly.index.port import Filter, Index
from legibly.pipeline.adoption import Adopter
from legibly.pipeline.pairs import pair_key
from legibly.store import Store, record_files
from legibly.store.record_files import line

_REMOVED_AT_ONCE = 500


def remove_images(store: Store, index: Index, adopter: Adopter, image_ids: Collection[str]) -> None:
    """Delete images and their records; ignores unknown ids.

    A tombstone stays, so that records in files shared with other images no longer count;
    compaction drops them.
    """
    keys: list[str] = []
    pair_keys = [pair_key(pair) for pair in index.pairs(image_ids)]
    by_day: dict[str, set[str]] = defaultdict(set)
    for image_id in image_ids:
        try:
            keys += adopter.keys_of(index.get(image_id))
        except NotFound:
            continue
        store.create(object_keys.deletion(image_id), line({"image": image_id}))
        index.remove(image_id)
        for folder in (
            object_keys.UPLOADS,
            object_keys.READINGS,
            object_keys.FAILURES,
            object_keys.LABELS,
        ):
            by_day[object_keys.day(folder, image_id)].add(image_id)
    for folder, ids in by_day.items():
        for stat in store.list(folder):
            is_alone = stat.key.removeprefix(folder).partition(".")[0] in ids
            if is_alone or record_files.write_others(store, stat.key, ids):
                keys.append(stat.key)
    store.remove([*keys, *pair_keys])


def remove_owner(store: Store, index: Index, adopter: Adopter, owner: str) -> None:
    """Delete every image and batch of an account or a pupil."""
    while images := index.page(Filter(owner=owner), limit=_REMOVED_AT_ONCE):
        remove_images(store, index, adopter, [image.id for image in images])
    while counts := index.batches(owner=owner, limit=_REMOVED_AT_ONCE):
        ids = [count.batch.id for count in counts]
        store.remove([object_keys.batch_record(batch_id) for batch_id in ids])
        index.remove_batches(ids)
