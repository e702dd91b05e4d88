"""The report's charts as SVG, the same in the app's page and in the HTML report.

Each is tooltip by one sentence; a table beside it has the numbers. A chart with too little data
is None.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from legibly.accuracy.render import svg
from legibly.accuracy.report import Report
from legibly.statistics import percent as percents

WIDTH = 400
HEIGHT = 230
MAX_CLASSES = 100
MIN_COUNT = 5
"""Bins with fewer pairs are left out, since their interval is too wide to be of use."""
_MAX_DOTS = 60
_ROW = 18
_MAX_NAME = 24
_NOTE = 52
"""The width of a note such as "≥ 99.9 %"."""
_NAMED = (0, 0.9, 0.99, 0.999)
"""Thresholds that are labelled beside their dots."""


class Locale(NamedTuple):
    """The language of a chart: the translation of its sentences, and the decimal point."""

    gettext: Callable[[str], str] = str
    point: str = "."

    def percent(self, share: float, digits: int = 1) -> str:
        """Format a share as a percentage."""
        return percents.percent(share, digits, point=self.point)

    def tooltip(self, row: Mapping[str, Any], name: str) -> str:
        """A name with its value and interval, for the tooltip."""
        return (
            f"{name}: {self.percent(row['value'])} ({self.percent(row['low'])} –"
            f" {self.percent(row['high'])})"
        )


ENGLISH = Locale()


def draw_all(report: Report, locale: Locale = ENGLISH) -> dict[str, str | None]:
    """Charts by name: `calibration`, `histogram`, `selective`, `by_day`, `classes`, `by_model`."""
    makers = (calibration, histogram, selective, by_day, classes, by_model)
    return {make.__name__: make(report, locale) for make in makers}


def calibration(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Reliability diagram: accuracy against confidence, with intervals."""
    bins = [row for row in report["calibration"]["bins"] if row["n"] >= MIN_COUNT]
    if not bins:
        return None
    gettext = locale.gettext
    label = gettext(
        "Accuracy against confidence in {bins} ranges; on average they differ by {ece}."
    ).format(bins=len(bins), ece=locale.percent(report["calibration"]["ece"]))
    # The axes begin at the data: a good model has no data below.
    start = _start(min(min(row["confidence"], row["low"]) for row in bins))
    ticks = svg.share_ticks(start, 1, point=locale.point)
    x = svg.Axis(start, 1, 56, 56 + HEIGHT, ticks, gettext("confidence"))
    y = svg.Axis(start, 1, 8 + HEIGHT, 8, ticks, gettext("accuracy"))
    points = []
    for row in bins:
        tooltip = locale.tooltip(_as_share(row), locale.percent(row["confidence"]))
        points.append(svg.Point(row["confidence"], *_ends(row), tooltip))
    diagonal = svg.line([(x.start, y.start), (x.stop, y.stop)], colour=svg.MUTED, dashed=True)
    return svg.draw(diagonal + svg.vertical_intervals(points, x=x, y=y), x=x, y=y, label=label)


def histogram(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Confidence of right answers (upwards) and wrong answers (downwards), on separate scales,
    since there are many more right ones.
    """
    bins = report["histogram"]
    right = sum(row["right"] for row in bins)
    wrong = sum(row["wrong"] for row in bins)
    if not right:
        return None
    gettext = locale.gettext
    label = gettext("How sure {right} right answers and {wrong} wrong ones were.").format(
        right=f"{right:,}", wrong=f"{wrong:,}"
    )
    names = [f"{100 * row['from']:g}".replace(".", locale.point) for row in bins]
    ticks = [svg.Tick(at, name) for at, name in enumerate(names)]
    x = svg.Axis(-0.5, len(bins) - 0.5, 64, WIDTH, ticks, gettext("confidence, from … per cent"))
    words = [svg.Tick(0.5, gettext("right")), svg.Tick(-0.5, gettext("wrong"))]
    y = svg.Axis(-1.2, 1.2, 8 + HEIGHT, 8, words)
    most_right = max(row["right"] for row in bins)
    most_wrong = max(row["wrong"] for row in bins) or 1
    columns = []
    for at, row in enumerate(bins):
        columns.append(svg.Column(at, row["right"] / most_right, f"{row['right']:,}"))
        columns.append(svg.Column(at, -row["wrong"] / most_wrong, f"{row['wrong']:,}"))
    return svg.draw(svg.columns(columns, x=x, y=y), x=x, y=y, label=label)


def selective(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Coverage and accuracy of the answers at or above each confidence."""
    rows = [row for row in report["selective"] if row["pairs"] >= MIN_COUNT]
    rows = [row for row in rows if row["accuracy"] is not None]
    if len(rows) < 2:
        return None
    gettext = locale.gettext
    label = _selective_label(rows[0], rows[-1], locale)
    lowest = min(row["coverage"] for row in rows)
    lowest = min(0.9, int(lowest * 10) / 10)
    ticks = svg.share_ticks(lowest, 1, point=locale.point)
    x = svg.Axis(lowest, 1, 56, WIDTH, ticks, gettext("share answered"))
    y = _share_axis(min(row["low"] for row in rows), gettext("share right"), locale)
    points = []
    names = {}
    for row in rows:
        name = f"≥ {100 * row['threshold']:.4g} %".replace(".", locale.point)
        names[row["threshold"]] = name
        tooltip = locale.tooltip(_as_share(row), name)
        points.append(svg.Point(row["coverage"], *_ends(row), tooltip))
    marks = svg.line((x.at(point.place), y.at(point.value)) for point in points)
    marks += svg.vertical_intervals(points, x=x, y=y)
    marks += _threshold_notes(rows, names, x, y)
    return svg.draw(marks, x=x, y=y, label=label)


def _threshold_notes(
    rows: Sequence[Mapping[str, Any]], names: Mapping[float, str], x: svg.Axis, y: svg.Axis
) -> str:
    """The confidences below their points; one that would lie over its neighbour is left out."""
    notes = ""
    last: float | None = None
    for row in rows:
        place = min(max(x.at(row["coverage"]), x.start + 28), x.stop - 28)
        if row["threshold"] not in _NAMED or (last is not None and abs(place - last) < _NOTE):
            continue
        last = place
        notes += svg.note(place, min(y.at(row["low"]) + 14, y.start - 4), names[row["threshold"]])
    return notes


def _selective_label(first: Mapping[str, Any], last: Mapping[str, Any], locale: Locale) -> str:
    sentence = locale.gettext("{coverage} answered and {accuracy} of these right")
    ends = [
        sentence.format(
            coverage=locale.percent(row["coverage"]), accuracy=locale.percent(row["accuracy"], 2)
        )
        for row in (first, last)
    ]
    label = locale.gettext("Only sure answers: {first}; {last}.")
    return label.format(first=ends[0], last=ends[1])


def by_day(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Accuracy by day with its interval; days with too few pairs are left out."""
    rows = [{"day": row["day"], **row["accuracy"]} for row in report["by_day"] if row["enough"]]
    if len(rows) < 2:
        return None
    low = min(rows, key=_value)
    high = max(rows, key=_value)
    label = locale.gettext(
        "Accuracy on {days} days, from {low} on {worst} to {high} on {best}."
    ).format(
        days=len(rows),
        low=locale.percent(low["value"]),
        worst=low["day"],
        high=locale.percent(high["value"]),
        best=high["day"],
    )
    days = [date.fromisoformat(row["day"]) for row in rows]
    x = svg.Axis(days[0].toordinal(), days[-1].toordinal(), 56, WIDTH, _dates(days[0], days[-1]))
    y = _share_axis(min(row["low"] for row in rows), locale.gettext("share right"), locale)
    points = [
        svg.Point(
            day.toordinal(), row["value"], row["low"], row["high"], locale.tooltip(row, row["day"])
        )
        for day, row in zip(days, rows, strict=True)
    ]
    draw = svg.vertical_intervals if len(rows) <= _MAX_DOTS else svg.band
    return svg.draw(draw(points, x=x, y=y), x=x, y=y, label=label)


def classes(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Recall of each class, with intervals."""
    rows = [{"name": row["label"], **row["recall"]} for row in report["classes"] if row["enough"]]
    if not rows or len(rows) > MAX_CLASSES:
        return None
    nothing = locale.gettext("(nothing)")
    rows = [{**row, "name": row["name"] or nothing} for row in rows]
    worst = min(rows, key=_value)
    label = locale.gettext(
        "Recall of {classes} classes; the lowest is {name} with {value}."
    ).format(classes=len(rows), name=worst["name"], value=locale.percent(worst["value"]))
    return _chart_by_name(rows, label, locale.gettext("recall"), locale)


def by_model(report: Report, locale: Locale = ENGLISH) -> str | None:
    """Compare models, if there are several."""
    rows = [
        {"name": row["model"], **row["accuracy"]} for row in report["by_model"] if row["enough"]
    ]
    if len(rows) < 2:
        return None
    best = max(rows, key=_value)
    label = locale.gettext(
        "Accuracy of {models} models; the highest is {name} with {value}."
    ).format(models=len(rows), name=best["name"], value=locale.percent(best["value"]))
    return _chart_by_name(rows, label, locale.gettext("share right"), locale)


def _chart_by_name(
    rows: Sequence[Mapping[str, Any]], label: str, title: str, locale: Locale
) -> str:
    """One row per name, with its interval."""
    names = [_short(row["name"]) for row in rows]
    low = _start(min(row["low"] for row in rows))
    left = max(24.0, svg.width_of(names) + 10)
    shares = svg.share_ticks(low, 1, point=locale.point)
    x = svg.Axis(low, 1, left, max(WIDTH, left + 200), shares, title)
    ticks = [svg.Tick(place, name) for place, name in enumerate(names)]
    y = svg.Axis(-0.5, len(rows) - 0.5, 8, 8 + _ROW * len(rows), ticks)
    points = [
        svg.Point(place, row["value"], row["low"], row["high"], locale.tooltip(row, row["name"]))
        for place, row in enumerate(rows)
    ]
    return svg.draw(svg.horizontal_intervals(points, x=x, y=y), x=x, y=y, label=label)


def _share_axis(low: float, title: str, locale: Locale) -> svg.Axis:
    """A vertical axis in percent from a round number below `low` to 1."""
    start = _start(low)
    return svg.Axis(start, 1, 8 + HEIGHT, 8, svg.share_ticks(start, 1, point=locale.point), title)


def _start(low: float) -> float:
    return (
        0.0 if low < 0.5 else int(low * 10) / 10 if low < 0.9 else min(int(low * 100) / 100, 0.99)
    )


def _dates(first: date, last: date) -> list[svg.Tick]:
    """Up to six days or starts of months."""
    span = (last - first).days
    if span <= 62:
        step = max(1, -(-span // 5))
        days = [
            date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1, step)
        ]
        return [svg.Tick(day.toordinal(), f"{day:%m-%d}") for day in days]
    months = first.year * 12 + first.month, last.year * 12 + last.month - 1
    step = -(-(months[1] - months[0] + 1) // 6)
    starts = [
        date(month // 12, month % 12 + 1, 1) for month in range(months[0], months[1] + 1, step)
    ]
    return [svg.Tick(day.toordinal(), f"{day:%Y-%m}") for day in starts]


def _ends(row: Mapping[str, Any]) -> tuple[float, float, float]:
    return row["accuracy"], row["low"], row["high"]


def _as_share(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"value": row["accuracy"], "low": row["low"], "high": row["high"]}


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def _value(row: Mapping[str, Any]) -> float:
    return float(row["value"])
