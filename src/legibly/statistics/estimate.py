"""Estimates how often answers are right, without the bias of who gives labels.

People label mistakes more eagerly than successes, so volunteered labels underestimate the accuracy
(and labels uploaded with pictures are for pictures that somebody chose). The app therefore asks for
the labels of a random sample (`sampling.asks`). Not everybody answers: if the readings are known,
each confidence bin of the answered ones is weighted by its size among all readings, so that the
result is unbiased even if answering depends on the confidence.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from legibly.statistics import aggregates, metrics

MIN_LABELS = 20
"""The least number of pairs for an estimate: with fewer the interval is half the scale."""

_WHY = {
    "asked": (
        "These labels come from a random sample, so right and wrong answers are equally likely"
        " to be included."
    ),
    "all": (
        "There are too few labels from the random sample to rely on. Volunteered labels include"
        " more than their share of mistakes, because people are more likely to label a mistake, so"
        " the true accuracy is probably higher than this."
    ),
    "upload": "All labels were uploaded with the pictures, before anything was read.",
    "unknown": (
        "It was not recorded how the labels were chosen, so we cannot tell how representative"
        " they are."
    ),
    "none": "There are no labels yet.",
}
_WEIGHTED = (
    " Those who answered stand for all readings: each confidence range counts by its share of the"
    " readings."
)


def build(table: aggregates.Table, by_source: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The report's `estimate`; `by_source` is right and all pairs of each source."""
    right, n = by_source.get("asked", (0, 0))
    basis = _basis(by_source)
    weighted = False
    if basis == "asked":
        strata = _strata(table)
        weighted = bool(strata)
        accuracy = metrics.stratified(strata) if strata else metrics.share(right, n)
    else:
        right, n = (
            (sum(counts) for counts in zip(*by_source.values(), strict=True))
            if by_source
            else (0, 0)
        )
        accuracy = metrics.share(right, n)
    volunteered, at_random = (
        metrics.share(*by_source.get(name, (0, 0))) for name in ("volunteered", "asked")
    )
    compare = (
        volunteered
        and at_random
        and min(by_source[name][1] for name in ("volunteered", "asked")) >= MIN_LABELS
    )
    return {
        "basis": basis,
        "pairs": n,
        "readings": sum(read.n for read in table.reads) or None,
        "weighted": weighted,
        "enough": n >= MIN_LABELS,
        "accuracy": metrics.as_json(accuracy),
        "volunteered_less_asked": (
            metrics.difference(volunteered, at_random).to_json()
            if compare and volunteered and at_random
            else None
        ),
        "why": _WHY[basis] + (_WEIGHTED if weighted else ""),
    }


def _basis(by_source: dict[str, tuple[int, int]]) -> str:
    if by_source.get("asked", (0, 0))[1] >= MIN_LABELS:
        return "asked"
    if not by_source:
        return "none"
    return {"at_upload": "upload", "unknown": "unknown"}.get("".join(by_source), "all")


def _strata(table: aggregates.Table) -> list[metrics.Stratum]:
    """Strata by model and confidence, least sure first; none if a model has no readings."""
    sizes: Counter[tuple[str, int]] = Counter()
    for read in table.reads:
        sizes[read.model, read.bin] += read.n
    labelled: Counter[tuple[str, int]] = Counter()
    right: Counter[tuple[str, int]] = Counter()
    for cell in table.cells:
        if cell.source == "asked":
            labelled[cell.model, cell.bin] += cell.n
            right[cell.model, cell.bin] += cell.n if cell.predicted == cell.actual else 0
    known = {model for model, _ in sizes}
    models = sorted({model for model, _ in labelled})
    if not set(models) <= known:
        return []
    return [part for model in models for part in _of_model(model, sizes, labelled, right)]


def _of_model(
    model: str,
    sizes: Counter[tuple[str, int]],
    labelled: Counter[tuple[str, int]],
    right: Counter[tuple[str, int]],
) -> Iterable[metrics.Stratum]:
    keys: Sequence[tuple[str, int]] = sorted(key for key in {*sizes, *labelled} if key[0] == model)
    parts = [
        metrics.Stratum(max(sizes[key], labelled[key]), labelled[key], right[key]) for key in keys
    ]
    return metrics.merged(parts, least=10)
