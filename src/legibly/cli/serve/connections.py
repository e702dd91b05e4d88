"""Bounds on connections: how many there are, and how long one may wait without a request."""

import sys
import time
import weakref
from collections.abc import Collection
from typing import Any

MAX_CONNECTIONS = 8192
"""Connections of one process, where the system allows as many open files."""
SPARE = 256
"""Open files that are left for the store, the database and decoders."""
REQUEST_SECONDS = 20.0
"""A connection has to send the whole head of a request within this time."""


def limit() -> int:
    """How many connections this process may have; raises its limit of open files for them."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_CONNECTIONS + SPARE
    if hard != resource.RLIM_INFINITY:
        most = min(hard, most)
    if 0 <= soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - SPARE, 64)


class Tidier:
    """Closes connections that send no request, and idle ones where many are open."""

    def __init__(self, *, most: int, request_seconds: float = REQUEST_SECONDS) -> None:
        self._crowd = most // 2
        self._request_seconds = request_seconds
        self._since: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def tidy(self, connections: Collection[Any]) -> None:
        """Look at uvicorn's connections once; to be called every second or so."""
        now = time.monotonic()
        crowded = len(connections) > self._crowd
        for connection in list(connections):
            if not _is_waiting(connection):
                self._since.pop(connection, None)
            elif connection.timeout_keep_alive_task is not None:
                if crowded:
                    connection.transport.close()
            elif now - self._since.setdefault(connection, now) > self._request_seconds:
                connection.transport.close()


def _is_waiting(connection: Any) -> bool:
    """Whether no request of the connection is being answered."""
    return connection.cycle is None or connection.cycle.response_complete
