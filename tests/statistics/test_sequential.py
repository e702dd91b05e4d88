"""Evidence that a rate is above a limit."""

import random

import pytest

from legibly.statistics import sequential


def test_evidence_of_a_rate_within_the_limit_seldom_reaches_enough() -> None:
    """Looked at after each of 1,000 trials, with a rate at the limit itself, it does so in fewer
    than one series of 20; with three times the rate in nearly all.
    """

    def share(rate: float, seed: int) -> float:
        draws = random.Random(seed)
        reached = 0
        for _ in range(200):
            hits = 0
            for trials in range(1, 1001):
                hits += draws.random() < rate
                if sequential.evidence_above(0.02, hits=hits, trials=trials) >= sequential.EVIDENCE:
                    reached += 1
                    break
        return reached / 200

    assert share(0.02, seed=1) <= 0.05
    assert share(0.06, seed=2) >= 0.9


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.5, 0.96])
def test_evidence_is_a_fair_bet_at_the_limit(limit: float) -> None:
    """Over all outcomes of one trial its mean is one where the rate is the limit."""
    hit = sequential.evidence_above(limit, hits=1, trials=1)
    miss = sequential.evidence_above(limit, hits=0, trials=1)
    assert limit * hit + (1 - limit) * miss == pytest.approx(1.0)
    assert sequential.evidence_above(limit, hits=0, trials=0) == 1.0
    assert sequential.evidence_above(limit, hits=10**6, trials=10**6) > sequential.EVIDENCE


@pytest.mark.parametrize(("limit", "hits", "trials"), [(0.0, 0, 1), (1.0, 0, 1), (0.1, 2, 1)])
def test_what_is_no_rate_is_refused(limit: float, hits: int, trials: int) -> None:
    """A limit that is no share, or more hits than trials, is an error of the caller."""
    with pytest.raises(ValueError, match="not a rate"):
        sequential.evidence_above(limit, hits=hits, trials=trials)
