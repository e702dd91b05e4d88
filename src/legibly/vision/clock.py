"""Milliseconds by stage, for readings and benchmarks."""

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Times consecutive stages; time counted aside in a stage is not counted twice."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()
        self._aside = 0.0

    def stop(self, stage: str) -> None:
        """Count the time since the last stop for `stage`, without time counted aside."""
        present = time.perf_counter()
        self.milliseconds[stage] = round((present - self._last - self._aside) * 1000, 3)
        self._last = present
        self._aside = 0.0

    @contextlib.contextmanager
    def aside(self, stage: str) -> Iterator[None]:
        """Count a `with` block for another stage."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        self._aside += seconds
        self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + seconds * 1000, 3)
