"""Builds the accuracy report of the contract from count rows, as plain JSON data.

Fields beyond the contract: `estimate` (comes first: see estimate.py), `enough` (false: too few
pairs to say), intervals in calibration bins, `confused` (most frequent mistakes), `false_digits`,
`macro_f1`, `histogram`, `selective_curve`, `by_length`, `drift`, `taken_back`, `skipped`.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from legibly.accuracy import confidence_bins, confusion
from legibly.records import UNANSWERED
from legibly.statistics import aggregates, drift, estimate, metrics

MAX_LENGTH = 6
"""Texts of at least this many labels share one row of `by_length`."""

Report = dict[str, Any]
_Group = dict[Any, list[int]]


def _pair_of_counts() -> _Group:
    return defaultdict(lambda: [0, 0])


@dataclass(slots=True)
class _Sums:
    """All and right pairs by name; `bins`, by model and bin, has the sum of confidences too."""

    day: _Group = field(default_factory=_pair_of_counts)
    source: _Group = field(default_factory=_pair_of_counts)
    texts: _Group = field(default_factory=_pair_of_counts)
    bins: _Group = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))


def build(table: aggregates.Table, *, single_label: Collection[str] = ()) -> Report:
    """Build the complete report, always in the same order and from integers.

    `single_label`: models whose texts are a single label, with or without their version.
    """
    sums = _sums(table.cells, single_label)
    texts = {key: n for key, (n, _) in sums.texts.items()}
    labels, unaligned = confusion.label_pairs(texts)
    classes = confusion.classes(labels)
    bins = _bins_by_model(sums.bins)
    every = confidence_bins.total(bins.values())
    pairs = sum(n for n, _ in sums.source.values())
    right = sum(right for _, right in sums.source.values())
    by_source = {name: (right, n) for name, (n, right) in sorted(sums.source.items())}
    return {
        "pairs": pairs,
        "accuracy": metrics.as_json(metrics.share(right, pairs)),
        "estimate": estimate.build(table, by_source),
        "false_digits": confusion.false_digits(texts),
        "macro_f1": confusion.macro_f1(classes),
        "classes": classes,
        "confusion": confusion.matrix(labels, unaligned),
        "confused": confusion.most_confused(labels),
        "calibration": confidence_bins.calibration_of(every),
        "selective": confidence_bins.selective(every),
        "selective_curve": confidence_bins.selective_curve(every),
        "histogram": confidence_bins.histogram(every),
        "by_day": _rows("day", {day: counts for day, counts in sums.day.items() if day}),
        "by_model": _model_rows(sums.bins, bins),
        "by_source": _rows("source", sums.source),
        "by_length": _rows("length", _lengths(sums.texts)),
        "drift": drift.build(table.reads, single_label=single_label),
        "taken_back": table.taken_back,
        "skipped": table.skipped,
    }


def encode(report: Report) -> bytes:
    """Encode the report as compact UTF-8 JSON and a line feed, always with the same bytes."""
    text = json.dumps(report, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{text}\n".encode()


def _sums(rows: Sequence[aggregates.Cell], single_label: Collection[str]) -> _Sums:
    """Add up the count rows in one plain loop, for speed: there may be a million."""
    sums = _Sums()
    single_models = {
        model: aggregates.is_single_label(model, single_label)
        for model in {row.model for row in rows}
    }
    for day, model, source, predicted, actual, lower, n, millionths in rows:
        right = n if predicted == actual else 0
        text = (predicted, actual, single_models[model])
        for group in (sums.day[day], sums.source[source], sums.texts[text]):
            group[0] += n
            group[1] += right
        group = sums.bins[model, lower]
        group[0] += n
        group[1] += right
        group[2] += millionths
    return sums


def _bins_by_model(sums: _Group) -> dict[str, dict[int, confidence_bins.BinCount]]:
    bins: dict[str, dict[int, confidence_bins.BinCount]] = {}
    for (model, lower), counts in sums.items():
        of_model = bins.setdefault(model, {})
        if lower != aggregates.NO_CONFIDENCE:
            of_model[lower] = confidence_bins.BinCount(*counts)
    return bins


def _model_rows(
    sums: _Group, bins: Mapping[str, dict[int, confidence_bins.BinCount]]
) -> list[dict[str, Any]]:
    models = _pair_of_counts()
    for (model, _), (n, right, _) in sums.items():
        models[model][0] += n
        models[model][1] += right
    return [
        {**row, "ece": confidence_bins.calibration_of(bins[row["model"]])["ece"]}
        for row in _rows("model", models)
    ]


def _lengths(texts: _Group) -> _Group:
    """All and right pairs by the number of labels in the true text; "no digit here" is 0."""
    lengths = _pair_of_counts()
    for (_, actual, single), (n, right) in texts.items():
        text = "" if actual == UNANSWERED else actual
        length = min(MAX_LENGTH, len(aggregates.units(text, single=single)))
        lengths[length][0] += n
        lengths[length][1] += right
    return lengths


def _rows(title: str, group: _Group) -> list[dict[str, Any]]:
    return [
        {
            title: name,
            "pairs": n,
            "accuracy": metrics.as_json(metrics.share(right, n)),
            "enough": n >= estimate.MIN_LABELS,
        }
        for name, (n, right) in sorted(group.items())
    ]
