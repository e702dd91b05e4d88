"""The arithmetic of the report: pure functions of counts, nothing rounded.

Proportions are in 0 … 1, and None if nothing was counted; intervals are 95 %.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share and the ends of its 95 % interval, all in 0 … 1."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING: dict[str, float | None] = {"value": None, "low": None, "high": None}


def share(successes: float, n: float) -> Proportion | None:
    """`successes` of `n` with Wilson's score interval; None if `n` is 0.

    Both may be fractions, for an effective sample size. Source: E. B. Wilson, JASA 22 (1927).
    """
    if n <= 0:
        return None
    p = successes / n
    z2 = Z95 * Z95
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= n else min(1.0, middle + half)
    return Proportion(p, low, high)


def as_json(proportion: Proportion | None) -> dict[str, float] | dict[str, float | None]:
    """The contract's `{"value", "low", "high"}`, with nulls for None."""
    return proportion.to_json() if proportion else dict(NOTHING)


def f1(hits: int, predicted: int, actual: int) -> float | None:
    """The harmonic mean of precision and recall; None if the class never occurs."""
    return 2 * hits / (predicted + actual) if predicted + actual else None


def difference(first: Proportion, second: Proportion) -> Proportion:
    """`first` less `second` with Newcombe's interval for independent samples; in -1 … 1.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Proportion(value, low, high)


@dataclass(frozen=True, slots=True)
class Stratum:
    """A group of `size` pictures: how many are labelled, and how many of these are right."""

    size: int
    labelled: int
    right: int


def merged(strata: Sequence[Stratum], *, least: int) -> list[Stratum]:
    """Merge neighbours until each stratum has at least `least` labels (or one stratum is left)."""
    out: list[Stratum] = []
    size = labelled = right = 0
    for stratum in strata:
        size = size + stratum.size
        labelled = labelled + stratum.labelled
        right = right + stratum.right
        if labelled >= least:
            out.append(Stratum(size, labelled, right))
            size = labelled = right = 0
    if size or labelled:
        last = out.pop() if out else Stratum(0, 0, 0)
        out.append(Stratum(last.size + size, last.labelled + labelled, last.right + right))
    return out


def stratified(strata: Sequence[Stratum], *, least: int = 10) -> Proportion | None:
    """The share of right readings of all pictures, if strata have different shares of labels.

    Strata are weighted by size (post-stratification); the interval is Wilson's at the effective
    number of labels. The variance adds half a count to right and wrong, so that it is above zero in
    a stratum without mistakes.
    """
    parts = [part for part in merged(strata, least=least) if part.labelled]
    total = sum(part.size for part in parts)
    labelled = sum(part.labelled for part in parts)
    if not total or not labelled:
        return None
    value = math.fsum(part.size / total * (part.right / part.labelled) for part in parts)
    variance = math.fsum(
        (part.size / total) ** 2 * smooth * (1 - smooth) / part.labelled
        for part in parts
        for smooth in [(part.right + 0.5) / (part.labelled + 1)]
    )
    centre = (value * labelled + 0.5) / (labelled + 1)
    effective = min(labelled, centre * (1 - centre) / variance)
    return share(value * effective, effective)


@functools.cache
def chi_square_95(degrees: int) -> float:
    """The 95 % point of chi-square (Wilson and Hilferty): within 1 % from three degrees on."""
    if degrees < 1:
        return 0.0
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + NormalDist().inv_cdf(0.95) * math.sqrt(spread)) ** 3


def stability(reference: Sequence[int], window: Sequence[int]) -> Proportion:
    """The population stability index of two class mixes: value, low, high (95 %; 0 or more).

    Half a count is added to every class, so that an empty class does not make it infinite. Two
    samples of the same population differ too: the mean of the index without change,
    (k - 1)(1/n + 1/m), is subtracted, and the interval starts at 0 unless the index passes its 95 %
    point without change. The interval's width is by the delta method.
    """
    k = len(reference)
    n = sum(reference)
    m = sum(window)
    p = [(count + 0.5) / (n + k / 2) for count in reference]
    q = [(count + 0.5) / (m + k / 2) for count in window]
    index = math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    slopes_p = [math.log(a / b) + 1 - b / a for a, b in zip(p, q, strict=True)]
    slopes_q = [math.log(b / a) + 1 - a / b for a, b in zip(p, q, strict=True)]
    spread = math.sqrt(_variance(p, slopes_p) / max(n, 1) + _variance(q, slopes_q) / max(m, 1))
    chance = 1 / max(n, 1) + 1 / max(m, 1)
    value = max(0.0, index - (k - 1) * chance)
    low = max(0.0, value - Z95 * spread) if index > chi_square_95(k - 1) * chance else 0.0
    return Proportion(value, low, value + Z95 * spread)


def _variance(shares: Sequence[float], slopes: Sequence[float]) -> float:
    mean = math.fsum(a * g for a, g in zip(shares, slopes, strict=True))
    return max(0.0, math.fsum(a * g * g for a, g in zip(shares, slopes, strict=True)) - mean * mean)
