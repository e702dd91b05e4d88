"""The arithmetic of the report."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legibly.statistics import metrics


@given(n=st.integers(1, 10**9), data=st.data())
def test_an_interval_holds_its_value_within_the_scale(n: int, data: st.DataObject) -> None:
    """0 ≤ low ≤ value ≤ high ≤ 1, and the ends touch the scale only where nothing or everything is
    right.
    """
    right = data.draw(st.integers(0, n))
    result = metrics.share(right, n)
    assert result is not None
    assert 0 <= result.low <= result.value <= result.high <= 1
    assert (result.low == 0) == (right == 0)
    assert (result.high == 1) == (right == n)


def test_the_share_of_nothing_is_nothing() -> None:
    """No pairs: null, not 0 % and not an error."""
    assert metrics.share(0, 0) is None
    assert metrics.as_json(None) == {"value": None, "low": None, "high": None}
    assert metrics.stratified([]) is None
    assert metrics.f1(0, 0, 0) is None


def test_wilson_and_newcombe_as_published() -> None:
    """Newcombe 1998: 81 of 263 has Wilson's 0.2553 to 0.3662; 56/70 less 48/80 has 0.0524 to
    0.3339.
    """
    result = metrics.share(81, 263)
    assert result is not None
    assert (result.low, result.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    first = metrics.share(56, 70)
    second = metrics.share(48, 80)
    assert first is not None
    assert second is not None
    difference = metrics.difference(first, second)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(
    st.lists(
        st.tuples(st.integers(1, 1000), st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
        max_size=8,
    )
)
def test_joining_strata_keeps_every_count(rows: list[tuple[int, int, int]]) -> None:
    """However strata are joined, no picture and no label is lost, and each part has enough labels
    where any has.
    """
    strata = [
        metrics.Stratum(size, labelled, min(right, labelled)) for size, labelled, right in rows
    ]
    joined = metrics.merged(strata, least=10)
    for name in ("size", "labelled", "right"):
        assert sum(getattr(part, name) for part in joined) == sum(
            getattr(part, name) for part in strata
        )
    if len(joined) > 1:
        assert min(part.labelled for part in joined) >= 10


def test_equal_response_weighs_like_the_plain_share() -> None:
    """Where every stratum answers alike, weights change nothing."""
    strata = [metrics.Stratum(1000, 100, 60), metrics.Stratum(9000, 900, 890)]
    result = metrics.stratified(strata)
    assert result is not None
    assert result.value == pytest.approx(0.95)


@pytest.mark.parametrize(("degrees", "point"), [(3, 7.815), (9, 16.919), (30, 43.773)])
def test_chi_square_as_in_the_tables(degrees: int, point: float) -> None:
    """The 95 % points are within 1 % of the tables'."""
    assert math.isclose(metrics.chi_square_95(degrees), point, rel_tol=0.01)


def test_stability_is_silent_without_change_and_loud_with_it() -> None:
    """The same mix: 0 at its low end. A class that doubled: the interval starts above the usual
    0.1.
    """
    assert metrics.stability([1000] * 10, [98, 104, 100, 97, 101, 99, 103, 100, 96, 102]).low == 0
    assert metrics.stability([1000] * 10, [1000] + [100] * 9).low > 0.1
