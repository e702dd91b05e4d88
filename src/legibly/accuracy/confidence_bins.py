"""The part of the report about confidence: calibration, selective answers, histogram."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from legibly.statistics import aggregates, calibration, metrics

MILLION = 1_000_000
THRESHOLDS = (
    *(0, 500_000, 600_000, 700_000, 800_000, 900_000, 950_000),
    *(980_000, 990_000, 995_000, 999_000),
)
"""In millionths."""


class BinCount(NamedTuple):
    """Number of pairs in a confidence bin; `millionths` is the sum of their confidences."""

    n: int = 0
    right: int = 0
    millionths: int = 0

    def plus(self, n: int, right: int, millionths: int) -> "BinCount":
        return BinCount(self.n + n, self.right + right, self.millionths + millionths)


Bins = Mapping[int, BinCount]
"""Counts by the lower end of a bin; pairs without a confidence are left out."""


def total(parts: Iterable[Bins]) -> dict[int, BinCount]:
    """Add up the bins of several models."""
    bins: dict[int, BinCount] = {}
    for part in parts:
        for lower, count in part.items():
            bins[lower] = bins.get(lower, BinCount()).plus(*count)
    return bins


def calibration_of(bins: Bins) -> dict[str, Any]:
    """Calibration in twenty equal bins with `ece`, the expected calibration error.

    `ece` is None if no pair has a confidence.
    """
    wide: dict[int, BinCount] = {}
    for lower, count in bins.items():
        start = lower - lower % aggregates.BIN
        wide[start] = wide.get(start, BinCount()).plus(*count)
    rows = [_calibration_row(lower, wide[lower]) for lower in sorted(wide)]
    error = calibration.expected_calibration_error(
        (row["n"], row["confidence"], row["accuracy"]) for row in rows
    )
    return {"ece": error, "bins": rows}


def _calibration_row(lower: int, count: BinCount) -> dict[str, Any]:
    share = metrics.as_json(metrics.share(count.right, count.n))
    return {
        "from": lower / MILLION,
        "to": (lower + aggregates.BIN) / MILLION,
        "n": count.n,
        "confidence": count.millionths / count.n / MILLION,
        "accuracy": share["value"],
        "low": share["low"],
        "high": share["high"],
    }


def selective(bins: Bins, thresholds: Iterable[int] = THRESHOLDS) -> list[dict[str, Any]]:
    """Coverage and accuracy of the answers at or above each threshold."""
    pairs = sum(count.n for count in bins.values())
    return [_selective_row(bins, threshold, pairs) for threshold in thresholds if pairs]


def _selective_row(bins: Bins, threshold: int, pairs: int) -> dict[str, Any]:
    answered = sum(count.n for lower, count in bins.items() if lower >= threshold)
    right = sum(count.right for lower, count in bins.items() if lower >= threshold)
    share = metrics.as_json(metrics.share(right, answered))
    return {
        "threshold": threshold / MILLION,
        "coverage": answered / pairs,
        "accuracy": share["value"],
        "low": share["low"],
        "high": share["high"],
        "pairs": answered,
    }


def selective_curve(bins: Bins) -> list[dict[str, Any]]:
    """As `selective`, at the lower end of every bin, for an adjustable threshold."""
    return selective(bins, aggregates.EDGES)


def histogram(bins: Bins) -> list[dict[str, Any]]:
    """Right and wrong answers in every bin that has pairs."""
    uppers = dict(zip(aggregates.EDGES, (*aggregates.EDGES[1:], MILLION), strict=True))
    return [
        {
            "from": lower / MILLION,
            "to": uppers[lower] / MILLION,
            "right": bins[lower].right,
            "wrong": bins[lower].n - bins[lower].right,
        }
        for lower in sorted(bins)
    ]
