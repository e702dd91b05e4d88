"""Cells → the accuracy report of the contract, as plain JSON data.

Fields beyond the contract's: `estimate` (leads: see estimate.py), `enough` (false: too few pairs to say), intervals in
calibration bins, `confused` (what is taken for what most often), `drift`, `taken_back`, `skipped`.
Rows of the confusion matrix are the true labels, columns the predicted ones.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from legibly.statistics import aggregates, drift, estimate, metrics

MOST_LABELS = 200
"""A larger confusion matrix holds the labels with most places only: 10,000 classes would be 200 MB of zeros."""
MOST_CONFUSED = 50
THRESHOLDS = (
    0,
    500_000,
    600_000,
    700_000,
    800_000,
    900_000,
    950_000,
    980_000,
    990_000,
    995_000,
    999_000,
)

Report = dict[str, Any]
Right = dict[str, tuple[int, int]]


class _Tally:
    """Right and all, a name."""

    def __init__(self) -> None:
        self.right: Counter[Any] = Counter()
        self.all: Counter[Any] = Counter()

    def add(self, name: Any, n: int, right: int) -> None:
        self.all[name] += n
        self.right[name] += right

    def rows(self, title: str) -> list[dict[str, Any]]:
        return [
            {title: name, **_accuracy(self.right[name], self.all[name])}
            for name in sorted(self.all)
        ]


def build(table: aggregates.Table, *, single_label: Collection[str] = ()) -> Report:
    """The whole report; every list is sorted, every number comes from integers in a fixed order.

    `whole` names models, with or without their version, whose texts are one label each, digits or not.
    """
    days, models, sources, bins = _Tally(), _Tally(), _Tally(), _Tally()
    confidence: Counter[int] = Counter()
    calibration: dict[str, _Tally] = defaultdict(_Tally)
    model_confidence: dict[str, Counter[int]] = defaultdict(Counter)
    by_day, by_source, by_model, texts = _sums(table.cells, single_label)
    for day, (n, right) in by_day.items():
        if day:
            days.add(day, n, right)
    for source, (n, right) in by_source.items():
        sources.add(source, n, right)
    for (model, lower), (n, right, millionths) in by_model.items():
        models.add(model, n, right)
        bins.add(lower, n, right)
        confidence[lower] += millionths
        calibration[model].add(lower, n, right)
        model_confidence[model][lower] += millionths
    placed, unplaced = _placed(texts)
    rows = models.rows("model")
    for row in rows:
        row["ece"] = _calibration(calibration[row["model"]], model_confidence[row["model"]])["ece"]
    pairs = sum(models.all.values())
    return {
        "pairs": pairs,
        "accuracy": metrics.as_json(metrics.share(sum(models.right.values()), pairs)),
        "estimate": estimate.build(
            table, {name: (right, n) for name, (n, right) in sorted(by_source.items())}
        ),
        "classes": _classes(placed),
        "confusion": _confusion(placed, unplaced),
        "confused": _confused(placed),
        "calibration": _calibration(bins, confidence),
        "selective": _selective(bins),
        "by_day": days.rows("day"),
        "by_model": rows,
        "by_source": sources.rows("source"),
        "drift": drift.build(table.reads, single_label=single_label),
        "taken_back": table.taken_back,
        "skipped": table.skipped,
    }


def _sums(
    rows: Sequence[aggregates.Cell], single_label: Collection[str]
) -> tuple[dict[Any, list[int]], ...]:
    """All and right: by day, by source, by model and bin (with the confidence), and by texts (and if they are whole).

    One plain loop, since there may be a million cells.
    """
    by_day: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    by_source: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    by_model: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    texts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    single_models = {
        model: aggregates.is_single_label(model, single_label)
        for model in {cell.model for cell in rows}
    }
    for day, model, source, predicted, actual, lower, n, millionths in rows:
        right = n if predicted == actual else 0
        for sums in (
            by_day[day],
            by_source[source],
            texts[predicted, actual, single_models[model]],
        ):
            sums[0] += n
            sums[1] += right
        sums = by_model[model, lower]
        sums[0] += n
        sums[1] += right
        sums[2] += millionths
    return by_day, by_source, by_model, texts


def _placed(
    texts: Mapping[tuple[str, str, bool], list[int]],
) -> tuple[Counter[tuple[str, str]], int]:
    """Labels side by side, and how many texts do not lie so."""
    placed, unplaced = Counter[tuple[str, str]](), 0
    for (predicted, actual, single), (n, _) in texts.items():
        label_pairs = aggregates.places(predicted, actual, single=single)
        unplaced += n if label_pairs is None else 0
        for place in label_pairs or ():
            placed[place] += n
    return placed, unplaced


def encode(report: Report) -> bytes:
    """The report's one spelling: compact UTF-8 JSON and a line feed."""
    return (
        json.dumps(report, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    ).encode()


def _accuracy(right: int, n: int) -> dict[str, Any]:
    return {
        "pairs": n,
        "accuracy": metrics.as_json(metrics.share(right, n)),
        "enough": n >= estimate.ENOUGH,
    }


def _in_order(label: str) -> tuple[bool, str]:
    """Labels sort by their text, "nothing" last."""
    return (label == "", label)


def _classes(placed: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    predicted_counts, actual_counts, hits = Counter[str](), Counter[str](), Counter[str]()
    for (predicted, actual), n in placed.items():
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
            "enough": actual_counts[label] >= estimate.ENOUGH,
        }
        for label in sorted({*predicted_counts, *actual_counts}, key=_in_order)
    ]


def _confusion(placed: Counter[tuple[str, str]], unplaced: int) -> dict[str, Any]:
    weight = Counter[str]()
    for (predicted, actual), n in placed.items():
        weight[predicted] += n
        weight[actual] += n
    heaviest = sorted(weight, key=lambda label: (-weight[label], label))[:MOST_LABELS]
    labels = sorted(heaviest, key=_in_order)
    counts = [[placed[predicted, actual] for predicted in labels] for actual in labels]
    shown = sum(map(sum, counts))
    left_out = {
        "labels": len(weight) - len(labels),
        "places": sum(placed.values()) - shown,
        "texts": unplaced,
    }
    return {"labels": labels, "counts": counts, "left_out": left_out}


def _confused(placed: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    wrong = sorted(
        (-n, actual, predicted) for (predicted, actual), n in placed.items() if predicted != actual
    )
    return [
        {"actual": actual, "predicted": predicted, "n": -n}
        for n, actual, predicted in wrong[:MOST_CONFUSED]
    ]


def _calibration(bins: _Tally, confidence: Counter[int]) -> dict[str, Any]:
    """Twenty equal bins; `ece` is the expected calibration error over them, None where nothing has a confidence."""
    n, right, sums = Counter[int](), Counter[int](), Counter[int]()
    for lower in bins.all:
        if lower != aggregates.NO_CONFIDENCE:
            wide = lower - lower % aggregates.BIN
            n[wide] += bins.all[lower]
            right[wide] += bins.right[lower]
            sums[wide] += confidence[lower]
    total = sum(n.values())
    rows, error = [], 0.0
    for lower in sorted(n):
        accuracy = metrics.share(right[lower], n[lower])
        mean = sums[lower] / n[lower] / 1_000_000
        if accuracy:
            error += n[lower] / total * abs(accuracy.value - mean)
            ends = {"from": lower / 1_000_000, "to": (lower + aggregates.BIN) / 1_000_000}
            interval = {"accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
            rows.append({**ends, "n": n[lower], "confidence": mean, **interval})
    return {"ece": error if total else None, "bins": rows}


def _selective(bins: _Tally) -> list[dict[str, Any]]:
    """What is left, and how good it is, where only answers from a confidence on are kept."""
    known = sum(n for lower, n in bins.all.items() if lower != aggregates.NO_CONFIDENCE)
    out = []
    for threshold in THRESHOLDS if known else ():
        answered = sum(n for lower, n in bins.all.items() if lower >= threshold)
        right = sum(n for lower, n in bins.right.items() if lower >= threshold)
        accuracy = metrics.as_json(metrics.share(right, answered))
        row = {
            "threshold": threshold / 1_000_000,
            "coverage": answered / known,
            "accuracy": accuracy["value"],
        }
        out.append({**row, "low": accuracy["low"], "high": accuracy["high"], "pairs": answered})
    return out
