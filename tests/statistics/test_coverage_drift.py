"""Drift without labels: how often a model is sure, against its card."""

import pytest

from legibly.packs import pack, registry
from legibly.statistics import coverage_drift
from legibly.statistics.coverage_drift import MIN_READINGS, CoverageDrift

CARD = (900, 100)


def follow(drift: CoverageDrift, *, share: float, version: str = "a") -> float | None:
    """The index after a window of readings of which this share is sure."""
    index = None
    for number in range(coverage_drift.WINDOW):
        verdict = "read" if number % 100 < 100 * share else "unsure"
        index = drift.add(verdict, version, CARD)
    return index


@pytest.mark.parametrize(("share", "low", "high"), [(0.9, 0, 0.01), (0.7, 0.25, 1), (1, 0.25, 1)])
def test_the_index_tells_how_far_the_share_of_sure_readings_is_off(
    share: float, low: float, high: float
) -> None:
    """As on the card: next to nothing. Far fewer or more: above 0.25, from which the alert is."""
    index = follow(CoverageDrift(), share=share)
    assert index is not None
    assert low <= index <= high


def test_it_is_of_enough_readings_of_one_version() -> None:
    """Another model begins anew, and few readings say nothing."""
    drift = CoverageDrift()
    follow(drift, share=0.5)
    indices = [drift.add("read", "b", CARD) for _ in range(MIN_READINGS)]
    assert indices[:-1] == [None] * (MIN_READINGS - 1)
    assert indices[-1] is not None


def test_the_shipped_card_has_figures_of_whole_pictures() -> None:
    """They are taken before those of single digits; a card without figures has no drift."""
    risk = pack.open_pack(registry.find("digits")).card.risk
    expected = coverage_drift.reference(risk)
    assert expected is not None
    assert sum(expected) == risk["sources"]["pictures"]["n"]
    assert coverage_drift.reference({}) is None
