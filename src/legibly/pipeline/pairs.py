"""Pairs of a label and a reading, the unit of the accuracy job."""

from legibly import object_keys
from legibly.records import Image, Pair


def pair_of(image: Image) -> Pair | None:
    """The pair of an image's newest label and its reading; None while one of them is missing."""
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
    """Where a pair lies."""
    return object_keys.pair(pair.image, pair.labelled_at, pair.model.rpartition("@")[2])
