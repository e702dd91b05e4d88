"""How long to wait before another try, and which errors another try may cure."""

from legibly import errors

QUEUE_SECONDS = 5.0
"""The pause after a queue did not answer."""
MAX_DELAY_SECONDS = 60.0
TRANSIENT = (errors.Unavailable, errors.Forbidden)
"""Errors that may pass; every other error of ours belongs to the picture itself."""


def delay_seconds(attempt: int) -> float:
    """The delay after a failed attempt, counted from 1: 1, 2, 4 … seconds, at most a minute."""
    return min(2.0 ** min(attempt - 1, 10), MAX_DELAY_SECONDS)
