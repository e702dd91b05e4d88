"""Marks between digits: point, comma, dash, colon and slash, and strokes that may be brackets.

They are recognised by shape and place, not by the network, which only knows digits. Coordinates are
relative to the digit beside the mark: 0 is its top, 1 its bottom.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

MARK_CONFIDENCE = 0.9
"""The confidence of a mark, recognised only by its shape and place; not fitted on labels."""
LOW_PLACE = 0.68
"""The middle of a point or comma is below this."""
MIN_DASH_RATIO = 2.0
"""Least ratio of width to height of a dash."""
MAX_POINT = 0.35
"""Largest size of a point, as a share of a digit's height."""
MAX_DISTANCE = 0.9
"""Largest distance of a mark from a digit, in digit heights."""
SLASH_LEAN = 0.28
"""A straight stroke that leans more than this, in columns per row, may be a slash."""
UPRIGHT_LEAN = 0.1
"""A stroke that leans less is no slash."""
MIN_SLASH = 0.33
"""Least sum of lean and excess height, both as shares, of a stroke that may be a slash."""
BRACKET_BOW = 0.07
"""A stroke that bows more than this share of its height may be a bracket."""
MAX_STRAIGHT_BOW = 0.05
MIN_INKED = 0.3


@dataclass(frozen=True, slots=True)
class Separator:
    """A mark: `box` (left, top, right, bottom) in pixels, and its kind of `. , - / :`."""

    box: Box
    label: str

    def moved(self, *, left: int = 0, top: int = 0, factor: int = 1) -> "Separator":
        """The same mark in the coordinates of a larger picture, or one with another origin."""
        x, y, right, bottom = (factor * side for side in self.box)
        return Separator((x + left, y + top, right + left, bottom + top), self.label)


def small_marks(
    boxes: Sequence[Box], digits: Sequence[Box], height: float
) -> tuple[Separator, ...]:
    """The points, commas, dashes and colons among small pieces of ink beside digits."""
    marks: list[Separator] = []
    for box in sorted(boxes):
        label = _label(box, digits, height)
        if label:
            marks.append(Separator(box, label))
    return colons(marks)


def _label(box: Box, digits: Sequence[Box], height: float) -> str | None:
    wide = box[2] - box[0]
    high = box[3] - box[1]
    middle = (box[0] + box[2]) / 2
    beside = [
        digit
        for digit in digits
        if max(digit[0] - middle, middle - digit[2]) < MAX_DISTANCE * height
        and digit[1] - 0.3 * height < (box[1] + box[3]) / 2 < digit[3] + 0.4 * height
        and (middle < digit[0] or middle > digit[2])
        and digit[3] - digit[1] > 0.6 * height
    ]
    if not beside:
        return None
    nearest = min(beside, key=lambda digit: abs((digit[0] + digit[2]) / 2 - middle))
    place = ((box[1] + box[3]) / 2 - nearest[1]) / (nearest[3] - nearest[1])
    if wide >= MIN_DASH_RATIO * high and 0.2 * height < wide < 1.3 * height and 0.2 < place < 0.85:
        return "-"
    if max(wide, high) > MAX_POINT * height or max(wide, high) < 0.04 * height:
        return None
    if place > LOW_PLACE:
        return "," if high > 1.6 * wide else "."
    return ":" if place > 0.1 else None


def _above(upper: Box, lower: Box) -> bool:
    return min(upper[2], lower[2]) > max(upper[0], lower[0])


def colons(marks: list[Separator]) -> tuple[Separator, ...]:
    """The marks, two points above one another as one colon; a lone one at half height is none."""
    result: list[Separator] = []
    for mark in marks:
        pair = next((entry for entry in result if _above(entry.box, mark.box)), None)
        if pair is not None and {pair.label, mark.label} == {":", "."}:
            result.remove(pair)
            first = pair.box
            second = mark.box
            box = (
                min(first[0], second[0]),
                min(first[1], second[1]),
                max(first[2], second[2]),
                max(first[3], second[3]),
            )
            result.append(Separator(box, ":"))
        else:
            result.append(mark)
    return tuple(
        mark
        for mark in result
        if mark.label != ":" or mark.box[3] - mark.box[1] > 1.8 * (mark.box[2] - mark.box[0])
    )


@dataclass(frozen=True, slots=True)
class Stroke:
    """A single stroke: its lean in columns per row, and its bow as a share of its height."""

    lean: float
    bow: float


def may_be_slash(stroke: Stroke, tall: float) -> bool:
    """Whether a stroke between digits, `tall` times as high as they are, may be a slash: one leans
    more than a 1 does, or is higher.
    """
    return stroke.lean < -UPRIGHT_LEAN and tall - 1.0 - stroke.lean > MIN_SLASH


def stroke_of(crop: Floats) -> Stroke | None:
    """The stroke of a network's input (28, 28) if it is one narrow line from top to bottom."""
    inked = crop > MIN_INKED
    rows = np.flatnonzero(inked.any(axis=1))
    if len(rows) < 12:
        return None
    counts = inked[rows].sum(axis=1)
    first = inked[rows].argmax(axis=1)
    last = crop.shape[1] - 1 - inked[rows, ::-1].argmax(axis=1)
    spans = last - first + 1
    if (spans > counts + 1).mean() > 0.1 or np.median(counts) > 0.3 * len(rows):
        return None
    if counts.max() > 2.2 * np.median(counts):  # the bar of a 7, the foot of a 1
        return None
    weights = (crop[rows] * inked[rows]).astype(np.float64)
    columns = weights @ np.arange(crop.shape[1]) / weights.sum(axis=1)
    height = float(len(rows))
    line = np.polyfit(rows, columns, 1)
    curve = np.polyfit(rows, columns, 2)
    if np.std(columns - np.polyval(curve, rows)) > MAX_STRAIGHT_BOW * height:
        return None
    return Stroke(lean=float(line[0]), bow=float(abs(curve[0]) * (height / 2) ** 2 / height))
