"""What the accuracy page shows of a report: charts, tables and their groups."""

from collections.abc import Callable
from typing import Any

from legibly.accuracy.render import charts
from legibly.accuracy.report import Report
from legibly.statistics import drift

_ENOUGH = 30
"""Charts of fewer pairs would show little but their intervals."""


def sections(report: Report) -> dict[str, Any]:
    """The values of `accuracy.html` beside the report itself."""
    groups = [
        ("day", report["by_day"], "day"),
        ("model", report["by_model"], "model"),
        ("source", report["by_source"], "source"),
    ]
    classes = [row for row in report["classes"] if len(row["label"]) == 1]
    return {
        "charts_in": lambda gettext, point: _charts(report, gettext, point),
        "groups": groups,
        "classes": classes or report["classes"][:40],
        "change": drift.change(report["drift"]),
    }


def _charts(report: Report, gettext: Callable[[str], str], point: str) -> dict[str, str | None]:
    """SVG by name in the language of the page; None where there is too little to draw."""
    drawn = charts.all_of(report, charts.Voice(gettext, point))
    return drawn if report["pairs"] >= _ENOUGH else dict.fromkeys(drawn)
