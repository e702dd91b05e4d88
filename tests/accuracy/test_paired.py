"""Two classifiers on the same pictures."""

import functools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legibly.statistics import metrics, paired

COUNTS = st.builds(paired.Table, *(st.integers(0, 60) for _ in range(4))).filter(
    lambda table: table.n > 0
)
RUNS = 300


def test_the_published_example_of_the_score_interval() -> None:
    """Airway hyper-responsiveness before and after transplantation (Bentur 2009): Tango's is −0.517
    to −0.026.
    """
    result = paired.difference(paired.Table(1, 7, 1, 12))
    assert (round(result.low, 3), round(result.value, 3), round(result.high, 3)) == (
        -0.517,
        -0.286,
        -0.026,
    )


@given(COUNTS)
@settings(max_examples=60)
def test_the_ends_of_the_score_interval_are_where_the_likelihood_puts_them(
    table: paired.Table,
) -> None:
    """At each inner end, the statistic with the most likely shares of that difference is 1.96:
    found by brute force.
    """
    result = paired.difference(table)
    assert -1 <= result.low <= result.value <= result.high <= 1
    for end, sign in ((result.low, 1), (result.high, -1)):
        if abs(end) < 0.999:
            lost = likeliest(table, end)
            spread = math.sqrt(table.n * (2 * lost + end - end * end))
            statistic = (table.only_second - table.only_first - table.n * end) / spread
            assert statistic == pytest.approx(sign * metrics.Z95, rel=2e-3)


def likeliest(table: paired.Table, delta: float) -> float:
    """The share that only the first gets right, most likely where the second's share less the
    first's is `delta`.
    """

    def likelihood(lost: float) -> float:
        parts = (
            (table.only_first, lost),
            (table.only_second, lost + delta),
            (table.both + table.neither, 1 - 2 * lost - delta),
        )
        return math.fsum(count * math.log(share) for count, share in parts if count)

    low = max(0.0, -delta) + 1e-12
    high = (1 - delta) / 2 - 1e-12
    for _ in range(200):  # golden section: the likelihood has one peak
        left = high - (high - low) * 0.618034
        right = low + (high - low) * 0.618034
        low, high = (left, high) if likelihood(left) < likelihood(right) else (low, right)
    return (low + high) / 2


@given(COUNTS)
@settings(max_examples=60)
def test_swapping_the_two_turns_the_interval_round(table: paired.Table) -> None:
    """Whichever comes first, the same is said of them; each interval holds its own value."""
    for interval in (paired.difference, paired.at_any_time):
        item = interval(table)
        other = interval(table.swapped())
        assert (item.low, item.value, item.high) == pytest.approx(
            (-other.high, -other.value, -other.low), abs=1e-6
        )
        assert item.low - 1e-9 <= item.value <= item.high + 1e-9


def test_evidence_is_a_fair_game() -> None:
    """Over every possible course of three pictures, the gambler's mean wealth is 1 where the truth
    is `above`.
    """
    gained = 0.2
    lost = 0.3
    shares = {1: gained, 0: 1 - gained - lost, -1: lost}
    mean = 0.0
    for item in shares:
        for two in shares:
            for three in shares:
                course = (item, two, three)
                table = paired.Table(course.count(0), course.count(-1), course.count(1), 0)
                wealth = math.exp(paired.evidence(table, above=gained - lost))
                mean += wealth * math.prod(shares[step] for step in course)
    assert mean == pytest.approx(1.0, abs=1e-12)


@functools.cache
def walks(gained: float, lost: float, *, seed: int) -> list[list[paired.Table]]:
    """RUNS stores whose labels grow to 1,000, as they are seen every 20 labels."""
    source = random.Random(seed)
    result = []
    for _ in range(RUNS):
        steps = source.choices((1, -1, 0), (gained, lost, 1 - gained - lost), k=1000)
        looks = (steps[:n] for n in range(20, 1001, 20))
        result.append(
            [paired.Table(part.count(0), part.count(-1), part.count(1), 0) for part in looks]
        )
    return result


def test_looking_again_and_again_promotes_no_better_model_that_is_none() -> None:
    """Two equally good models, 50 looks: McNemar at 5 % finds one better in far too many stores,
    this in few.
    """
    stores = walks(0.05, 0.05, seed=1)
    naive = [
        any(
            paired.mcnemar(int(t.only_first), int(t.only_second)) < 0.05 and t.value > 0
            for t in looks
        )
        for looks in stores
    ]
    ours = [any(paired.evidence(t, above=0.0) >= math.log(40) for t in looks) for looks in stores]
    assert sum(naive) / RUNS > 0.07
    assert sum(ours) / RUNS <= 0.025


def test_looking_again_and_again_promotes_no_model_that_is_worse_by_the_margin() -> None:
    """A candidate that is worse by just the margin, 50 looks: repeated score intervals let it in,
    this does not.
    """
    stores = walks(0.05, 0.1, seed=2)
    naive = [any(paired._score(t, -0.05) >= metrics.Z95 for t in looks) for looks in stores]
    ours = [any(paired.evidence(t, above=-0.05) >= math.log(40) for t in looks) for looks in stores]
    assert sum(naive) / RUNS > 0.05
    assert sum(ours) / RUNS <= 0.025


def test_a_good_candidate_is_let_in() -> None:
    """Nine in ten of equally good models that differ in 2 % of pictures pass five points within
    1,000 labels.
    """
    ours = [
        paired.evidence(looks[-1], above=-0.05) >= math.log(40)
        for looks in walks(0.01, 0.01, seed=3)
    ]
    assert sum(ours) / RUNS > 0.9


def expected(result: metrics.Proportion) -> bool:
    """No worse by half a point."""
    return result.low > -0.005


def test_how_many_more() -> None:
    """So many more of the same settle it, and some fewer do not; none are needed once it is
    settled.
    """
    table = paired.Table(980, 10, 10, 0)
    for interval in (paired.difference, paired.at_any_time):
        more = paired.more(table, expected, interval=interval)
        assert more is not None
        assert expected(interval(table.times(1 + more / 1000)))
        assert not expected(interval(table.times(1 + 0.95 * more / 1000)))
        assert paired.more(table.times(1000), expected, interval=interval) == 0
    worse = paired.Table(900, 60, 40, 0)
    assert paired.more(worse, expected, interval=paired.difference) is None
    assert paired.more(paired.Table(0, 0, 0, 0), lambda _: True, interval=paired.difference) is None


def test_nothing_can_be_said_of_nothing() -> None:
    """Without a picture every difference is possible."""
    for interval in (paired.difference, paired.at_any_time):
        result = interval(paired.Table(0, 0, 0, 0))
        assert (result.low, result.high) == pytest.approx((-1.0, 1.0))
