"""Delays of retries, and the errors that are worth a retry."""

from legibly import errors

QUEUE_SECONDS = 5.0
"""The pause after a failed request to a queue."""
MAX_DELAY_SECONDS = 60.0
TRANSIENT = (errors.Unavailable, errors.Forbidden)
"""Temporary errors; all other errors of ours are caused by the picture itself."""


def delay_seconds(attempt: int) -> float:
    """The delay after a failed attempt, counted from 1: 1, 2, 4 … seconds, at most a minute."""
    return min(2.0 ** min(attempt - 1, 10), MAX_DELAY_SECONDS)
