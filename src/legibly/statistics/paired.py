"""Estimates the difference of two classifiers from their disagreements on the same pictures.

`difference` is for one look at a sample that was fixed beforehand. `at_any_time` is for a growing
number of labels: its intervals hold at all looks together, however often one looks and whenever one
stops. Everything here depends only on counts, not on the order of the pictures.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from legibly.statistics import metrics

NEVER = 100_000_000
"""The largest useful answer to "how many more pictures?"."""
_ERROR = 0.025  # on each side of a 95 % interval
_BETS = tuple(2 ** (-k / 2) for k in range(17))
# The largest bets weigh most: they are the best if two models hardly ever differ, as is common.
_HARMONIC = math.fsum(1 / (j + 1) for j in range(len(_BETS)))
_LOG_WEIGHTS = tuple(math.log(1 / (k + 1) / _HARMONIC) for k in range(len(_BETS)))

Interval = Callable[["Table"], metrics.Proportion]


@dataclass(frozen=True, slots=True)
class Table:
    """Counts of pictures that both, only the first, only the second, or neither read right.

    Projections have fractions.
    """

    both: float
    only_first: float
    only_second: float
    neither: float

    @classmethod
    def of(cls, couples: Iterable[tuple[bool, bool]]) -> Self:
        """Count couples of (first is right, second is right)."""
        outcomes = list(couples)
        kinds = ((True, True), (True, False), (False, True), (False, False))
        return cls(*map(outcomes.count, kinds))

    @property
    def n(self) -> float:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def value(self) -> float:
        """The second's share of right answers less the first's, in -1 … 1; 0 without pictures."""
        return (self.only_second - self.only_first) / self.n if self.n else 0.0

    def times(self, factor: float) -> "Table":
        """The same shares with all counts multiplied."""
        counts = (self.both, self.only_first, self.only_second, self.neither)
        return Table(*(factor * count for count in counts))

    def swapped(self) -> "Table":
        """The same table with both classifiers exchanged."""
        return Table(self.both, self.only_second, self.only_first, self.neither)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test, to twelve decimals, for one look."""
    discordant = only_first + only_second
    least = min(only_first, only_second)
    tail = sum(math.comb(discordant, k) for k in range(least + 1))
    # Integers as long as possible: 2 ** discordant may exceed the range of floats.
    return min(1.0, float((2 * tail * 10**12) // 2**discordant) / 1e12) if discordant else 1.0


def difference(table: Table) -> metrics.Proportion:
    """The difference of shares right with a 95 % score interval for pairs, for one look.

    Source: T. Tango, Statistics in Medicine 17 (1998) 891–908.
    """
    if not table.n:
        return metrics.Proportion(0.0, -1.0, 1.0)
    low = _root(lambda delta: _score(table, delta) >= metrics.Z95, -1.0, table.value)
    high = -_root(lambda delta: _score(table.swapped(), delta) >= metrics.Z95, -1.0, -table.value)
    return metrics.Proportion(table.value, low, high)


def _score(table: Table, delta: float) -> float:
    """Tango's statistic of "the true difference is `delta`"; falls as `delta` grows."""
    n = table.n
    gained = table.only_second
    lost = table.only_first
    linear = -gained - lost + (2 * n - gained + lost) * delta
    constant = -lost * delta * (1 - delta)
    share_lost = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share_lost + delta * (1 - delta))
    surplus = gained - lost - n * delta
    return surplus / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, surplus)


def at_any_time(table: Table) -> metrics.Proportion:
    """The difference of shares right with a 95 % confidence sequence, for any number of looks.

    Source: I. Waudby-Smith, A. Ramdas, JRSS B 86 (2024) 1–27: the mean of bounded values by
    betting.
    """

    def least(counts: Table) -> float:
        limit = -math.log(_ERROR)
        return _root(lambda delta: evidence(counts, above=delta) >= limit, -1.0, counts.value)

    return metrics.Proportion(table.value, least(table), -least(table.swapped()))


def evidence(table: Table, *, above: float) -> float:
    """The natural logarithm of the e-value for a true difference above `above`, in -1 … 1.

    It is the capital of a gambler who starts with 1 and stakes a share on every picture that the
    second is better by more than `above`, averaged over many shares. If each picture's expected
    difference, given all earlier ones, is at most `above`, the probability that the e-value ever
    reaches 1/a is at most a (Ville's inequality).
    """
    terms = []
    for bet, log_weight in zip(_BETS, _LOG_WEIGHTS, strict=True):
        stake = (
            min(bet, 0.99 / (1 + above)) if above > -1 else bet
        )  # the remaining capital must stay above zero
        won, same, lost = (math.log(1 + stake * (gain - above)) for gain in (1, 0, -1))
        terms.append(
            log_weight
            + table.only_second * won
            + (table.both + table.neither) * same
            + table.only_first * lost
        )
    most = max(terms)
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))


def more(
    table: Table, settled: Callable[[metrics.Proportion], bool], *, interval: Interval
) -> int | None:
    """About how many more such pictures until the interval is `settled`; None if never."""
    if not table.n:
        return None
    if settled(interval(table)):
        return 0
    enough = 2.0
    while not settled(interval(table.times(enough))):
        enough *= 2
        if enough * table.n > NEVER:
            return None
    few = enough / 2
    while enough / few > 1.005:
        middle = (few + enough) / 2
        few, enough = (few, middle) if settled(interval(table.times(middle))) else (middle, enough)
    return math.ceil((enough - 1) * table.n)


def _root(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest number in `low` … `high` at which `holds` is true; it is false above."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
