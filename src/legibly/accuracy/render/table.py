"""The report as one CSV table for spreadsheets, with one row per figure."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from legibly.accuracy.report import Report

COLUMNS = ("section", "name", "pairs", "value", "low", "high")
_Row = tuple[str, str, Any, Any, Any, Any]


def encode(report: Report) -> bytes:
    """The table as CSV in UTF-8, with a byte order mark for spreadsheets."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(rows(report))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def rows(report: Report) -> Iterator[_Row]:
    """The totals, then every group of the report."""
    estimate = report["estimate"]
    nothing = report["false_digits"]
    yield _share("total", "accuracy", report["pairs"], report["accuracy"])
    yield _share("total", "estimate", estimate["pairs"], estimate["accuracy"])
    yield _share("total", "false_digits", nothing["images"], nothing)
    yield "total", "macro_f1", report["pairs"], report["macro_f1"], None, None
    ece = report["calibration"]["ece"]
    yield "total", "expected_calibration_error", report["pairs"], ece, None, None
    for row in report["classes"]:
        for figure in ("recall", "precision"):
            yield _share(figure, row["label"] or "∅", row["support"], row[figure])
    for row in report["calibration"]["bins"]:
        share = {"value": row["accuracy"], "low": row["low"], "high": row["high"]}
        yield _share("calibration", f"{row['from']:g}-{row['to']:g}", row["n"], share)
    for row in report["selective_curve"]:
        share = {"value": row["accuracy"], "low": row["low"], "high": row["high"]}
        yield _share("accuracy_from", f"{row['threshold']:g}", row["pairs"], share)
    for group, key in (("day", "by_day"), ("model", "by_model"), ("source", "by_source")):
        for row in report[key]:
            yield _share(group, str(row[group]), row["pairs"], row["accuracy"])
    for row in report["confused"]:
        name = f"{row['actual'] or '∅'} read as {row['predicted'] or '∅'}"
        yield "confused", name, row["n"], None, None, None


def _share(section: str, name: str, pairs: int, share: Mapping[str, Any]) -> _Row:
    return section, name, pairs, share["value"], share["low"], share["high"]
