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
    """`rate` requests a minute for each name, as many at once; safe for threads.

    Names that were not used for longest are dropped.
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
        """Put the last one back: it does not count."""
        with self._lock:
            level, at = self._levels.get(name, (self._rate, self._clock()))
            self._levels[name] = (min(self._rate, level + 1), at)


class SignInLimits:
    """How often a password may be tried: from one network, for one name from there, for one name.

    The limit for a name from everywhere is wide, so that strangers cannot lock its owner out.
    """

    def __init__(self) -> None:
        self._networks = Buckets(_TRIES_A_NETWORK)
        self._names_here = Buckets(_TRIES_A_NAME)
        self._names = Buckets(_TRIES_A_NAME_ANYWHERE)

    def take(self, network: str, name: str) -> float:
        """Count one try; the seconds to wait, 0 for none."""
        key = _comparable(name)
        return max(
            self._networks.take(network),
            self._names_here.take(f"{network} {key}"),
            self._names.take(key),
        )

    def give_back(self, network: str, name: str) -> None:
        """Forget the last try, which was right."""
        key = _comparable(name)
        self._networks.give_back(network)
        self._names_here.give_back(f"{network} {key}")
        self._names.give_back(key)


def _comparable(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()
