"""Pairs of a label and a reading, the unit of the accuracy job."""

from collections.abc import Iterable

from legibly import object_keys
from legibly.index.port import Index
from legibly.records import Image, Pair
from legibly.store import Store
from legibly.store.record_files import line


def pair_of(image: Image) -> Pair | None:
    """The pair of an image's newest label and its reading; None if one is missing."""
    if image.label is None or image.reading is None:
        return None
    reading = image.reading
    label = image.label
    return Pair(
        image=image.id,
        predicted=reading.text,
        actual=label.text,
        confidence=reading.confidence,
        model=f"{reading.model.name}@{reading.model.version}",
        writer=image.writer,
        source=label.source,
        labelled_at=label.at,
        verdict=reading.verdict,
    )


def pair_key(pair: Pair) -> str:
    """The key of a pair."""
    return object_keys.pair(pair.image, pair.labelled_at, pair.model.rpartition("@")[2])


def store_pairs(store: Store, index: Index, images: Iterable[Image]) -> None:
    """Store and index the pairs of those images that have one."""
    pairs = [pair for image in images if (pair := pair_of(image)) is not None]
    for pair in pairs:
        store.create(pair_key(pair), line(pair.to_json()))
    if pairs:
        index.add_pairs(pairs)
