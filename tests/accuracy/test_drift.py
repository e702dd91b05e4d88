"""Drift is told when it means something, and only then."""

import random
from collections.abc import Sequence
from datetime import date, timedelta

from legibly.statistics import aggregates, drift


def _reads(
    mix_before: Sequence[float], mix_after: Sequence[float], *, a_day: int, seed: int = 1
) -> tuple[aggregates.Read, ...]:
    draw = random.Random(seed)
    out = []
    for back in range(35):
        day = date(2026, 11, 22) - timedelta(days=back)
        mix = mix_after if back < 7 else mix_before
        for label in draw.choices("0123456789"[: len(mix)], mix, k=a_day):
            verdict = "read" if draw.random() < 0.9 else "unsure"
            out.append(aggregates.Read(day.isoformat(), "digits@1", verdict, label, 950_000, 1))
    return tuple(out)


def test_no_change_is_no_drift() -> None:
    """Forty samples of one population: at most three are called a change of any size."""
    result = [drift.build(_reads([1] * 10, [1] * 10, a_day=60, seed=seed)) for seed in range(40)]
    lows = [entry["classes"]["low"] for entry in result if entry]
    assert len(lows) == 40
    assert sum(low > 0 for low in lows) <= 3


def test_a_changed_mix_is_told_with_its_interval() -> None:
    """Sevens that triple last week: much has changed in the classes, nothing in the verdicts."""
    result = drift.build(_reads([1] * 10, [1] * 7 + [6] + [1] * 2, a_day=200))
    assert result is not None
    assert result["classes"]["change"] == "much"
    assert result["classes"]["low"] > 0.25
    assert result["verdicts"]["change"] == "none"
    assert len(result["by_day"]) == 7


def test_too_few_readings_say_nothing() -> None:
    """Under 200 readings in either window there is no drift entry at all."""
    assert drift.build(()) is None
    assert drift.build(_reads([1] * 10, [1, 9], a_day=20)) is None
