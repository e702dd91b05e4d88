"""The labelled pictures of a training: read, grouped, split and prepared once."""

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from legibly import errors
from legibly.evaluation.datasets import Sample, samples
from legibly.images import decode
from legibly.packs import preprocessing
from legibly.packs.card import Card

PARTS = {"train": 0.7, "valid": 0.15, "test": 0.15}
"""Shares of the pictures: weights are fitted on the first, when to stop and how sure to be on the
second, and the figures are measured on the third."""
MIN_PICTURES = 5
"""Pictures that each class needs."""
_MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Labelled:
    """Pictures of one part: `pixels` (N, H, W) or (N, H, W, 3) uint8, `classes` (N,) int64."""

    pixels: np.ndarray
    classes: np.ndarray
    samples: list[Sample]


def find(data: Path) -> list[Sample]:
    """The labelled pictures of class folders, a labels.csv or idx files; one class of each at
    least.

    Raises errors.Invalid, naming the classes, where there are too few.
    """
    listed = samples(data)
    counts = Counter(sample.text for sample in listed if sample.text)
    if len(counts) < 2:
        raise errors.Invalid(
            f"there is {len(counts)} class; two are needed.",
            where=str(data),
            remedy="Put the pictures of each class into a folder of its name.",
        )
    rare = [name for name, count in sorted(counts.items()) if count < MIN_PICTURES]
    if rare:
        raise errors.Invalid(
            f"these classes have fewer than {MIN_PICTURES} pictures: {', '.join(rare[:8])}.",
            where=str(data),
        )
    return [sample for sample in listed if sample.text]


def split(listed: Sequence[Sample], *, pattern: str | None, seed: int) -> dict[str, list[Sample]]:
    """The parts of `PARTS`; pictures of one group stay together.

    A group is what `pattern` matches in a picture's name (its first bracket, if it has one);
    without a pattern the same bytes are one group, so that no copy is trained on and tested on.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in listed:
        groups[_group(sample, pattern)].append(sample)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    parts: dict[str, list[Sample]] = {name: [] for name in PARTS}
    for name in sorted(names, key=lambda group: -len(groups[group])):
        missing = {part: PARTS[part] * len(listed) - len(parts[part]) for part in PARTS}
        parts[max(missing, key=lambda part: missing[part])] += groups[name]
    _check(parts, {sample.text for sample in listed})
    return parts


def load(
    part: Iterable[Sample], classes: Sequence[str], card: Card, *, tick: Callable[[], None]
) -> tuple[Labelled, list[str]]:
    """Decode and resize pictures as the card says; also the names of those that are damaged."""
    pixels = []
    numbers = []
    readable = []
    damaged = []
    for sample in part:
        try:
            picture = decode.decode(sample.load(), max_pixels=_MAX_PIXELS)
        except (errors.NotAnImage, errors.Unusable) as error:
            damaged.append(f"{sample.name}: {error.message}")
            continue
        finally:
            tick()
        pixels.append(np.asarray(preprocessing.picture(picture.pixels, card)))
        numbers.append(classes.index(sample.text))
        readable.append(sample)
    return Labelled(np.stack(pixels), np.array(numbers, np.int64), readable), damaged


def is_grey(listed: Sequence[Sample]) -> bool:
    """Whether none of the first hundred pictures, spread over the list, has a colour."""
    for sample in listed[:: max(1, len(listed) // 100)]:
        try:
            pixels = decode.decode(sample.load(), max_pixels=_MAX_PIXELS).pixels
        except (errors.NotAnImage, errors.Unusable):
            continue
        if pixels.ndim == 3 and (np.ptp(pixels.astype(np.int16), axis=2) > 12).mean() > 0.001:
            return False
    return True


def _group(sample: Sample, pattern: str | None) -> str:
    if pattern is None:
        return hashlib.sha256(sample.load()).hexdigest()
    match = re.search(pattern, sample.name)
    if match is None:
        raise errors.Invalid(f"--group {pattern} matches nothing in this name.", where=sample.name)
    return match[1] if match.re.groups else match[0]


def _check(parts: dict[str, list[Sample]], classes: set[str]) -> None:
    for part, members in parts.items():
        missing = classes - {sample.text for sample in members}
        if missing:
            raise errors.Invalid(
                f"no picture of {', '.join(sorted(missing)[:8])} falls into the part {part}.",
                where="--group",
                remedy="Give more pictures or groups, or another --seed.",
            )
