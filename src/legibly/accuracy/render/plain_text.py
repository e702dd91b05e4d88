"""The report in plain words and aligned figures, for people at a terminal."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from legibly.accuracy.report import Report
from legibly.statistics import percent as percents

Share = Mapping[str, Any]


def percent(value: float | None, digits: int = 2) -> str:
    """`97.31 %`, rounded down; a dash if nothing was counted."""
    return percents.percent(value, digits)


def headline(report: Report) -> str:
    """One sentence: `Of 1,000 pictures like these, between 962 and 981 are read right (95 %).`"""
    estimate = report["estimate"]
    share = estimate["accuracy"]
    if share["value"] is None:
        return "There are no true labels yet, so nothing is known about accuracy."
    if not estimate["enough"]:
        n = estimate["pairs"]
        labels = "1 true label" if n == 1 else f"{n} true labels"
        return f"{labels}: too few to say how often the answers are right."
    scale = 1000
    while (share["high"] - share["low"]) * scale < 4 and scale < 1_000_000:
        scale *= 10
    low = math.floor(share["low"] * scale)
    high = math.ceil(share["high"] * scale)
    return f"Of {scale:,} pictures like these, between {low:,} and {high:,} are read right (95 %)."


def lines(report: Report) -> Iterator[str]:
    """The lines of the whole table."""
    yield headline(report)
    yield report["estimate"]["why"]
    yield ""
    yield f"  pairs        {report['pairs']:>14,}"
    yield f"  right        {_share(report['accuracy'])}"
    estimate = report["estimate"]
    if estimate["basis"] == "asked":
        count = f"{estimate['pairs']:,}"
        yield f"  estimate     {_share(estimate['accuracy'])}   from {count} asked labels"
    nothing = report["false_digits"]
    if nothing["images"]:
        yield f"  false digits {_share(nothing)}   of {nothing['images']:,} images without a digit"
    ece = report["calibration"]["ece"]
    if ece is not None:
        yield f"  calibration  {percent(ece):>14}   expected calibration error"
    yield from _skipped(report)
    yield from _rows("source", report["by_source"], "source")
    yield from _rows("model", report["by_model"], "model")
    yield from _rows("day", report["by_day"][-14:], "day")
    yield from _classes(report)
    yield from _confused(report)


def _share(share: Share) -> str:
    if share["value"] is None:
        return f"{'–':>14}"
    return f"{percent(share['value']):>14}   {percent(share['low'])} to {percent(share['high'])}"


def _skipped(report: Report) -> Iterator[str]:
    names = {
        "malformed": "malformed lines",
        "no_image": "pairs without an image",
        "no_prediction": "pairs without a prediction",
    }
    for name, n in report["skipped"].items():
        if n:
            yield f"  skipped      {n:>14,}   {names.get(name, name)}"
    if report["taken_back"]:
        yield f"  taken back   {report['taken_back']:>14,}   labels"


def _rows(title: str, rows: list[Share], key: str) -> Iterator[str]:
    if rows:
        width = max(12, *(len(str(row[key])) for row in rows))
        yield ""
        yield f"  {title:<{width}} {'pairs':>12}   right, with its 95 % interval"
        for row in rows:
            tail = _share(row["accuracy"]).strip() if row["enough"] else "too few to say"
            yield f"  {row[key]!s:<{width}} {row['pairs']:>12,}   {tail}"


def _classes(report: Report) -> Iterator[str]:
    if report["classes"]:
        yield ""
        yield f"  {'class':<12} {'labels':>12} {'precision':>10} {'recall':>10} {'F1':>8}"
    for row in report["classes"][:40]:
        name = row["label"] or "(nothing)"
        figures = f"{percent(row['precision']['value']):>10} {percent(row['recall']['value']):>10}"
        f1 = "–" if row["f1"] is None else f"{row['f1']:.4f}"
        note = "" if row["enough"] else "   too few to say"
        yield f"  {name:<12} {row['support']:>12,} {figures} {f1:>8}{note}"
    if len(report["classes"]) > 40:
        yield f"  … and {len(report['classes']) - 40:,} more classes (--json has them all)"


def _confused(report: Report) -> Iterator[str]:
    if report["confused"]:
        yield ""
        yield "  most often confused"
    for row in report["confused"][:5]:
        actual, predicted = (row[name] or "(nothing)" for name in ("actual", "predicted"))
        yield f"  {actual} read as {predicted}: {row['n']:,} times"
