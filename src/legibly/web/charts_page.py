"""What the accuracy page shows of a report: charts, tables and their groups."""

import threading
from typing import Any

from legibly.accuracy import charts
from legibly.accuracy.report import Report

_ENOUGH = 30
"""Charts of fewer pairs would show little but their intervals."""
_CHARTS = ("calibration", "selective", "by_day")


class Drawn:
    """The charts of the newest report that was asked for: drawing takes a while, looking again shall not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report: Report | None = None
        self._charts: dict[str, str | None] = {}

    def of(self, report: Report) -> dict[str, str | None]:
        """SVG by name; None where there is too little to draw."""
        with self._lock:
            if self._report is not report:
                self._charts, self._report = charts.all_of(report), report
            return self._charts


def sections(report: Report, drawn: Drawn) -> dict[str, Any]:
    """The values of `accuracy.html` beside the report itself."""
    groups = [
        ("day", report["by_day"], "day"),
        ("model", report["by_model"], "model"),
        ("source", report["by_source"], "source"),
    ]
    classes = [row for row in report["classes"] if len(row["label"]) == 1]
    shown = drawn.of(report) if report["pairs"] >= _ENOUGH else dict.fromkeys(_CHARTS)
    return {"charts": shown, "groups": groups, "classes": classes or report["classes"][:40]}
