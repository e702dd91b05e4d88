"""The part of the report about labels: which label was read as which.

Rows of the confusion matrix are the true labels, columns the predicted ones. The empty label
stands for "no digit here".
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from legibly.records import UNANSWERED
from legibly.statistics import aggregates, estimate, metrics

MAX_LABELS = 200
"""A larger confusion matrix holds the most frequent labels only: 10,000 classes are 200 MB of
zeros.
"""
MAX_CONFUSED = 50

Texts = Mapping[tuple[str, str, bool], int]
"""How many pairs have a predicted and a true text, and whether a text is a single label."""
LabelPairs = Counter[tuple[str, str]]
"""How many times a label was read as another: (predicted, actual)."""


def label_pairs(texts: Texts) -> tuple[LabelPairs, int]:
    """Count pairs of labels, and the texts whose labels do not correspond one to one."""
    counts = LabelPairs()
    unaligned = 0
    for (predicted, actual, single), n in texts.items():
        aligned = aggregates.aligned_labels(
            predicted, "" if actual == UNANSWERED else actual, single=single
        )
        unaligned += n if aligned is None else 0
        for labels in aligned or ():
            counts[labels] += n
    return counts, unaligned


def false_digits(texts: Texts) -> dict[str, Any]:
    """Images without a digit, and the share of them that was answered `read`.

    Pairs of version 0.1 have no verdict: there, every answer with a text counts as `read`.
    """
    images = 0
    answered = 0
    for (predicted, actual, _), n in texts.items():
        if actual in ("", UNANSWERED):
            images += n
            answered += n if predicted and not actual else 0
    share = metrics.as_json(metrics.share(answered, images))
    enough = images >= estimate.MIN_LABELS
    return {**share, "images": images, "answered": answered, "enough": enough}


def classes(counts: LabelPairs) -> list[dict[str, Any]]:
    """Support, precision, recall and F1 of every label."""
    predicted_counts = Counter[str]()
    actual_counts = Counter[str]()
    hits = Counter[str]()
    for (predicted, actual), n in counts.items():
        predicted_counts[predicted] += n
        actual_counts[actual] += n
        if predicted == actual:
            hits[actual] += n
    return [
        {
            "label": label,
            "support": actual_counts[label],
            "precision": metrics.as_json(metrics.share(hits[label], predicted_counts[label])),
            "recall": metrics.as_json(metrics.share(hits[label], actual_counts[label])),
            "f1": metrics.f1(hits[label], predicted_counts[label], actual_counts[label]),
            "enough": actual_counts[label] >= estimate.MIN_LABELS,
        }
        for label in sorted({*predicted_counts, *actual_counts}, key=_sort_key)
    ]


def macro_f1(rows: list[dict[str, Any]]) -> float | None:
    """The mean F1 of all true labels except "no digit here"; None if there are none."""
    scores = [row["f1"] for row in rows if row["label"] and row["support"]]
    return math.fsum(scores) / len(scores) if scores else None


def matrix(counts: LabelPairs, unaligned: int) -> dict[str, Any]:
    """The confusion matrix of the most frequent labels, and how many pairs it leaves out."""
    frequency = Counter[str]()
    for (predicted, actual), n in counts.items():
        frequency[predicted] += n
        frequency[actual] += n
    shown = sorted(frequency, key=lambda label: (-frequency[label], label))[:MAX_LABELS]
    labels = sorted(shown, key=_sort_key)
    rows = [[counts[predicted, actual] for predicted in labels] for actual in labels]
    left_out = {
        "labels": len(frequency) - len(labels),
        "places": sum(counts.values()) - sum(map(sum, rows)),
        "texts": unaligned,
    }
    return {"labels": labels, "counts": rows, "left_out": left_out}


def most_confused(counts: LabelPairs) -> list[dict[str, Any]]:
    """The most frequent mistakes."""
    wrong = sorted(
        (-n, actual, predicted) for (predicted, actual), n in counts.items() if predicted != actual
    )
    return [
        {"actual": actual, "predicted": predicted, "n": -n}
        for n, actual, predicted in wrong[:MAX_CONFUSED]
    ]


def _sort_key(label: str) -> tuple[bool, str]:
    """By text, "no digit here" last."""
    return (label == "", label)
