"""Compares two models on the same labelled pictures, with an interval for the difference.

A store keeps getting labels, and people look at the result repeatedly. Its intervals therefore hold
at all looks together (`paired.at_any_time`); those of a dataset hold for one look
(`paired.difference`).
"""

import functools
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from legibly import errors, records
from legibly.evaluation import datasets, evaluation
from legibly.index.port import Filter, Index
from legibly.packs.card import Card
from legibly.statistics import estimate, metrics, paired
from legibly.store import Store
from legibly.vision.reading import Reader

MARGIN = 0.005
COVERAGE_MARGIN = 0.05
Basis = Literal["dataset", "asked", "at_upload", "all"]
Verdict = Literal["better", "no_worse", "worse", "too_few"]
_PAGE = 500
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Couple:
    """One picture as both models read it."""

    present: evaluation.Outcome
    candidate: evaluation.Outcome


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse a candidate may be: in right answers and wrong sure answers, and in coverage.

    All are shares of all pictures, 0 … 1.
    """

    right: float = MARGIN
    coverage: float = COVERAGE_MARGIN


def labelled(index: Index, store: Store, *, since: str | None = None) -> list[datasets.Sample]:
    """The labelled pictures of a store and the source of their label; `since` is the first day."""
    return [
        datasets.Sample(
            image.id,
            image.label.text,
            lambda key=image.key: store.read(key),  # type: ignore[misc]
            source=image.label.source,
            writer=image.writer or "",
        )
        for image in _pages(index, Filter(labelled=True, since=since))
        if image.label and image.label.text is not None
    ]


def _pages(index: Index, filter_: Filter) -> Iterator[records.Image]:
    last = None
    while page := index.page(filter_, limit=_PAGE, after=last):
        yield from page
        last = page[-1].id


def require_comparable(
    present: Reader, candidate: Reader, samples: Sequence[datasets.Sample], *, where: str
) -> None:
    """Raises errors.Invalid with the reason if two models cannot be compared on these pictures."""
    if present.model.version == candidate.model.version:
        remedy = "Name two different packs: `legibly models list` shows their versions."
        raise errors.Invalid(
            "these are the same model twice.", where=_model_name(present.model), remedy=remedy
        )
    known = set(present.pack.card.classes)
    others = set(candidate.pack.card.classes)
    if known != others:
        odd = " ".join(sorted(known ^ others)[:10])
        remedy = "Compare models of one task; switch to another task with `legibly models use`."
        message = "the two models do not have the same classes: {names} only in one."
        where = _model_name(candidate.model)
        raise errors.Invalid(message, where=where, remedy=remedy, names=odd)
    if not samples:
        remedy = (
            "Label some pictures first, or give a DATASET; pictures before --since do not count."
        )
        raise errors.Invalid("there are no labelled pictures.", where=where, remedy=remedy)
    if not any(_is_possible_text(sample.text, present.pack.card) for sample in samples):
        message = "the models can answer none of these labels."
        remedy = "Their classes are {names}; is this the right dataset?"
        names = " ".join(sorted(known)[:20])
        raise errors.Invalid(message, where=where, remedy=remedy, names=names)


def _is_possible_text(text: str, card: Card) -> bool:
    return text in ("", *card.classes) or set(text) <= {*card.classes, " ", "/"}


def read(
    present: Reader,
    candidate: Reader,
    samples: Sequence[datasets.Sample],
    *,
    tick: Callable[[], None] = lambda: None,
    seconds: float = math.inf,
) -> list[Couple]:
    """Read every picture with both models, one after the other; skip deleted pictures.

    After `seconds` no further pictures are read.
    """
    couples = []
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # only reading is timed, not fetching
        for start in range(0, len(samples), _AT_ONCE):
            if time.monotonic() > end:
                break
            batch = samples[start : start + _AT_ONCE]
            for sample, data in zip(batch, pool.map(_load, batch), strict=True):
                if data is not None:
                    again = [replace(sample, load=lambda data=data: data)]  # type: ignore[misc]
                    sides = (evaluation.run(reader, again)[0] for reader in (present, candidate))
                    couples.append(Couple(*sides))
                tick()
    return couples


def _load(sample: datasets.Sample) -> bytes | None:
    try:
        return sample.load()
    except errors.NotFound:
        return None


def build(
    couples: Sequence[Couple],
    *,
    present: records.Model,
    candidate: records.Model,
    data: str,
    live: bool,
    margins: Margins | None = None,
) -> records.Json:
    """All figures of the comparison as JSON; differences are candidate minus present model.

    With `live` the labels are those of a store that keeps growing: labels asked for at random come
    first if there are enough, and differences hold at every look. Raises errors.Invalid if there
    are no pictures.
    """
    margins = margins or Margins()
    basis, lead = _deciding(couples) if live else ("dataset", list(couples))
    if not lead:
        raise errors.Invalid("all labelled pictures have been deleted.", where=data)
    return {
        "present": _side([couple.present for couple in lead], present, data),
        "candidate": _side([couple.candidate for couple in lead], candidate, data),
        "data": {"where": data, "basis": basis, "n": len(lead), "fingerprint": _fingerprint(lead)},
        "looks": "any" if live else "one",
        **_measures(lead, margins, paired.at_any_time if live else paired.difference),
        "by_source": _by_source(couples) if live else {},
        "lost": [pair.present.name for pair in lead if pair.present.right > pair.candidate.right],
        "won": [pair.present.name for pair in lead if pair.present.right < pair.candidate.right],
    }


def _measures(
    couples: Sequence[Couple], margins: Margins, interval: paired.Interval
) -> records.Json:
    """The shares to compare: right, right or unsure, and answered."""
    goods: dict[str, tuple[Callable[[evaluation.Outcome], bool], float]] = {
        "right": (lambda outcome: outcome.right, margins.right),
        "safe": (lambda outcome: outcome.right or outcome.verdict != "read", margins.right),
        "coverage": (lambda outcome: outcome.verdict == "read", margins.coverage),
    }
    measures = {
        name: _measure(couples, good, margin=margin, interval=interval)
        for name, (good, margin) in goods.items()
    }
    table = measures["right"]["table"]
    measures["right"]["p"] = paired.mcnemar(table["only_present"], table["only_candidate"])
    return measures


def _deciding(couples: Sequence[Couple]) -> tuple[Basis, list[Couple]]:
    """The deciding labels. Volunteered ones are biased: people label the present model's errors."""
    blind: tuple[Basis, Basis] = ("asked", "at_upload")
    for basis in blind:
        chosen = [couple for couple in couples if couple.present.source == basis]
        if len(chosen) >= estimate.MIN_LABELS:
            return basis, chosen
    return "all", list(couples)


def _side(outcomes: Sequence[evaluation.Outcome], model: records.Model, data: str) -> records.Json:
    report = evaluation.report(outcomes, model=model, dataset=data)
    return {
        **{name: report[name] for name in ("model", "errors", "exact", "read")},
        "milliseconds": round(statistics.median(outcome.milliseconds for outcome in outcomes), 3),
    }


def _measure(
    couples: Sequence[Couple],
    good: Callable[[evaluation.Outcome], bool],
    *,
    margin: float,
    interval: paired.Interval,
) -> records.Json:
    table = _table(couples, good)
    difference = interval(table)
    names = ("both", "only_present", "only_candidate", "neither")
    counts = (table.both, table.only_first, table.only_second, table.neither)
    more = functools.partial(paired.more, table, interval=interval)
    return {
        "table": dict(zip(names, counts, strict=True)),
        "difference": difference.to_json(),
        "single_look": paired.difference(table).to_json(),
        "margin": margin,
        "verdict": _verdict(difference, margin),
        "more": more(lambda estimate_: _verdict(estimate_, margin) != "too_few"),
        "more_to_pass": more(lambda estimate_: estimate_.low > -margin),
    }


def _table(couples: Sequence[Couple], good: Callable[[evaluation.Outcome], bool]) -> paired.Table:
    return paired.Table.of((good(couple.present), good(couple.candidate)) for couple in couples)


def _verdict(difference: metrics.Proportion, margin: float) -> Verdict:
    if difference.low > 0:
        return "better"
    if difference.low > -margin:
        return "no_worse"
    return "worse" if difference.high < 0 else "too_few"


def _by_source(couples: Sequence[Couple]) -> records.Json:
    """The shares and the difference at any time, separately for each source of labels."""
    groups: dict[str, list[Couple]] = {}
    for couple in couples:
        groups.setdefault(couple.present.source, []).append(couple)
    rows = {}
    for source, members in sorted(groups.items()):
        shares = {}
        for side in ("present", "candidate"):
            right = sum(getattr(couple, side).right for couple in members)
            shares[side] = metrics.as_json(metrics.share(right, len(members)))
        difference = paired.at_any_time(_table(members, lambda outcome: outcome.right))
        rows[source] = {"n": len(members), **shares, "difference": difference.to_json()}
    return rows


def _fingerprint(couples: Sequence[Couple]) -> str:
    """Twelve hex digits that identify these pictures and labels."""
    named = sorted(f"{couple.present.name}\0{couple.present.truth}" for couple in couples)
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:12]


def _model_name(model: records.Model) -> str:
    """A model's name and version for display."""
    return f"{model.name} {model.version}"
