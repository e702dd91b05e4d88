"""Fits the temperature and the threshold of `read` for a pack of digits on the labels of a store.

Pictures are read as in use, and count as right if the text is right. Half of the writers are used
for the fit, the other half to measure it; a picture without a writer counts as its own writer.
"""

import contextlib
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
MIN_MISREAD = 10
"""The least number of misread digits to fit a temperature on: with none, the best is the lowest."""
PASSES = 2
"""How often a call of `tick` follows on each picture."""
_WILSON = 3.84
"""1.96 squared: divided by a small risk, the number of right answers in a row that prove it."""
_MIN_CHANCE = 1e-4
_VERDICTS = ("read", "unsure")
_UNREADABLE = (errors.NotFound, errors.NotAnImage, errors.Unusable)


@dataclass(frozen=True, slots=True)
class Answers:
    """The confidence of each text, and whether it was right."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Halves:
    """The pictures to fit on with the network's view of their digits, and the pictures to measure
    on with their answers so far.
    """

    fit: list[Sample]
    digits: fitting.Labelled
    test: list[Sample]
    before: Answers


def calibrate(
    reader: Reader,
    samples: Sequence[Sample],
    *,
    risk: float,
    data: str,
    tick: Callable[[], None] = lambda: None,
) -> Card:
    """The reader's card with the temperature of its digits, a threshold of `read` that proves at
    most `risk` of the texts wrong, and the figures in its metrics as `own_labels`.

    Raises Invalid for too few pictures, and if no threshold keeps the risk.
    """
    halves = _halves(reader, samples, where=data, tick=tick)
    own, fit = _fitted(reader, halves, tick=tick)
    threshold = _proven(fit, risk=risk, data=data)
    facts = {
        "data": data,
        "at": records.stamp(records.now()),
        "risk": risk,
        "fit": len(fit.right),
        "digits": len(halves.digits.classes),
        "misread": _misread(halves.digits),
        "before": _figures(reader.pack.card, halves.before),
    }
    card = own.pack.card
    card = replace(card, thresholds=replace(card.thresholds, read=threshold))
    facts["after"] = _figures(card, _read(own, halves.test, tick=tick))
    return replace(card, metrics={**card.metrics, "own_labels": facts})


def _fitted(reader: Reader, halves: Halves, *, tick: Callable[[], None]) -> tuple[Reader, Answers]:
    """The reader with the temperature of the digits to fit on, and its answers to the texts; the
    reader as it is if too few digits are misread or its confidences in the texts are better.
    """
    answers = _read(reader, halves.fit, tick=tick)
    if _misread(halves.digits) < MIN_MISREAD:
        return reader, answers
    temperature = fitting.fit_temperature(halves.digits)
    own = reader.with_card(replace(reader.pack.card, temperature=temperature))
    own_answers = _read(own, halves.fit, tick=lambda: None)
    is_better = _log_loss(own_answers) < _log_loss(answers)
    return (own, own_answers) if is_better else (reader, answers)


def _log_loss(answers: Answers) -> float:
    chance = np.where(answers.right, answers.confidence, 1.0 - answers.confidence)
    return -float(np.log(np.maximum(chance, _MIN_CHANCE)).mean())


def _misread(digits: fitting.Labelled) -> int:
    return int((digits.logits.argmax(axis=1) != digits.classes).sum())


def _proven(fit: Answers, *, risk: float, data: str) -> float:
    """The threshold of `read` that keeps the risk. Raises Invalid if there is none."""
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
    return threshold


def _figures(card: Card, answers: Answers) -> dict[str, Any]:
    """What a card decides by, and its figures on held-out pictures."""
    read = card.thresholds.read
    return {"temperature": card.temperature, "read": read, **measure(answers, read)}


def measure(answers: Answers, threshold: float) -> dict[str, Any]:
    """The figures of a threshold on held-out pictures."""
    return fitting.figures(answers.confidence, answers.right, threshold=threshold)


def _halves(
    reader: Reader, samples: Sequence[Sample], *, where: str, tick: Callable[[], None]
) -> Halves:
    fit: list[Sample] = []
    digits: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    test: list[Sample] = []
    before: list[tuple[float, bool]] = []
    for sample in samples:
        tick()
        try:
            content = sample.load()
            if _is_for_test(sample, content):
                before.append(_answer(reader, content, sample.text))
                test.append(sample)
            else:
                digits.append(_digits(reader, content, sample.text))
                fit.append(sample)
        except _UNREADABLE:
            continue
    _check_count(min(len(fit), len(test)), where)
    logits, classes = (np.concatenate(column) for column in zip(*digits, strict=True))
    return Halves(fit, fitting.Labelled(logits, classes), test, _answers(before))


def _is_for_test(sample: Sample, content: bytes) -> bool:
    group = sample.writer.encode() or content
    return bool(hashlib.sha256(group).digest()[0] & 1)


def _check_count(least: int, where: str) -> None:
    if least < MIN_LABELS:
        raise errors.Invalid(
            "too few labelled pictures: the smaller half, by writers, has {least}; {needed} are"
            " needed.",
            where=where,
            remedy="Label more pictures, of several writers or without naming any.",
            least=least,
            needed=MIN_LABELS,
        )


def _digits(
    reader: Reader, content: bytes, text: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The logits (N, classes) of a picture's digits and their classes (N,); none if the picture
    was cut into more or fewer digits than its label has.
    """
    names = reader.pack.card.classes
    classes = [names.index(sign) for sign in text if sign in names]
    crops = reader.inputs(content)
    if len(crops) != len(classes) or not crops:
        return np.zeros((0, len(names)), np.float32), np.zeros(0, np.int64)
    logits = reader.pack.logits(np.stack(crops)[:, None])
    return logits[:, : len(names)], np.array(classes)


def _read(reader: Reader, samples: Sequence[Sample], *, tick: Callable[[], None]) -> Answers:
    """The answers to pictures; without those that are gone meanwhile."""
    rows = []
    for sample in samples:
        tick()
        with contextlib.suppress(*_UNREADABLE):
            rows.append(_answer(reader, sample.load(), sample.text))
    return _answers(rows)


def _answer(reader: Reader, content: bytes, text: str) -> tuple[float, bool]:
    """The confidence of the text read, and whether it is right."""
    reading = reader.read(content).reading
    confidence = reading.confidence if reading.verdict in _VERDICTS else 0.0
    return confidence, reading.text == text


def _answers(rows: Sequence[tuple[float, bool]]) -> Answers:
    return Answers(
        np.array([confidence for confidence, _ in rows], np.float64),
        np.array([right for _, right in rows], np.bool_),
    )
