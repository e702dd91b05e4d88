"""Turns logits into calibrated probabilities and verdicts, with the values of a pack's card.

probabilities, digitness = judge(card, logits)    # which class it is; whether it is one at all
confidence = confidences(probabilities, digitness)    # that the top class is right
verdicts = apply_thresholds(card, probabilities, digitness)    # read, unsure or the card's reject
"""

import numpy as np
import numpy.typing as npt

from legibly import records
from legibly.packs import card as cards

Floats = npt.NDArray[np.float32]


def judge(card: cards.Card, logits: Floats) -> tuple[Floats, Floats]:
    """Turn raw logits into `(probabilities, digitness)`.

    logits: (N, K) float32, K = `card.outputs`, the reject logit last if there is one.
    probabilities: (N, classes) float32, rows sum to 1: softmax of the class logits over the card's
    temperature. digitness: (N,) float32 in 0 … 1: the probability that the item is one of the
    classes at all; ones without a reject.
    """
    count = len(card.classes)
    known = logits[:, :count].astype(np.float64)
    probabilities = np.exp(log_softmax(known / card.temperature))
    if card.reject is None:
        return probabilities.astype(np.float32), np.ones(len(logits), np.float32)
    energy = logsumexp(known)
    model = card.digitness
    margin = energy - logits[:, count] if card.reject_output else lead(known)
    score = model.bias + model.margin * margin + model.energy * energy
    return probabilities.astype(np.float32), sigmoid(score).astype(np.float32)


def confidences(probabilities: Floats, digitness: Floats) -> Floats:
    """The chance that the top class is right: (N,) float32, top probability times digitness."""
    return np.asarray(probabilities.max(axis=1) * digitness, np.float32)


def apply_thresholds(
    card: cards.Card, probabilities: Floats, digitness: Floats
) -> list[records.Verdict]:
    """Return a verdict for each item: the card's reject below the digitness threshold, `read` at
    or above the confidence threshold, `unsure` otherwise.
    """
    limits = card.thresholds
    verdicts: list[records.Verdict] = []
    for confidence, digit in zip(confidences(probabilities, digitness), digitness, strict=True):
        if card.reject is not None and digit < limits.digit:
            verdicts.append(card.reject)
        else:
            verdicts.append("read" if confidence >= limits.read else "unsure")
    return verdicts


def logsumexp(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log Σ exp along the last axis: (N, K) → (N,)."""
    top = values.max(axis=-1)
    return np.asarray(top + np.log(np.exp(values - top[..., None]).sum(axis=-1)))


def lead(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The difference between the highest value and logsumexp of the others: (N, K) → (N,)."""
    if values.shape[1] < 2:
        return np.zeros(len(values))
    ordered = np.sort(values, axis=1)
    return np.asarray(ordered[:, -1] - logsumexp(ordered[:, :-1]))


def log_softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log probabilities along the last axis: (N, K) → (N, K)."""
    return np.asarray(values - logsumexp(values)[..., None])


def sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 / (1 + exp(−x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
