"""Whether a model answers surely as often as on the pictures that it was calibrated on."""

import functools
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from legibly.statistics import metrics

WINDOW = 1000
MIN_READINGS = 200
"""Readings in the window: so many at most, and fewer than that say nothing."""
OWN_SOURCE = "pictures"
"""Whole pictures, where a card has figures of them: the others are of single digits."""


def reference(risk: Mapping[str, Any]) -> tuple[int, int] | None:
    """The pictures of a card's `risk` read surely, and the others; None without figures."""
    sources = risk.get("sources") or {}
    chosen = [sources[OWN_SOURCE]] if OWN_SOURCE in sources else list(sources.values())
    number = sum(source["n"] for source in chosen)
    sure = sum(source["n"] * source["coverage"] for source in chosen)
    return (round(sure), number - round(sure)) if number else None


class CoverageDrift:
    """The population stability index of `read` or not, of the last readings of one version against
    its card; safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = ""
        self._sure: deque[bool] = deque(maxlen=WINDOW)
        self._count = 0  # of those that are sure

    def add(self, verdict: str, version: str, expected: tuple[int, int]) -> float | None:
        """Take a reading in; the index now, None where it is of too few readings."""
        with self._lock:
            if version != self._version:
                self._version = version
                self._sure.clear()
                self._count = 0
            if len(self._sure) == WINDOW:
                self._count -= self._sure[0]
            self._sure.append(verdict == "read")
            number = len(self._sure)
            sure = self._count = self._count + self._sure[-1]
        if number < MIN_READINGS:
            return None
        return _index(expected, sure, number)


@functools.lru_cache(maxsize=16)  # a full window changes rarely
def _index(expected: tuple[int, int], sure: int, number: int) -> float:
    return metrics.stability(expected, (sure, number - sure)).value
