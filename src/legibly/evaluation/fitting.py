"""Calibrates a pack on labelled pictures: temperature, unknown score and the threshold of `read`.

Half of the pictures, chosen by their content, are used for the fit and the other half to measure
it, so that the figures are unbiased. Copies of a picture are always in the same half.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legibly import errors, records
from legibly.evaluation.datasets import Sample
from legibly.images import decode
from legibly.packs import calibration
from legibly.packs import card as cards
from legibly.packs.card import Card, Digitness, Prepare, Thresholds
from legibly.packs.pack import Pack
from legibly.statistics import metrics
from legibly.statistics.calibration import expected_calibration_error

MIN_PICTURES = 40
"""The least number of pictures of known classes in each half."""
NEVER = 1.01
"""A threshold that no confidence reaches."""
UNKNOWN = ("", "unknown", "_unknown")
_BINS = 10
_MAX_PIXELS = 50_000_000
_GOLDEN = (5**0.5 - 1) / 2

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """The logits of pictures (N, K) and the numbers of their classes (N,), −1 for unknown."""

    logits: NDArray[np.float32]
    classes: NDArray[np.int64]

    @property
    def known(self) -> "Labelled":
        """The pictures of a known class."""
        chosen = self.classes >= 0
        return Labelled(self.logits[chosen], self.classes[chosen])


def calibrate(
    pack: Pack,
    samples: Sequence[Sample],
    *,
    risk: float,
    data: str,
    tick: Callable[[], None] = lambda: None,
) -> Card:
    """Calibrate the pack's card. Raises errors.Invalid for ink, foreign labels, few pictures."""
    card = upgraded(pack.card)
    fit, test = _halves(pack, samples, where=data, tick=tick)
    temperature = fit_temperature(fit.known)
    card = replace(card, temperature=temperature)
    if (fit.classes < 0).sum() >= MIN_PICTURES // 2:
        card = _with_unknown(card, fit)
    threshold = read_threshold(card, fit, risk=risk)
    card = replace(card, thresholds=replace(card.thresholds, read=threshold))
    figures = {"risk": risk, "fit": len(fit.classes), **measure(card, test)}
    facts = {
        "method": "temperature",
        "data": data,
        "at": records.stamp(records.now()),
        "figures": figures,
    }
    return replace(card, calibration=facts)


def upgraded(card: Card) -> Card:
    """Convert a card to format 2, which can hold a calibration. Raises errors.Invalid for ink."""
    if card.layout == "ink":
        remedy = "Its recipe calibrates it: legibly train."
        raise errors.Invalid(
            "packs of ink cannot be calibrated here", where=card.name, remedy=remedy
        )
    if card.format == 2:
        return card
    low = card.input.low
    steps = Prepare(
        resize="exact",
        colour="grey" if card.input.channels == 1 else "rgb",
        scale=(card.input.high - low) / 255,
        mean=(-low,),
    )
    has_reject = card.reject is not None
    files = {cards.MODEL: card.sha256}
    return replace(card, format=2, prepare=steps, files=files, reject_output=has_reject)


def write(folder: Path, card: Card) -> None:
    """Replace the card in a pack's folder atomically."""
    partial = folder / ".partial"
    partial.mkdir(exist_ok=True)
    cards.write_card(partial, card)
    (partial / cards.CARD).replace(folder / cards.CARD)
    partial.rmdir()


def _halves(
    pack: Pack, samples: Sequence[Sample], *, where: str, tick: Callable[[], None]
) -> tuple[Labelled, Labelled]:
    numbers = {label: number for number, label in enumerate(pack.card.classes)}
    numbers |= {name: numbers[label] for label, name in pack.card.names.items()}
    numbers |= dict.fromkeys((label for label in UNKNOWN if label not in numbers), -1)
    foreign = sorted({sample.text for sample in samples} - set(numbers))
    if foreign:
        known = ", ".join(pack.card.classes[:8])
        remedy = f"Its classes are {known} …; name folders like them, others `unknown`."
        message = f"these labels are not classes of the pack: {', '.join(foreign[:8])}"
        raise errors.Invalid(message, where=where, remedy=remedy)
    halves: tuple[list[Any], list[Any]] = ([], [])
    for sample in samples:
        content = sample.load()
        tick()
        try:
            picture = decode.decode(content, max_pixels=_MAX_PIXELS)
        except (errors.NotAnImage, errors.Unusable):
            continue
        row = pack.logits(pack.prepare(picture.pixels))[0]
        halves[hashlib.sha256(content).digest()[0] & 1].append((row, numbers[sample.text]))
    fit, test = (_labelled(half, pack) for half in halves)
    least = min(len(fit.known.classes), len(test.known.classes))
    if least < MIN_PICTURES:
        message = f"half of the pictures are {least} of known classes; {MIN_PICTURES} are needed"
        raise errors.Invalid(message, where=where, remedy="Label more pictures.")
    return fit, test


def _labelled(rows: Sequence[tuple[NDArray[np.float32], int]], pack: Pack) -> Labelled:
    logits = np.array([row for row, _ in rows], np.float32).reshape(-1, pack.card.outputs)
    return Labelled(logits, np.array([number for _, number in rows], np.int64))


def fit_temperature(data: Labelled) -> float:
    """The temperature with the least negative log likelihood, between 0.05 and 20."""
    logits = data.logits.astype(np.float64)
    index = np.arange(len(logits))

    def loss(log_temperature: float) -> float:
        scores = calibration.log_softmax(logits / np.exp(log_temperature))
        return -float(scores[index, data.classes].mean())

    low = float(np.log(0.05))
    high = float(np.log(20))
    while high - low > 1e-3:
        first = high - _GOLDEN * (high - low)
        second = low + _GOLDEN * (high - low)
        if loss(first) < loss(second):
            high = second
        else:
            low = first
    return round(float(np.exp((low + high) / 2)), 4)


def _with_unknown(card: Card, data: Labelled) -> Card:
    """The card with a logistic score of "this is one of the classes", fitted by Newton's method."""
    known = data.logits[:, : len(card.classes)].astype(np.float64)
    features = np.stack(
        [np.ones(len(known)), calibration.lead(known), calibration.logsumexp(known)], axis=1
    )
    spread = np.maximum(np.abs(features).max(axis=0), 1e-9)
    scaled = features / spread
    target = (data.classes >= 0).astype(np.float64)
    weights = np.zeros(3)
    for _ in range(50):
        chance = calibration.sigmoid(scaled @ weights)
        gradient = scaled.T @ (target - chance) - 1e-2 * weights
        curvature = (scaled * (chance * (1 - chance))[:, None]).T @ scaled + 1e-2 * np.eye(3)
        weights += np.linalg.solve(curvature, gradient)
    bias, margin, energy = (round(float(value), 5) for value in weights / spread)
    digitness = Digitness(bias=bias, margin=margin, energy=energy)
    thresholds = Thresholds(read=card.thresholds.read, digit=0.5)
    return replace(
        card, reject="unknown", reject_output=False, digitness=digitness, thresholds=thresholds
    )


def read_threshold(card: Card, data: Labelled, *, risk: float) -> float:
    """The `threshold` of labelled logits."""
    return threshold(*_answers(card, data), risk=risk)


def threshold(confidence: Doubles, right: NDArray[np.bool_], *, risk: float) -> float:
    """The lowest confidence at or above which at most a share `risk` of answers is wrong.

    The upper end of the 95 % interval decides; NEVER if no confidence satisfies it.
    """
    order = np.argsort(-confidence)
    wrong = np.cumsum(~right[order])
    lowest = NEVER
    for count in range(1, len(order) + 1):
        is_last = count == len(order) or confidence[order[count]] < confidence[order[count - 1]]
        interval = metrics.share(float(wrong[count - 1]), count)
        if is_last and interval is not None and interval.high <= risk:
            lowest = float(confidence[order[count - 1]])
    return lowest if lowest == NEVER else float(np.floor(lowest * 1e6) / 1e6)


def measure(card: Card, data: Labelled) -> dict[str, Any]:
    """The figures of a calibrated card on held-out pictures."""
    confidence, right = _answers(card, data)
    known = data.classes >= 0
    return figures(confidence, right, known=known, threshold=card.thresholds.read)


def figures(
    confidence: Doubles,
    right: NDArray[np.bool_],
    *,
    known: NDArray[np.bool_] | None = None,
    threshold: float,
) -> dict[str, Any]:
    """The figures of a threshold on answers, (N,) each; `known` are those that can be right."""
    is_read = confidence >= threshold
    chances = right if known is None else right[known]
    edges = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = [
        (int(chosen.sum()), float(confidence[chosen].mean()), float(right[chosen].mean()))
        for number in range(_BINS)
        if (chosen := edges == number).any()
    ]
    return {
        "n": len(confidence),
        "accuracy": metrics.as_json(metrics.share(int(chances.sum()), len(chances))),
        "coverage": metrics.as_json(metrics.share(int(is_read.sum()), len(is_read))),
        "risk_measured": metrics.as_json(
            metrics.share(int((is_read & ~right).sum()), int(is_read.sum()))
        ),
        "ece": expected_calibration_error(bins),
    }


def _answers(card: Card, data: Labelled) -> tuple[Doubles, NDArray[np.bool_]]:
    """The confidence of each answer (0 for rejected pictures), and whether it is right."""
    probabilities, digitness = calibration.judge(card, data.logits)
    confidence = np.asarray(calibration.confidences(probabilities, digitness), np.float64)
    if card.reject is not None:
        confidence = np.where(digitness >= card.thresholds.digit, confidence, 0.0)
    return confidence, probabilities.argmax(axis=1) == data.classes
