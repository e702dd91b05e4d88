"""Computes evidence that a rate is above a limit, valid after every trial.

The evidence is a product of bets that are at best fair if the rate is at most the limit: then its
chance of ever reaching 20 is at most one in 20, however often one looks (Ville's inequality;
Ramdas and others, Game-theoretic statistics and safe anytime-valid inference, 2023).
"""

import math

EVIDENCE = 20.0
"""Evidence at which a rate counts as above the limit; wrong in at most one of 20 series."""
_TIMES = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""The alternative rates of the bets, as multiples of the limit, with equal stakes."""
_MAX_BET = 0.95


def evidence_above(limit: float, *, hits: int, trials: int) -> float:
    """The evidence in `hits` of `trials` that their rate is above `limit`, between 0 and 1.

    Raises ValueError for a limit outside 0 … 1, or more hits than trials.
    """
    if not 0 < limit < 1 or not 0 <= hits <= trials:
        raise ValueError(f"not a rate: limit {limit}, {hits} of {trials}")
    rates = [min(_MAX_BET, limit * times) for times in _TIMES if limit < _MAX_BET] or [
        (1 + limit) / 2
    ]
    wealth = [
        hits * math.log(rate / limit) + (trials - hits) * math.log((1 - rate) / (1 - limit))
        for rate in rates
    ]
    largest = max(wealth)
    mean = math.fsum(math.exp(value - largest) for value in wealth) / len(wealth)
    return math.exp(min(largest + math.log(mean), 700.0))
