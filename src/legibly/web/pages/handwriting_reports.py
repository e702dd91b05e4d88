"""Caches handwriting reports until an image of their writer changes.

A report on thousands of digits takes a second: it is computed once, in the background if a page
does not wait for it.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from legibly.errors import LegiblyError
from legibly.exchange import exports
from legibly.handwriting import advice, report
from legibly.index.port import Filter
from legibly.web.services import State

MAX_IMAGES = 2000
_MAX_REPORTS = 256
_Report = dict[str, Any]
_Stamp = tuple[int, int, str]
_Entry = tuple[_Stamp, "Future[tuple[_Report, _Stamp]]"]


class HandwritingReports:
    """Reports by project and filter; thread-safe: one thread computes each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: OrderedDict[tuple[str, Filter], _Entry] = OrderedDict()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="handwriting")

    def get(
        self,
        state: State,
        image_filter: Filter,
        *,
        classes: list[str],
        sure: float,
        seconds: float | None = None,
    ) -> _Report | None:
        """The report on these images; None if it is not ready within `seconds`."""
        stamp = _stamp(state, image_filter)
        key = (state.settings.project, image_filter)
        with self._lock:
            entry = self._reports.pop(key, None)
            if entry is None or entry[0] != stamp:
                compute = self._task(state, image_filter, classes, sure)
                entry = (stamp, self._pool.submit(compute))
            self._reports[key] = entry
            while len(self._reports) > _MAX_REPORTS:
                self._reports.popitem(last=False)
        try:
            legibility, stamp_after = entry[1].result(timeout=seconds)
        except NotYet:
            return None
        except LegiblyError:
            self._forget(key, entry)
            raise
        if stamp_after != entry[0]:  # an image changed while it was computed
            self._forget(key, entry)
        return legibility

    def _forget(self, key: tuple[str, Filter], entry: _Entry) -> None:
        """Let the next request compute it again."""
        with self._lock:
            if self._reports.get(key) is entry:
                del self._reports[key]

    @staticmethod
    def _task(
        state: State, image_filter: Filter, classes: list[str], sure: float
    ) -> Callable[[], tuple[_Report, _Stamp]]:
        def compute() -> tuple[_Report, _Stamp]:
            images = itertools.islice(exports.matching(state.index, image_filter), MAX_IMAGES)
            legibility = report.report(images, classes=classes, sure=sure)
            for row in legibility["digits"]:
                if row["read_as"]:
                    row["advice"] = _advice(state, row)
            return legibility, _stamp(state, image_filter)

        return compute


def _stamp(state: State, image_filter: Filter) -> _Stamp:
    # Another model does not change readings, but the advice depends on its view of the ink.
    return (*state.index.stamp(image_filter), str(state.views.model))


def _advice(state: State, row: _Report) -> str:
    """The advice for the least legible example that was read as that other digit, from its ink."""
    intended = row["digit"]
    read = row["read_as"]
    for example in row["worst"] + row["best"]:
        if example["read"] == read:
            try:
                data = state.store.read(state.index.get(example["image"]).key)
                return advice.pair(intended, read, state.views.inputs(data)[example["item"]])
            except (LegiblyError, IndexError):
                break
    return advice.pair(intended, read)
