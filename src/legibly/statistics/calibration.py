"""Measures how far confidences are from the shares of right answers."""

import math
from collections.abc import Iterable


def expected_calibration_error(bins: Iterable[tuple[float, float, float]]) -> float | None:
    """The mean distance of confidence and accuracy over bins of `(n, confidence, accuracy)`.

    None if nothing was counted. Source: M. Pakdaman Naeini, G. Cooper, M. Hauskrecht, AAAI 2015.
    """
    counted = [(n, abs(confidence - accuracy)) for n, confidence, accuracy in bins if n]
    total = sum(n for n, _ in counted)
    return math.fsum(n / total * distance for n, distance in counted) if total else None
