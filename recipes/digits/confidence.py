"""Fit a pack's confidence so that its risk holds on the worst of several sources: NumPy only.

Temperature: least mean NLL over the digit sources. Digitness: logistic regression against the non-
digit families. `read`: the lowest threshold at which every source keeps its risk, by a one-sided
Clopper-Pearson bound where the source is large enough to show one (learn then test, from the
strictest threshold down). Leaving each source out in turn and fitting on the others says what a
source that was not there when the threshold was chosen would have seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from legibly.packs import calibration, card, pack

CLASSES = tuple(str(digit) for digit in range(10))
TARGET = 0.005
"""Wrong answers among those called `read`, on any source."""
MEAN_TARGET = 0.002
"""The same, the mean over sources."""
FOOLED = 0.015
"""Non-digits called `read`, the mean over families."""
MIN_THRESHOLD = 0.97
"""No pack reads from less on, whatever is fitted: of 117 sources unlike all of these 1.7 % of the
answers that were read from 0.95 on were wrong, with the finder of version 0.1.0, and no source here
shows that.
"""
DOUBT = 0.1
"""Chance that a bound does not hold."""
GRID = np.concatenate(
    [np.arange(0.5, 0.9, 0.02), np.arange(0.9, 0.995, 0.005), [0.995, 0.9975, 0.999]]
)

Logits = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass
class Validation:
    """What the confidence is fitted on: digits with their labels, and non-digits, by source."""

    digits: dict[str, tuple[np.ndarray, np.ndarray]]
    others: dict[str, np.ndarray]


@dataclass
class Judged:
    """One source, judged: confidence and whether the top class is right, (N,) each."""

    confidence: np.ndarray
    right: np.ndarray

    def counts(self, limit: float) -> tuple[int, int]:
        """How many are read at a threshold, and how many of those are wrong."""
        read = self.confidence >= limit
        return int(read.sum()), int((read & ~self.right).sum())


def first_fit(
    logits_of: Callable[[np.ndarray], np.ndarray], check: Validation, **facts: Any
) -> card.Card:
    """A card to find the digits of pictures with, before those are part of the fit."""
    digits = {name: (logits_of(x), y.astype(np.int64)) for name, (x, y) in check.digits.items()}
    return _model(digits, {name: logits_of(x) for name, x in check.others.items()}, facts)


def fit(
    logits_of: Callable[[np.ndarray], np.ndarray],
    check: Validation,
    pictures_of: Callable[[card.Card], Judged] | None,
    **facts: Any,
) -> card.Card:
    """A card with temperature, digitness, thresholds and risk from validation data.

    `pictures_of` reads pictures by a card: the threshold is raised until its target holds for
    answers on pictures too, not only for their digits. What pictures show at the threshold that was
    fitted without them counts among the sources left out.
    """
    digits = {name: (logits_of(x), y.astype(np.int64)) for name, (x, y) in check.digits.items()}
    others = {name: logits_of(x) for name, x in check.others.items()}
    fitted = _model(digits, others, facts)
    lowest = read_threshold(digits, others, fitted)
    limit = max(lowest, MIN_THRESHOLD)
    left_out = _left_out(digits, others, facts)
    sources = judged(fitted, digits)
    thresholds = {"read": limit, "digit": _digit_threshold(digits, fitted)}
    result = card.Card.from_json({**fitted.to_json(), "thresholds": thresholds})
    if pictures_of:
        sources["pictures"] = pictures_of(result)
        row = _row(sources["pictures"], lowest)
        left_out["pictures"] = {"threshold": lowest, **row}
        thresholds["read"] = _raised(sources["pictures"], limit)
    risk = {
        "target": TARGET,
        "confidence": 1 - DOUBT,
        "sources": {name: _row(source, thresholds["read"]) for name, source in sources.items()},
        "left_out": left_out,
        "unseen": _unseen(left_out),
    }
    return card.Card.from_json({**result.to_json(), "thresholds": thresholds, "risk": risk})


def with_pictures(known: card.Card, pictures: Judged) -> card.Card:
    """A card whose risk on pictures is that of `pictures`, read by what has changed since: the
    threshold stays, or is raised until they are on target again.
    """
    first = known.risk["left_out"]["pictures"]["threshold"]
    limit = _raised(pictures, known.thresholds.read)
    sources = {**known.risk["sources"], "pictures": _row(pictures, limit)}
    left_out = {**known.risk["left_out"], "pictures": {"threshold": first, **_row(pictures, first)}}
    changed = {"sources": sources, "left_out": left_out, "unseen": _unseen(left_out)}
    thresholds = {**known.thresholds.to_json(), "read": limit}
    risk = {**known.risk, **changed}
    return card.Card.from_json({**known.to_json(), "thresholds": thresholds, "risk": risk})


def _model(digits: Logits, others: dict[str, np.ndarray], facts: dict[str, Any]) -> card.Card:
    """A card with temperature and digitness, its thresholds still open."""
    return card.Card(
        name="digits", classes=CLASSES, reject="not_a_digit", layout="ink",
        input=card.Input(28, 28),
        thresholds=card.Thresholds(read=1.0, digit=0.5), temperature=round(_temperature(digits), 4),
        digitness=_digitness(digits, others), source="recipes/digits/train.py", **facts,
    )  # fmt: skip


def _temperature(digits: Logits) -> float:
    """The temperature of the least mean NLL, each digit source counting alike."""

    def nll(t: float) -> float:
        losses = []
        for z, y in digits.values():
            scores = calibration.log_softmax(z[:, :10].astype(np.float64) / t)
            losses.append(-scores[np.arange(len(y)), y].mean())
        return float(np.mean(losses))

    return float(min(np.geomspace(0.5, 2.5, 80), key=nll))


def _digitness(digits: Logits, others: dict[str, np.ndarray]) -> card.Digitness:
    """Logistic regression of digit against non-digit on (1, margin, energy), one item in twenty
    being none.
    """
    rows = []
    targets = []
    weights = []
    groups = ((0.95, 1, [z for z, _ in digits.values()]), (0.05, 0, list(others.values())))
    for share, target, group in groups:
        for z in group:
            energy = calibration.logsumexp(z[:, :10].astype(np.float64))
            rows.append(np.stack([np.ones(len(z)), energy - z[:, 10], energy], axis=1))
            targets.append(np.full(len(z), target))
            weights.append(np.full(len(z), share / len(group) / len(z)))
    a, t, w = (np.concatenate(part) for part in (rows, targets, weights))
    return card.Digitness(*(round(float(b), 5) for b in _logistic(a, t, w)))


def _logistic(a: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted logistic regression: Newton with a little ridge, steps halved until they help."""

    def loss(beta: np.ndarray) -> float:
        sign = np.where(t == 1, -1, 1)
        return float((w * np.logaddexp(0, sign * (a @ beta))).sum() + 5e-7 * beta @ beta)

    beta = np.zeros(a.shape[1])
    for _ in range(100):
        p = calibration.sigmoid(a @ beta)
        hessian = (a * (w * p * (1 - p))[:, None]).T @ a + 1e-6 * np.eye(a.shape[1])
        step = np.linalg.solve(hessian, a.T @ (w * (p - t)) + 1e-6 * beta)
        while np.abs(step).max() > 1e-9 and loss(beta - step) > loss(beta):
            step = step / 2
        beta = beta - step
    return beta


def _confidence(facts: card.Card, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(top class, confidence, digitness), each (N,)."""
    probabilities, digitness = calibration.judge(facts, logits)
    confidence = calibration.confidences(probabilities, digitness)
    return probabilities.argmax(axis=1), confidence, digitness


def judged(facts: card.Card, digits: Logits) -> dict[str, Judged]:
    """Every digit source, judged by a card's temperature and digitness."""
    result = {}
    for name, (z, y) in digits.items():
        top, confidence, _ = _confidence(facts, z)
        result[name] = Judged(confidence, top == y)
    return result


def read_threshold(digits: Logits, others: dict[str, np.ndarray], facts: card.Card) -> float:
    """The lowest threshold down to which all bounds hold."""
    sources = judged(facts, digits)
    families = [_confidence(facts, z)[1] for z in others.values()]
    accepted = float(GRID[-1])
    for limit in GRID[::-1]:
        counts = [source.counts(limit) for source in sources.values()]
        if not all(_holds(read, wrong) for read, wrong in counts):
            break
        if np.mean([wrong / max(1, read) for read, wrong in counts]) > MEAN_TARGET:
            break
        if np.mean([(confidence >= limit).mean() for confidence in families]) > FOOLED:
            break
        accepted = float(limit)
    return round(accepted, 4)


def _holds(read: int, wrong: int) -> bool:
    """Whether a source's risk is below the target: its bound where it has the items for one."""
    if upper_bound(0, read) > TARGET / 2:  # too few to show anything but the share itself
        return wrong <= TARGET * read
    return upper_bound(wrong, read) <= TARGET


def upper_bound(wrong: int, read: int) -> float:
    """One-sided Clopper-Pearson bound of a share, which holds with a chance of 1 - DOUBT."""
    if wrong >= read:
        return 1.0
    k = np.arange(wrong + 1)
    choices = [math.lgamma(read + 1) - math.lgamma(i + 1) - math.lgamma(read - i + 1) for i in k]
    low = wrong / read
    high = 1.0
    for _ in range(40):
        p = (low + high) / 2
        tail = np.exp(choices + k * math.log(p) + (read - k) * math.log1p(-p)).sum()
        low, high = (p, high) if tail > DOUBT else (low, p)
    return high


def _digit_threshold(digits: Logits, facts: card.Card) -> float:
    """The highest digitness that at most 0.03 % of validation digits fall below, at most 0.5."""
    lows = [np.quantile(_confidence(facts, z)[2], 0.0003) for z, _ in digits.values()]
    return round(min(0.5, float(np.mean(lows))), 3)


def _raised(pictures: Judged, limit: float) -> float:
    """The lowest threshold from `limit` on at which the share of wrong answers is on target."""
    for threshold in GRID[limit - 1e-9 <= GRID]:
        read, wrong = pictures.counts(threshold)
        if wrong <= TARGET * read:
            return round(float(threshold), 4)
    return float(GRID[-1])


def _left_out(
    digits: Logits, others: dict[str, np.ndarray], facts: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each source at the threshold that is fitted on the others."""
    rows = {}
    for name in digits:
        rest = {other: value for other, value in digits.items() if other != name}
        fitted = _model(rest, others, facts)
        threshold = read_threshold(rest, others, fitted)
        source = judged(fitted, {name: digits[name]})[name]
        rows[name] = {"threshold": threshold, **_row(source, threshold)}
    return rows


def _unseen(left_out: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The worst of the sources left out, and the chance that another source is worse than all."""
    worst = max(left_out, key=lambda name: left_out[name]["risk"])
    return {
        "risk": left_out[worst]["risk"],
        "upper": max(row["upper"] for row in left_out.values()),
        "worst": worst,
        "chance_of_more": round(1 / (len(left_out) + 1), 3),
    }


def _row(source: Judged, limit: float) -> dict[str, Any]:
    read, wrong = source.counts(limit)
    return {
        "n": len(source.right),
        "coverage": round(read / len(source.right), 5),
        "wrong": wrong,
        "risk": round(wrong / max(1, read), 5),
        "upper": round(upper_bound(wrong, read), 5),
    }


# ---- Figures for the card ----


def figures(
    opened: pack.Pack,
    check: Validation,
    test: tuple[np.ndarray, np.ndarray],
    unseen: dict[str, np.ndarray],
) -> dict[str, Any]:
    """The figures of the exported pack on validation and on MNIST's test set: reported, never used
    to choose.
    """
    limit = opened.card.thresholds.read

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        logits = opened.logits(images[:, None].astype(np.float32) / 255)
        return _confidence(opened.card, logits)

    def digits(images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        top, confidence, _ = judge(images)
        right = top == labels
        read = confidence >= limit
        return {
            "n": len(labels),
            "errors": int((~right).sum()),
            "accuracy": round(float(right.mean()), 5),
            "coverage": round(float(read.mean()), 5),
            "risk": round(float((~right)[read].mean()), 5),
            "ece": round(_calibration_error(confidence, right), 5),
        }

    known = judge(test[0])[2]
    rejects = {}
    for name, images in {**check.others, **unseen}.items():
        _, confidence, digitness = judge(images)
        rejects[name] = {
            "n": len(images),
            "read": round(float((confidence >= limit).mean()), 5),
            "auroc": round(_auroc(known, digitness), 5),
        }
    return {
        "validation": {name: digits(x, y) for name, (x, y) in check.digits.items()},
        "mnist_test_crops": digits(*test),
        "non_digits": rejects,
    }


def _calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """The calibration error over bins of equal mass."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(p) * abs(float(confidence[p].mean() - right[p].mean())) for p in parts if len(p)]
    return sum(gaps) / len(right)


def _auroc(high: np.ndarray, low: np.ndarray) -> float:
    """The chance that one of `high` exceeds one of `low`, ties counting half."""
    low = np.sort(low)
    less = np.searchsorted(low, high, "left")
    upto = np.searchsorted(low, high, "right")
    return float((less + upto).mean() / 2 / len(low))
