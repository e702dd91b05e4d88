"""Charts as SVG text: axes, dots with intervals, lines and bands, in the colours of the surrounding
page.

Colours are CSS variables (`--ink`, `--muted`, `--line`, `--accent`) with a fallback, so that a
chart follows light, dark and print. A chart has one sentence as its `aria-label`; each mark has a
tooltip. Lengths are in units of the drawing, which scales with the page.
"""

import html
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

INK = "var(--ink, #1b1a17)"
MUTED = "var(--muted, #5b5850)"
LINE = "var(--line, #dcd7ca)"
ACCENT = "var(--accent, #1f4e9e)"
RIVAL = "var(--rival, #a84b00)"
MAX_SCALE = 1.3
"""Largest magnification on a wide page, so that text sized for a phone does not become huge
there.
"""
_LETTER = 7.4
"""Rough width of a letter; fonts are not measured."""
_STEPS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)


class Tick(NamedTuple):
    """A value on an axis and its text."""

    value: float
    text: str


class Axis(NamedTuple):
    """Values from `low` to `high`, drawn from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    ticks: Sequence[Tick]
    title: str = ""

    def at(self, value: float) -> float:
        """The position of a value, clamped to the axis."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + (self.stop - self.start) * min(1.0, max(0.0, share))


class Point(NamedTuple):
    """A value and its interval at a place on the other axis, with a tooltip."""

    place: float
    value: float
    low: float
    high: float
    title: str


class Column(NamedTuple):
    """A bar from 0 to a value at a place on the other axis, and its figure."""

    place: float
    value: float
    text: str


def share_ticks(low: float, high: float, *, most: int = 6, point: str = ".") -> list[Tick]:
    """Round percentages between two shares."""
    step = next(
        (step for step in reversed(_STEPS) if (high - low) / step <= most - 1 + 1e-9), _STEPS[0]
    )
    first = -int(-(low / step - 1e-9) // 1)
    digits = max(0, len(f"{100 * step:.4f}".rstrip("0").partition(".")[2]))
    values = itertools.takewhile(
        lambda value: value <= high + 1e-9, (n * step for n in itertools.count(first))
    )
    return [Tick(value, f"{100 * value:.{digits}f} %".replace(".", point)) for value in values]


def width_of(texts: Iterable[str]) -> float:
    """The width of the longest of some texts."""
    return _LETTER * max(map(len, texts), default=0)


def vertical_intervals(points: Iterable[Point], *, x: Axis, y: Axis) -> str:
    """Dots with vertical intervals."""
    return "".join(
        _interval(point, (x.at(point.place), y.at(point.low)), f"V{_number(y.at(point.high))}")
        + f"{_dot(x.at(point.place), y.at(point.value))}</g>"
        for point in points
    )


def horizontal_intervals(points: Iterable[Point], *, x: Axis, y: Axis) -> str:
    """Dots with horizontal intervals."""
    return "".join(
        _interval(point, (x.at(point.low), y.at(point.place)), f"H{_number(x.at(point.high))}")
        + f"{_dot(x.at(point.value), y.at(point.place))}</g>"
        for point in points
    )


def _interval(point: Point, start: tuple[float, float], line: str) -> str:
    """The beginning of a group: its tooltip, and a line from `start`."""
    path = f"M{_number(start[0])} {_number(start[1])}{line}"
    return (
        f'<g><title>{_esc(point.title)}</title><path d="{path}" stroke="{ACCENT}"'
        ' stroke-width="2"/>'
    )


def columns(bars: Sequence[Column], *, x: Axis, y: Axis) -> str:
    """Bars up from 0 and, in the colour of errors, down, each with its figure; skips empty bars."""
    half = 0.38 * (x.at(1) - x.at(0))
    base = y.at(0)
    marks = f'<path d="M{_number(x.start)} {_number(base)}H{_number(x.stop)}" stroke="{MUTED}"/>'
    for bar in bars:
        if bar.value:
            end = y.at(bar.value)
            colour = ACCENT if bar.value > 0 else RIVAL
            left = _number(x.at(bar.place) - half)
            marks += (
                f'<rect x="{left}" y="{_number(min(base, end))}" width="{_number(2 * half)}"'
                f' height="{_number(max(1.0, abs(end - base)))}" fill="{colour}"/>'
            )
            marks += note(x.at(bar.place), end - 4 if bar.value > 0 else end + 13, bar.text)
    return marks


def band(points: Sequence[Point], *, x: Axis, y: Axis) -> str:
    """The intervals as one area, with the line of values on top."""
    there = [(x.at(point.place), y.at(point.high)) for point in points]
    back = [(x.at(point.place), y.at(point.low)) for point in reversed(points)]
    area = f'<path d="{_path([*there, *back])}Z" fill="{ACCENT}" fill-opacity=".25"/>'
    return area + line([(x.at(point.place), y.at(point.value)) for point in points])


def line(
    places: Iterable[tuple[float, float]], *, colour: str = ACCENT, dashed: bool = False
) -> str:
    """A line through points of the drawing."""
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<path d="{_path(places)}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'


def note(x: float, y: float, text: str) -> str:
    """A text beside a mark."""
    return _centred(text, x, y, MUTED)


def draw(marks: str, *, x: Axis, y: Axis, label: str) -> str:
    """The whole chart: its description, axes and marks."""
    width = x.stop + 24
    height = max(y.start, y.stop) + (38 if x.title else 22)
    style = f"max-width:{MAX_SCALE * width:.0f}px;width:100%;height:auto"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_esc(label)}"'
        f' style="{style}"'
        f' viewBox="0 0 {_number(width)} {_number(height)}" font-family="system-ui, sans-serif"'
        ' font-size="12">'
        f"{_horizontal_axis(x, y)}{_vertical_axis(x, y)}{marks}</svg>"
    )


def _horizontal_axis(x: Axis, y: Axis) -> str:
    """The grid lines and texts of the horizontal axis."""
    top, bottom = sorted((y.start, y.stop))
    words = "".join(note(x.at(tick.value), bottom + 16, tick.text) for tick in x.ticks)
    lines = "".join(
        f"M{_number(x.at(tick.value))} {_number(top)}V{_number(bottom)}" for tick in x.ticks
    )
    title = _title(x.title, (x.start + x.stop) / 2, bottom + 32) if x.title else ""
    return f'<path d="{lines}" stroke="{LINE}" stroke-width=".5"/>{words}{title}'


def _vertical_axis(x: Axis, y: Axis) -> str:
    """The grid lines and texts of the vertical axis."""
    words = "".join(
        f'<text x="{_number(x.start - 6)}" y="{_number(y.at(tick.value) + 4)}" text-anchor="end"'
        f' fill="{MUTED}">'
        f"{_esc(tick.text)}</text>"
        for tick in y.ticks
    )
    lines = "".join(
        f"M{_number(x.start)} {_number(y.at(tick.value))}H{_number(x.stop)}" for tick in y.ticks
    )
    middle = (y.start + y.stop) / 2
    title = (
        f'<g transform="rotate(-90 11 {_number(middle)})">{_title(y.title, 11, middle)}</g>'
        if y.title
        else ""
    )
    return f'<path d="{lines}" stroke="{LINE}" stroke-width=".5"/>{words}{title}'


def _title(text: str, x: float, y: float) -> str:
    return _centred(text, x, y, INK)


def _centred(text: str, x: float, y: float, colour: str) -> str:
    place = f'x="{_number(x)}" y="{_number(y)}"'
    return f'<text {place} text-anchor="middle" fill="{colour}">{_esc(text)}</text>'


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{_number(x)}" cy="{_number(y)}" r="3.5" fill="{ACCENT}"/>'


def _path(places: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in places)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _esc(text: str) -> str:
    return html.escape(text)
