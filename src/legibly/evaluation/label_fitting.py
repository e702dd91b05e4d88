"""Fits the threshold of `read` for a pack of digits on the labels of a store.

Pictures are read as in use, and count as right if the text is right. Half of the writers are used
for the fit, the other half to measure it; a picture without a writer counts as its own writer.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legibly import errors, records
from legibly.evaluation import fitting
from legibly.evaluation.datasets import Sample
from legibly.packs.card import Card
from legibly.vision.reading import Reader

MIN_LABELS = 40
"""The least number of pictures in each half."""
_WILSON = 3.84
"""1.96 squared: divided by a small risk, the number of right answers in a row that prove it."""
_VERDICTS = ("read", "unsure")


@dataclass(frozen=True, slots=True)
class Answers:
    """The confidence of each text, and whether it was right."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


def calibrate(
    reader: Reader,
    samples: Sequence[Sample],
    *,
    risk: float,
    data: str,
    tick: Callable[[], None] = lambda: None,
) -> Card:
    """The reader's card with a threshold of `read` that proves at most `risk` of the texts wrong,
    and the figures in its metrics as `own_labels`.

    Raises Invalid for too few pictures, and if no threshold keeps the risk.
    """
    fit, test = _halves(reader, samples, where=data, tick=tick)
    threshold = fitting.threshold(fit.confidence, fit.right, risk=risk)
    if threshold == fitting.NEVER:
        raise errors.Invalid(
            "no threshold is proven to be wrong in at most {risk} of the texts.",
            where=data,
            remedy="Label more pictures ({needed} right answers in a row would prove it), or allow"
            " more: --risk.",
            risk=f"{risk:g}",
            needed=round(_WILSON / risk),
        )
    card = reader.pack.card
    facts = {
        "data": data,
        "at": records.stamp(records.now()),
        "risk": risk,
        "fit": len(fit.right),
        "before": {"read": card.thresholds.read, **measure(test, card.thresholds.read)},
        "after": {"read": threshold, **measure(test, threshold)},
    }
    return replace(
        card,
        thresholds=replace(card.thresholds, read=threshold),
        metrics={**card.metrics, "own_labels": facts},
    )


def measure(answers: Answers, threshold: float) -> dict[str, Any]:
    """The figures of a threshold on held-out pictures."""
    return fitting.figures(answers.confidence, answers.right, threshold=threshold)


def _halves(
    reader: Reader, samples: Sequence[Sample], *, where: str, tick: Callable[[], None]
) -> tuple[Answers, Answers]:
    halves: tuple[list[tuple[float, bool]], list[tuple[float, bool]]] = ([], [])
    for sample in samples:
        tick()
        try:
            content = sample.load()
            reading = reader.read(content).reading
        except (errors.NotFound, errors.NotAnImage, errors.Unusable):
            continue
        confidence = reading.confidence if reading.verdict in _VERDICTS else 0.0
        group = sample.writer.encode() or content
        half = halves[hashlib.sha256(group).digest()[0] & 1]
        half.append((confidence, reading.text == sample.text))
    least = min(map(len, halves))
    if least < MIN_LABELS:
        raise errors.Invalid(
            "too few labelled pictures: the smaller half, by writers, has {least}; {needed} are"
            " needed.",
            where=where,
            remedy="Label more pictures, of several writers or without naming any.",
            least=least,
            needed=MIN_LABELS,
        )
    return _answers(halves[0]), _answers(halves[1])


def _answers(rows: Sequence[tuple[float, bool]]) -> Answers:
    return Answers(
        np.array([confidence for confidence, _ in rows], np.float64),
        np.array([right for _, right in rows], np.bool_),
    )
