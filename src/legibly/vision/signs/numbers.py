"""Texts with their separators: 7.5, 12/03/2024, -5."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from legibly import records
from legibly.images.decode import Picture
from legibly.labels import rules
from legibly.vision.opinions import Candidate
from legibly.vision.signs import marks, separators

MIN_SLASH = 0.36
"""Least sum of lean and excess height, both as shares, of a stroke that is a slash."""
Lines = Sequence[Sequence[Candidate]]
"""The digits of each row."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of a row, and the blank before it, if any."""

    item: records.Item
    blank: str = ""


def with_separators(
    reading: records.Reading, picture: Picture, lines: Lines, *, read: float
) -> records.Reading:
    """The reading with separators in its text; `read` is the threshold of the verdict `read`.

    `lines` are the candidates of its digits. Rows are joined by a space, since `/` is a sign here.
    A reading without a text is returned unchanged.
    """
    rows = _rows(reading)
    if not rows:
        return reading
    strokes = {reading.digits[index].box for index in slashes(lines)}
    for row in rows:
        row[:] = [_slash(entry) if entry.item.box in strokes else entry for entry in row]
    for item in reading.items:
        if item.kind == "separator" and item.label == "/":  # a leaning stroke among upright 1s
            _insert(min(rows, key=functools.partial(_distance, item)), item)
    _insert_marks(rows, picture)
    items = [entry.item for row in rows for entry in row]
    signs = [item for item in items if item.kind == "separator"]
    confidence = reading.confidence * float(np.prod([item.confidence for item in signs]))
    is_sure = reading.verdict == "read" and confidence >= read
    text = " ".join("".join(entry.blank + entry.item.label for entry in row) for row in rows)
    return replace(
        reading,
        text=rules.canonical_number(text),
        confidence=round(confidence, 6),
        verdict="read" if is_sure else "unsure",
        items=(*(item for item in items if item.kind == "digit"), *signs),
        keeps="numbers",
    )


def _insert_marks(rows: Sequence[list[Entry]], picture: Picture) -> None:
    """Find the points, commas, dashes and colons of each row."""
    boxes = [[_corners(entry.item.box, picture.scale) for entry in row] for row in rows]
    for row, row_marks in zip(rows, marks.find(picture.pixels, boxes), strict=True):
        for mark in row_marks:
            _insert(row, _item(mark, picture.scale))


def _corners(box: records.Box, scale: float) -> separators.Box:
    left, top, width, height = box
    right = left + width
    bottom = top + height
    return (
        round(left / scale),
        round(top / scale),
        max(round(right / scale), round(left / scale) + 1),
        max(round(bottom / scale), round(top / scale) + 1),
    )


def _item(mark: separators.Separator, scale: float) -> records.Item:
    left, top, right, bottom = mark.box
    box = (
        round(left * scale),
        round(top * scale),
        max(1, round((right - left) * scale)),
        max(1, round((bottom - top) * scale)),
    )
    return _separator(box, mark.label)


def _slash(entry: Entry) -> Entry:
    return Entry(_separator(entry.item.box, "/"))


def _separator(box: records.Box, label: str) -> records.Item:
    return records.Item(
        box=box,
        label=label,
        confidence=separators.MARK_CONFIDENCE,
        probabilities={},
        kind="separator",
    )


def _rows(reading: records.Reading) -> list[list[Entry]]:
    """The digits of each row; empty if the text has other characters."""
    digits = iter(reading.digits)
    rows: list[list[Entry]] = []
    for line in reading.text.split("/"):
        row: list[Entry] = []
        rest = line
        while rest:
            item = next(digits, None)
            blank = " " if rest.startswith(" ") else ""
            rest = rest.removeprefix(blank)
            if item is None or not rest.startswith(item.label):
                return []
            rest = rest.removeprefix(item.label)
            row.append(Entry(item, blank))
        rows.append(row)
    return [row for row in rows if row] if next(digits, None) is None else []


def slashes(lines: Lines) -> set[int]:
    """The indexes, counted through all rows, of strokes between digits that lean or rise enough to
    be slashes.
    """
    result: set[int] = set()
    start = 0
    for row in lines:
        heights = [item.box[3] - item.box[1] for item in row]
        for index in range(1, len(row) - 1):
            stroke = separators.stroke_of(row[index].crop)
            if stroke is None or stroke.lean > -separators.UPRIGHT_LEAN:
                continue
            others = [*heights[:index], *heights[index + 1 :]]
            tall = heights[index] / float(np.median(others))
            if tall - 1.0 - stroke.lean > MIN_SLASH:
                result.add(start + index)
        start += len(row)
    return result


def _insert(row: list[Entry], mark: records.Item) -> None:
    """Put a separator between the items of its row, in the place of a blank there."""
    place = sum(_middle(entry.item) < _middle(mark) for entry in row)
    blank = ""
    if place < len(row):
        blank = row[place].blank
        row[place] = replace(row[place], blank="")
    row.insert(place, Entry(mark, blank))


def _distance(mark: records.Item, row: list[Entry]) -> float:
    """The distance from a mark to the nearest item of a row, in pixels."""
    return min(
        abs(_middle(entry.item) - _middle(mark))
        + abs(entry.item.box[1] + entry.item.box[3] / 2 - mark.box[1] - mark.box[3] / 2)
        for entry in row
    )


def _middle(item: records.Item) -> float:
    return item.box[0] + item.box[2] / 2
