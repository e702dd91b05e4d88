"""Rate limits in memory: token buckets by name."""

import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable

_TRIES_A_NETWORK = 10
_TRIES_A_NAME = 5
_TRIES_A_NAME_ANYWHERE = 100


class Buckets:
    """Allows each name `rate` requests per minute, and as many at once; thread-safe.

    Drops the least recently used names.
    """

    def __init__(
        self, rate: float, *, clock: Callable[[], float] = time.monotonic, most_names: int = 20_000
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._most_names = most_names
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Take a token; 0 if there was one, else the seconds until the next."""
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
        """Give the last token back."""
        with self._lock:
            level, at = self._levels.get(name, (self._rate, self._clock()))
            self._levels[name] = (min(self._rate, level + 1), at)


class SignInLimits:
    """Limits attempts to sign in: per network, per name and network, and per name.

    The limit per name is wide, so that strangers cannot lock out its owner.
    """

    def __init__(self) -> None:
        self._networks = Buckets(_TRIES_A_NETWORK)
        self._names_here = Buckets(_TRIES_A_NAME)
        self._names = Buckets(_TRIES_A_NAME_ANYWHERE)

    def take(self, network: str, name: str) -> float:
        """Count an attempt; return the seconds to wait, or 0."""
        key = _comparable(name)
        return max(
            self._networks.take(network),
            self._names_here.take(f"{network} {key}"),
            self._names.take(key),
        )

    def give_back(self, network: str, name: str) -> None:
        """Undo the last attempt, which succeeded."""
        key = _comparable(name)
        self._networks.give_back(network)
        self._names_here.give_back(f"{network} {key}")
        self._names.give_back(key)


def _comparable(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()
