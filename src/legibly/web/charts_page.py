"""What the accuracy page shows of a report: charts, tables and their groups."""

from typing import Any

Report = dict[str, Any]


def sections(report: Report) -> dict[str, Any]:
    """The values of `accuracy.html` beside the report itself; charts are SVG by name, where they can be drawn."""
    groups = [
        ("day", report["by_day"], "day"),
        ("model", report["by_model"], "model"),
        ("source", report["by_source"], "source"),
    ]
    classes = [row for row in report["classes"] if len(row["label"]) == 1]
    charts = dict.fromkeys(("calibration", "selective", "by_day"))
    return {"charts": charts, "groups": groups, "classes": classes or report["classes"][:40]}
