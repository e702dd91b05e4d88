"""The handwriting report: the legibility of each digit of a writer, its interval, trend and advice.

The legibility of a written digit is the item's own measure or, without one, the probability of the
intended digit. That is the digit in the label; without a label, a confident answer is assumed to be
right.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from legibly.handwriting import advice
from legibly.records import Image, Item
from legibly.statistics import metrics

MIN_EXAMPLES = 3
"""The least number of digits for a statement."""
TREND = 10
"""The number of newest digits that are compared with as many before them."""
EXAMPLES = 3
MIN_TO_RANK = 2 * EXAMPLES
"""With this many digits the most and the least legible ones do not overlap."""
SURE = 0.9
"""An answer without a label is assumed right from this confidence on, unless a model's card
says otherwise.
"""
# Student's t at 97.5 %, by degrees of freedom 1 … 20, then the normal distribution's.
_T: tuple[float, ...] = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_T += (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)


@dataclass(frozen=True, slots=True)
class Written:
    """A written digit: as intended, as read, how legible; `item` counts from 0."""

    image: str
    item: int
    intended: str
    read: str
    legibility: float
    at: str
    labelled: bool


def written(images: Iterable[Image], *, sure: float = SURE) -> Iterator[Written]:
    """The digits of these images whose intended class is known or safe to assume."""
    for image in images:
        reading = image.reading
        if reading is None or reading.verdict not in ("read", "unsure"):
            continue
        truth = image.label.text if image.label and image.label.text is not None else None
        places = None if truth is None else [sign for sign in truth if sign not in " /"]
        if places is not None and len(places) != len(reading.digits):
            continue  # it is unknown which item belongs to which digit
        moment = f"{image.received_at:%Y-%m-%dT%H:%M:%SZ}"
        for number, item in enumerate(reading.digits):
            if places is None and item.confidence < sure:
                continue
            intended = places[number] if places is not None else item.label
            legibility = _legibility(item, intended)
            facts = (intended, item.label, legibility, moment, places is not None)
            yield Written(image.id, number, *facts)


def _legibility(item: Item, intended: str) -> float:
    if item.legibility is not None and item.label == intended:
        return item.legibility
    return float(item.probabilities.get(intended, 0.0))


def report(
    images: Iterable[Image], *, classes: Sequence[str], sure: float = SURE
) -> dict[str, Any]:
    """The report as JSON data; images newest first. Digits that were never written have n = 0."""
    by_digit: dict[str, list[Written]] = defaultdict(list)
    for digit in written(images, sure=sure):
        by_digit[digit.intended].append(digit)
    digits = [_digit(name, by_digit.get(name, [])) for name in classes]
    everything = [digit for name in classes for digit in by_digit.get(name, [])]
    confusions = Counter(
        (digit.intended, digit.read) for digit in everything if digit.intended != digit.read
    )
    most = sorted(confusions.items(), key=lambda entry: (-entry[1], entry[0]))[:5]
    return {
        "written": len(everything),
        "legibility": _mean([digit.legibility for digit in everything]),
        "read_right": _right(everything),
        "digits": digits,
        "confused": [{"meant": intended, "read": read, "n": n} for (intended, read), n in most],
    }


def _right(many: Sequence[Written]) -> dict[str, Any]:
    """The share of right digits with a label: without one, the answer would judge itself."""
    labelled = [digit for digit in many if digit.labelled]
    return metrics.as_json(
        metrics.share(sum(digit.intended == digit.read for digit in labelled), len(labelled))
    )


def _digit(name: str, many: Sequence[Written]) -> dict[str, Any]:
    ranked = sorted(many, key=lambda digit: (-digit.legibility, digit.image, digit.item))
    # A misread digit is illegible, however sure the model was.
    best = [digit for digit in ranked if digit.read == name][:EXAMPLES]
    worst = [digit for digit in reversed(ranked) if digit not in best][:EXAMPLES]
    taken = Counter(digit.read for digit in many if digit.read != name)
    read_as = min(taken, key=lambda other: (-taken[other], other)) if taken else None
    return {
        "digit": name,
        "n": len(many),
        "enough": len(many) >= MIN_EXAMPLES,
        "legibility": _mean([digit.legibility for digit in many]),
        "read_right": _right(many),
        "trend": _trend([digit.legibility for digit in many]),
        "best": [_example(digit) for digit in best],
        "worst": [_example(digit) for digit in worst],
        "rankable": len(many) >= MIN_TO_RANK,
        "read_as": read_as,
        "read_as_n": taken[read_as] if read_as is not None else 0,
        "history": [round(digit.legibility, 4) for digit in many[: 3 * TREND]][::-1],
        "advice": advice.pair(name, read_as) if read_as else None,
    }


def _example(digit: Written) -> dict[str, Any]:
    return {name: getattr(digit, name) for name in ("image", "item", "read", "legibility")}


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    """The mean with its 95 % interval by Student's t, within 0 … 1; a single value has none."""
    if not values:
        return {"value": None, "low": None, "high": None}
    mean = fmean(values)
    if len(values) == 1:
        return {"value": mean, "low": 0.0, "high": 1.0}
    half = _t(len(values) - 1) * math.sqrt(variance(values) / len(values))
    return {"value": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half)}


def _t(freedom: int) -> float:
    return _T[freedom - 1] if freedom <= len(_T) else metrics.Z95


def _trend(newest_first: Sequence[float]) -> dict[str, Any] | None:
    """The newest digits against those before: a change only if its 95 % interval excludes zero."""
    new = newest_first[:TREND]
    old = newest_first[TREND : 2 * TREND]
    if len(old) < MIN_EXAMPLES:
        return None
    change = fmean(new) - fmean(old)
    half = _t(len(old) - 1) * math.sqrt(variance(new) / len(new) + variance(old) / len(old))
    word = "better" if change - half > 0 else "worse" if change + half < 0 else "steady"
    return {"word": word, "change": change, "low": change - half, "high": change + half}
