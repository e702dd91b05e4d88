"""Rate limits in memory: a bucket for each principal that fills steadily and empties with each request."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """`rate` requests a minute for each name, as many at once; safe for threads, forgets who was away longest."""

    def __init__(
        self, rate: float, *, clock: Callable[[], float] = time.monotonic, most_names: int = 20_000
    ) -> None:
        self._rate, self._clock, self._most_names = rate, clock, most_names
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Take one; 0 if there was one, else the seconds until there will be."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._clock()
            level, at = self._levels.pop(name, (self._rate, now))
            level = min(self._rate, level + (now - at) * self._rate / 60)
            wait = 0.0 if level >= 1 else (1 - level) * 60 / self._rate
            self._levels[name] = (level - 1 if not wait else level, now)
            while len(self._levels) > self._most_names:
                self._levels.popitem(last=False)
            return wait

    def give_back(self, name: str) -> None:
        """Put the last one back: it shall not count."""
        with self._lock:
            level, at = self._levels.get(name, (self._rate, self._clock()))
            self._levels[name] = (min(self._rate, level + 1), at)
