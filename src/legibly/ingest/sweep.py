"""Looks in the store for pictures that came without an upload: dropped into the folder, or copied
there.
"""

import time
from collections.abc import Iterable
from datetime import timedelta
from itertools import takewhile

from legibly import errors, object_keys
from legibly.images import sniff, truncation
from legibly.ingest.record_follower import RecordFollower
from legibly.iteration import batched
from legibly.pipeline import Service
from legibly.records import now
from legibly.store import Stat

# A file may still be being copied into the folder: wait until it has been unchanged
# for a moment.
SETTLE = timedelta(seconds=1)
PATIENCE = timedelta(minutes=2)
"""How long a truncated picture counts as still being written."""
RECENT = timedelta(hours=1)
"""Pictures since then are looked for apart from all others; an address for an upload ends earlier.
"""
_BATCH = 1000


class Sweeper:
    """Sweeps whenever it is due: of all processes one at most in `seconds`, and on one twentieth of
    the time at most; then takes in labels and deletions of other servers, on one fiftieth.

    Listing a large bucket takes hours. In between, the pictures that the app has given a place in
    the last hour are listed alone, since keys sort by time.
    """

    def __init__(self, service: Service, *, seconds: float) -> None:
        self._service = service
        # Listing a bucket costs money and usually finds nothing: its events come by a queue. Ten
        # times rarer than in a folder, a picture whose event is lost is still read within 30 s.
        self._seconds = seconds if service.store.is_local else 10 * seconds
        self._pause = self._seconds
        self._due = 0.0
        self._recent_due = 0.0
        self._follower = RecordFollower(service)
        self._follow_due = 0.0

    def sweep_if_due(self) -> int:
        """Sweep unless it is too early; return the number of new pictures."""
        if not self._seconds:
            return 0
        count = self._sweep() if time.monotonic() >= self._due else 0
        if not self._service.store.is_local and time.monotonic() >= self._recent_due:
            count += self._sweep_recent()
        began = time.monotonic()
        if began >= self._follow_due:  # after the pictures of the labels
            self._follower.follow()
            self._follow_due = time.monotonic() + self._paused(began, rarely=50)
        return count

    def _sweep(self) -> int:
        """Sweep, unless another process does."""
        began = time.monotonic()
        self._due = began + self._seconds
        if not self._service.index.take_turn("sweep", seconds=self._pause):
            return 0
        count = sweep(self._service)
        self._pause = self._paused(began, rarely=20)
        self._due = time.monotonic() + self._pause
        return count

    def _sweep_recent(self) -> int:
        """Sweep the pictures of the last hour, unless another process does."""
        began = time.monotonic()
        count = 0
        if self._service.index.take_turn("sweep recent", seconds=self._seconds):
            count = sweep_recent(self._service)
        self._recent_due = time.monotonic() + self._paused(began, rarely=20)
        return count

    def _paused(self, began: float, *, rarely: int) -> float:
        return max(self._seconds, rarely * (time.monotonic() - began))


def sweep(service: Service) -> int:
    """Add every picture under `images/` that the index does not have; returns their number."""
    return _adopt(service, service.store.list(object_keys.IMAGES))


def sweep_recent(service: Service) -> int:
    """The same for pictures whose key has a time since RECENT, or one up to a day ahead."""
    first = object_keys.image(object_keys.new_id(now() - RECENT), "image/png")
    last = f"{object_keys.IMAGES}{(now() + timedelta(days=2)).date()}"
    stats = service.store.list(object_keys.IMAGES, after=first)
    return _adopt(service, takewhile(lambda stat: stat.key < last, stats))


def _adopt(service: Service, stats: Iterable[Stat]) -> int:
    """Add pictures that are not in the index and complete; returns their number."""
    latest = now() - SETTLE
    ahead = now() + PATIENCE  # a clock was set back since: such a file would wait for long
    quiet = (stat for stat in stats if stat.modified_at <= latest or stat.modified_at > ahead)
    return sum(service.adopt(_complete(service, batch)) for batch in batched(quiet, _BATCH))


def _complete(service: Service, stats: list[Stat]) -> list[Stat]:
    """Leave out new pictures of a folder store whose end is missing, while they may still grow."""
    if not service.store.is_local:
        return stats  # an object of S3 is complete as soon as it exists
    earliest = now() - PATIENCE
    recent = {
        object_keys.image_id(stat.key, stat.modified_at): stat
        for stat in stats
        if stat.modified_at > earliest and not object_keys.is_own(stat.key)
    }
    unknown = set(recent) - service.index.known(recent)
    growing = {recent[image].key for image in unknown if _is_torn(service, recent[image].key)}
    return [stat for stat in stats if stat.key not in growing]


def _is_torn(service: Service, key: str) -> bool:
    try:
        data = service.store.read(key)
        truncation.check(data, sniff.media_type(data))
    except errors.Unusable:
        return True
    except errors.LegiblyError:  # no picture, or gone: adopting it says so
        return False
    return False
