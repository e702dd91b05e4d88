"""Evaluates a model on labelled pictures, with counts and intervals."""

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from legibly import errors, records
from legibly.evaluation import datasets
from legibly.statistics import calibration, metrics, paired, percent
from legibly.vision.reading import Reader

BINS = 15
"""Bins of the calibration error, with equal numbers of readings."""
RISKS = (0.001, 0.005, 0.01)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reading of one sample; `text` and `verdict` are None if the picture was unreadable."""

    name: str
    truth: str
    kind: str
    source: str
    text: str | None
    verdict: str
    confidence: float
    milliseconds: float

    @property
    def right(self) -> bool:
        """Whether the text is exactly the true one, which is empty without a digit."""
        return self.text == self.truth


def run(
    reader: Reader, samples: Iterable[datasets.Sample], *, tick: Callable[[], None] = lambda: None
) -> list[Outcome]:
    """Read every sample from its bytes; `tick` is called after each."""
    outcomes = []
    for sample in samples:
        data = sample.load()
        began = time.perf_counter()
        try:
            reading = reader.read(data).reading
            text = reading.text
            verdict = str(reading.verdict)
            confidence = reading.confidence
        except (errors.NotAnImage, errors.Unusable):
            text = None
            verdict = "failed"
            confidence = 0.0
        spent = 1000 * (time.perf_counter() - began)
        facts = (sample.name, sample.text, sample.kind, sample.source)
        outcomes.append(Outcome(*facts, text, verdict, confidence, spent))
        tick()
    return outcomes


def run_crops(reader: Reader, path: Path) -> list[Outcome]:
    """Classify a dataset's crops directly with the network, in batches."""
    shape = reader.pack.card.input
    images, labels = datasets.crops(path, side=(shape.height, shape.width))
    began = time.perf_counter()
    readings = reader.crops(images)
    spent = 1000 * (time.perf_counter() - began) / max(len(images), 1)
    names = [f"{path.name}#{number}" for number in range(len(labels))]
    return [
        Outcome(name, label, "", "", read.text, str(read.verdict), read.confidence, spent)
        for name, read, label in zip(names, readings, labels, strict=True)
    ]


def report(outcomes: Sequence[Outcome], *, model: records.Model, dataset: str) -> records.Json:
    """All figures as JSON; shares with their 95 % Wilson interval, None if nothing was counted."""
    if not outcomes:
        raise errors.Invalid("this dataset is empty.", where=dataset)
    times = sorted(outcome.milliseconds for outcome in outcomes)
    return {
        "model": model.to_json(),
        "dataset": dataset,
        **_basics(outcomes),
        "verdicts": dict(sorted(Counter(outcome.verdict for outcome in outcomes).items())),
        "calibration": _calibration(outcomes),
        "selective": _selective(outcomes),
        "by_kind": _split(outcomes, lambda outcome: outcome.kind),
        "by_source": _split(outcomes, lambda outcome: outcome.source),
        "milliseconds": {
            "median": round(statistics.median(times), 3),
            "p95": round(times[min(len(times) - 1, math.ceil(0.95 * len(times)) - 1)], 3),
            "mean": round(statistics.fmean(times), 3),
        },
        "wrong": [
            {
                "name": outcome.name,
                "label": outcome.truth,
                "text": outcome.text,
                "verdict": outcome.verdict,
                "confidence": outcome.confidence,
            }
            for outcome in outcomes
            if not outcome.right
        ],
    }


def mcnemar(first: Sequence[Outcome], second: Sequence[Outcome]) -> records.Json:
    """Exact McNemar test of two models on the same pictures: discordant counts and two-sided p."""
    only_first = sum(a.right and not b.right for a, b in zip(first, second, strict=True))
    only_second = sum(b.right and not a.right for a, b in zip(first, second, strict=True))
    return {
        "only_this": only_first,
        "only_other": only_second,
        "p": paired.mcnemar(only_first, only_second),
    }


def distance(first: str, second: str) -> int:
    """The edit distance of two texts (Levenshtein 1965)."""
    before = list(range(len(second) + 1))
    for row, letter in enumerate(first, 1):
        line = [row]
        for column, mark in enumerate(second, 1):
            line.append(
                min(before[column] + 1, line[-1] + 1, before[column - 1] + (letter != mark))
            )
        before = line
    return before[-1]


def _basics(outcomes: Sequence[Outcome]) -> records.Json:
    n = len(outcomes)
    right = sum(outcome.right for outcome in outcomes)
    letters = sum(len(_bare(outcome.truth)) for outcome in outcomes)
    wrong = sum(distance(_bare(outcome.text or ""), _bare(outcome.truth)) for outcome in outcomes)
    read = [outcome for outcome in outcomes if outcome.verdict == "read"]
    sure = sum(outcome.right for outcome in read)
    return {
        "n": n,
        "errors": n - right,
        "exact": metrics.as_json(metrics.share(right, n)),
        "items": {
            "n": letters,
            "errors": wrong,
            "error": metrics.as_json(metrics.share(min(wrong, letters), letters)),
        },
        "read": {
            "n": len(read),
            "errors": len(read) - sure,
            "coverage": metrics.as_json(metrics.share(len(read), n)),
            "accuracy": metrics.as_json(metrics.share(sure, len(read))),
        },
    }


def _bare(text: str) -> str:
    """A text without the marks of rows and gaps."""
    return text.replace("/", "").replace(" ", "")


def _split(outcomes: Sequence[Outcome], name: Callable[[Outcome], str]) -> records.Json:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if name(outcome):
            groups.setdefault(name(outcome), []).append(outcome)
    return {group: _basics(members) for group, members in sorted(groups.items())}


def _calibration(outcomes: Sequence[Outcome]) -> records.Json:
    """Equal-mass calibration error, Brier score, log loss, and errors among the most confident."""
    confidence = np.array([outcome.confidence for outcome in outcomes])
    right = np.array([outcome.right for outcome in outcomes], np.float64)
    order = np.argsort(confidence, kind="stable")
    bins = [
        (len(members), _rounded(confidence[members].mean()), _rounded(right[members].mean()))
        for members in np.array_split(order, min(BINS, len(order)))
    ]
    clipped = np.clip(confidence, 1e-6, 1 - 1e-6)
    losses = right * np.log(clipped) + (1 - right) * np.log(1 - clipped)
    top = confidence >= 0.99
    return {
        "ece": _rounded(calibration.expected_calibration_error(bins) or 0.0),
        "brier": _rounded(np.mean((confidence - right) ** 2)),
        "nll": _rounded(-np.mean(losses)),
        "at_99": {"n": int(top.sum()), "errors": int((1 - right[top]).sum())},
        "bins": [dict(zip(("n", "confidence", "accuracy"), row, strict=True)) for row in bins],
    }


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 6)


def _selective(outcomes: Sequence[Outcome]) -> records.Json:
    """Area under the risk–coverage curve, and the largest coverage at some risks."""
    order = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    wrong = np.cumsum([not outcome.right for outcome in order])
    taken = np.arange(1, len(order) + 1)
    risk = wrong / taken
    coverage = {}
    for limit in RISKS:
        within = np.flatnonzero(risk <= limit)
        coverage[f"{limit:g}"] = (
            round(float(taken[within[-1]]) / len(order), 6) if len(within) else 0.0
        )
    return {"aurc": round(float(risk.mean()), 6), "coverage_at_risk": coverage}


def lines(document: records.Json) -> list[str]:
    """The report in words, for a terminal."""
    read = document["read"]
    items = document["items"]
    calibration_ = document["calibration"]
    where = f"{document['model']['name']} {document['model']['version']} on {document['dataset']}"
    sure = calibration_["at_99"]
    times = document["milliseconds"]
    at_risk = document["selective"]["coverage_at_risk"].items()
    losses = f"Brier {calibration_['brier']:.4f}, log loss {calibration_['nll']:.4f}"
    text = [
        where,
        f"exact text  {_share(document['exact'])}   {document['errors']} wrong of {document['n']}",
        f"items       {_share(items['error'])} wrong   {items['errors']} of {items['n']}",
        (
            f"`read`      {_share(read['coverage'])} of all, {read['errors']} wrong:"
            f" {_share(read['accuracy'])}"
        ),
        (
            f"calibration ECE {calibration_['ece']:.4f}, {losses}, {sure['errors']} wrong of"
            f" {sure['n']} from 0.99 on"
        ),
        "coverage    "
        + ", ".join(
            f"{100 * share:.1f} % at {100 * float(risk):g} % risk" for risk, share in at_risk
        ),
        "verdicts    "
        + ", ".join(f"{name} {count}" for name, count in document["verdicts"].items()),
        f"time        {times['median']:.2f} ms per image (median), {times['p95']:.2f} (95 %)",
    ]
    for title, key in (("kind", "by_kind"), ("source", "by_source")):
        if document[key]:
            text.append(f"by {title}")
            text += [
                f"  {name:<20} {_share(outcome['exact'])}   {outcome['errors']} wrong of"
                f" {outcome['n']}, read {outcome['read']['n']}, of these wrong"
                f" {outcome['read']['errors']}"
                for name, outcome in document[key].items()
            ]
    if "compare" in document:
        text.append(_comparison_line(document["compare"]))
    return text


def _comparison_line(test: records.Json) -> str:
    return (
        f"against {test['model']['name']} {test['model']['version']}: {_share(test['exact'])};"
        f" right alone {test['only_this']} against {test['only_other']}, exact McNemar p ="
        f" {test['p']:.4g}"
    )


def _share(value: records.Json) -> str:
    if value["value"] is None:
        return "–"
    share, low, high = (percent.percent(value[name], 2) for name in ("value", "low", "high"))
    return f"{share} ({low.removesuffix(' %')} to {high.removesuffix(' %')})"
