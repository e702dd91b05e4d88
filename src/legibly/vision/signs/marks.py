"""Separators for texts that keep them, found in the ink once the digits are known.

A mark is a small piece of ink beside the digits of a row, recognised by its shape and its place
relative to them: 0 is their top, 1 their bottom.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, paper
from legibly.vision.signs import separators
from legibly.vision.signs.separators import Box, Separator

MIN_SIZE = 0.06
"""Least size of a mark, as a share of a digit's height."""
MAX_POINT = 0.38
MAX_COMMA = 0.55
HANGING_PLACE = 0.9
"""Largest size of a comma, if its middle is below this."""
MAX_DASH = 1.0
MAX_DISTANCE = 1.0
"""Largest distance of a mark from a digit, in digit heights."""
MIN_DASH_RATIO = 1.9
"""Least ratio of width to height of a dash."""
MIN_COMMA_RATIO = 1.45
"""A comma is so many times as high as wide, or reaches `COMMA_DEPTH` below the digits."""
COMMA_DEPTH = 0.1
MIN_DARKNESS = 0.6
"""A mark is at least this share as dark as the digits."""


@dataclass(frozen=True, slots=True)
class Row:
    """Digits next to each other: their boxes, and their usual top and bottom."""

    boxes: tuple[Box, ...]
    top: float
    bottom: float

    @classmethod
    def of(cls, boxes: Sequence[Box]) -> "Row":
        """The row of some digits."""
        high = [box for box in boxes if box[3] - box[1] > 0.5 * max(b[3] - b[1] for b in boxes)]
        tops = [box[1] for box in high]
        bottoms = [box[3] for box in high]
        return cls(tuple(boxes), float(np.median(tops)), float(np.median(bottoms)))

    @property
    def height(self) -> float:
        return max(1.0, self.bottom - self.top)


def find(pixels: NDArray[np.uint8], rows: Sequence[Sequence[Box]]) -> list[list[Separator]]:
    """The marks of each row of digits; `rows` are their boxes (left, top, right, bottom)."""
    ink = paper.find_ink(pixels)
    parts = components.components(ink.mask)
    boxes = np.stack([parts.left, parts.top, parts.right, parts.bottom], axis=1)
    known = [Row.of(row) for row in rows]
    largest = max(row.height for row in known)
    peak = parts.peak(ink.values)
    sizes = np.maximum(parts.right - parts.left, parts.bottom - parts.top)
    large = sizes > 0.5 * largest
    dark = peak > MIN_DARKNESS * (float(np.median(peak[large])) if large.any() else 0.0)
    candidates = [
        _box(box)
        for box in boxes[dark & (sizes < MAX_DASH * largest)]
        if not _belongs(_box(box), known, boxes[large])
    ]
    result: list[list[Separator]] = [[] for _ in rows]
    for box in candidates:
        index = _row_of(box, known)
        label = None if index is None else _label(box, known[index])
        if index is not None and label is not None:
            result[index].append(Separator(box, label))
    return [list(separators.colons(marks)) for marks in result]


def _box(values: NDArray[np.intp]) -> Box:
    left, top, right, bottom = (int(value) for value in values)
    return left, top, right, bottom


def _belongs(box: Box, rows: Sequence[Row], large: NDArray[np.intp]) -> bool:
    """Whether a small piece is part of a digit: above or below its main piece, or the only one."""
    middle = (box[0] + box[2]) / 2
    for row in rows:
        for digit in row.boxes:
            inside = digit[0] <= middle <= digit[2] and box[1] < digit[3] and box[3] > digit[1]
            if not inside:
                continue
            mains = [
                main
                for main in large
                if min(main[2], digit[2]) > max(main[0], digit[0])
                and min(main[3], digit[3]) > max(main[1], digit[1])
            ]
            if not mains or any(main[0] - 1 <= middle <= main[2] + 1 for main in mains):
                return True
    return False


def _row_of(box: Box, rows: Sequence[Row]) -> int | None:
    """The row of a mark; None if none is near."""
    level = (box[1] + box[3]) / 2
    middle = (box[0] + box[2]) / 2
    best: tuple[float, int] | None = None
    for index, row in enumerate(rows):
        if not row.top - 0.15 * row.height < level < row.bottom + 0.35 * row.height:
            continue
        gap = min(max(digit[0] - middle, middle - digit[2], 0.0) for digit in row.boxes)
        off = abs(level - (row.top + row.bottom) / 2)
        if gap < MAX_DISTANCE * row.height and (best is None or gap + off < best[0]):
            best = (gap + off, index)
    return None if best is None else best[1]


def _label(box: Box, row: Row) -> str | None:
    wide = box[2] - box[0]
    high = box[3] - box[1]
    height = row.height
    place = ((box[1] + box[3]) / 2 - row.top) / height
    if (
        wide >= MIN_DASH_RATIO * high
        and 0.18 * height < wide < MAX_DASH * height
        and 0.2 < place < 0.8
    ):
        return "-"
    is_hanging = place > HANGING_PLACE and high > wide
    largest = MAX_COMMA if is_hanging else MAX_POINT
    if not MIN_SIZE * height < max(wide, high) < largest * height:
        return None
    if place > separators.LOW_PLACE:
        deep = (box[3] - row.bottom) / height > COMMA_DEPTH and high > 1.1 * wide
        return "," if high > MIN_COMMA_RATIO * wide or deep else "."
    return ":" if place > 0.1 and _between(box, row) else None


def _between(box: Box, row: Row) -> bool:
    """Whether there are digits on both sides."""
    middle = (box[0] + box[2]) / 2
    return any(digit[2] <= middle for digit in row.boxes) and any(
        digit[0] >= middle for digit in row.boxes
    )
