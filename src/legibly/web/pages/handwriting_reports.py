"""Handwriting reports that are kept until an image of their writer changes.

A report over thousands of digits takes a second: it is computed once, in the background where a
page does not want to wait for it.
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

MOST_IMAGES = 2000
_MOST_REPORTS = 256
_Report = dict[str, Any]
_Stamp = tuple[int, int, str]


class HandwritingReports:
    """Reports by project and filter; safe for threads, one thread computes each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: OrderedDict[tuple[str, Filter], tuple[_Stamp, Future[_Report]]]
        self._reports = OrderedDict()
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
        """The report of these images; None where it is not there within `seconds`."""
        # Another model reads nothing anew, but what it says of ink goes into the advice.
        stamp = (*state.index.stamp(image_filter), str(state.views.model))
        key = (state.settings.project, image_filter)
        with self._lock:
            entry = self._reports.pop(key, None)
            if entry is None or entry[0] != stamp:
                compute = self._task(state, image_filter, classes, sure)
                entry = (stamp, self._pool.submit(compute))
            self._reports[key] = entry
            while len(self._reports) > _MOST_REPORTS:
                self._reports.popitem(last=False)
        try:
            return entry[1].result(timeout=seconds)
        except NotYet:
            return None
        except LegiblyError:
            with self._lock:  # the next request tries again
                self._reports.pop(key, None)
            raise

    @staticmethod
    def _task(
        state: State, image_filter: Filter, classes: list[str], sure: float
    ) -> Callable[[], _Report]:
        def compute() -> _Report:
            images = itertools.islice(exports.matching(state.index, image_filter), MOST_IMAGES)
            legibility = report.report(images, classes=classes, sure=sure)
            for row in legibility["digits"]:
                if row["read_as"]:
                    row["advice"] = _advice(state, row)
            return legibility

        return compute


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
