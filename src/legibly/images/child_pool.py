"""A few child processes that decode pictures, each replaced after a crash or a broken limit.

The children share only two pipes with this process (`child.py` has the other ends): AWS Lambda
lacks shared memory and semaphores. They are started by exec, never by fork, since this process has
threads.
"""

import atexit
import functools
import os
import queue
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from legibly import errors
from legibly.images import limits, wire
from legibly.images.raster import Facts, Picture, Pixels
from legibly.telemetry.measures import measure

CHILDREN = 2
"""Number of decoders; limits the memory, since each may use `limits.memory_bytes`."""
WALL_SECONDS = 20.0
_TRIES = 2


class _ChildError(Exception):
    """The child ended while it had work."""


class _Child:
    """One child process, used by one thread at a time."""

    def __init__(self) -> None:
        # The same module path as here, however it was set.
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # The arena of each thread counts against the limit on address space.
        environ |= {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
        environ[limits.MEMORY] = str(limits.memory_bytes)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "legibly.images.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
        )

    def ask(self, header: dict[str, Any], data: bytes, *, seconds: float) -> tuple[Any, bytes]:
        """Send one job and return its answer. Raises _ChildError."""
        if self._process.stdin is None or self._process.stdout is None:
            raise _ChildError("it has no pipes")
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(seconds, expire)
        timer.start()
        try:
            wire.send(self._process.stdin, header, data)
            return wire.receive(self._process.stdout)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            reason = f"took more than {seconds:g} s" if expired.is_set() else "ended its process"
            raise _ChildError(reason) from error
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    continue  # nobody reads the remaining output


class ChildPool:
    """Decodes in child processes; thread-safe: threads wait for a free child."""

    def __init__(self, *, children: int = CHILDREN, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall_seconds = wall_seconds
        self._slots: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(children):
            self._slots.put(None)

    def probe(self, data: bytes, *, max_pixels: int) -> Facts:
        """Do `raster.probe` in a child."""
        answer, _ = self._run({"verb": "probe", "max_pixels": max_pixels}, data)
        return Facts(*answer["facts"])

    def decode(self, data: bytes, *, max_pixels: int, enough_pixels: int) -> Picture:
        """Do `raster.decode` in a child."""
        header = {"verb": "decode", "max_pixels": max_pixels, "enough_pixels": enough_pixels}
        answer, payload = self._run(header, data)
        pixels = np.frombuffer(bytearray(payload), np.uint8).reshape(answer["shape"])
        return Picture(pixels, answer["scale"], Facts(*answer["facts"]))

    def count_pages(self, data: bytes) -> int:
        """Count the pages of a PDF. Raises Unusable."""
        answer, _ = self._run({"verb": "count"}, data)
        return int(answer["count"])

    def page(self, data: bytes, number: int, *, max_pixels: int) -> Pixels:
        """Page `number` of a PDF, or directory `number` of a TIFF, counted from 0: (H, W) grey or
        (H, W, 3) RGB, uint8. Raises Unusable.
        """
        header = {"verb": "page", "page": number, "max_pixels": max_pixels}
        answer, payload = self._run(header, data)
        return np.frombuffer(payload, np.uint8).reshape(answer["shape"])

    def close(self) -> None:
        """End the idle children."""
        for _ in range(self._slots.qsize()):
            child = self._slots.get()
            if child:
                child.close()
            self._slots.put(None)

    def _run(self, header: dict[str, Any], data: bytes) -> tuple[Any, bytes]:
        child = self._slots.get()
        try:
            for attempt in range(1, _TRIES + 1):
                child = child or _Child()
                try:
                    answer, payload = child.ask(header, data, seconds=self._wall_seconds)
                    break
                except _ChildError as error:
                    child = None
                    measure("decoder_ends")
                    if attempt == _TRIES:
                        raise errors.Unusable(
                            "the picture is damaged: its decoder {reason}, twice.",
                            code="decoder-crashed",
                            reason=str(error),
                            remedy="Save it again, as PNG or JPEG.",
                        ) from error
        except OSError as error:  # no process can be started: not the fault of the picture
            raise errors.Unavailable(
                "no decoder can be started: {problem}.",
                code="no-decoder",
                problem=error.strerror or "",
            ) from error
        finally:
            self._slots.put(child)
        if "error" in answer:
            raise wire.error_from(answer["error"])
        return answer, payload


_shape = {"children": CHILDREN, "wall_seconds": WALL_SECONDS}


def configure(*, children: int, wall_seconds: float, memory_bytes: int) -> None:
    """Set the limits of this process's pool, before its first use."""
    _shape.update(children=children, wall_seconds=wall_seconds)
    limits.memory_bytes = memory_bytes


@functools.cache
def shared() -> ChildPool:
    """The pool of this process, created at its first use."""
    pool = ChildPool(children=int(_shape["children"]), wall_seconds=_shape["wall_seconds"])
    atexit.register(pool.close)
    return pool
