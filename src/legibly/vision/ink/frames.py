"""Removes frames around digits: boxes, combs, tables and circles, but not strokes that touch them.

`rules` removes the lines that cross the whole picture; frames end within it. A digit that touches
its frame belongs to the same component, so only the lines of the frame are removed.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, paper

Mask = NDArray[np.bool_]

MAX_FRAME_INK = 0.35
"""The ink of a frame covers at most this share of its box."""
MIN_LINE = 0.5
"""A line of a frame is at least this share of a side of its box."""
MIN_DIVIDER = 0.85
"""A line between two cells is at least this share of the frame's height."""
MIN_LINE_INK = 0.5
"""A component is a frame if lines or a ring have at least this share of its ink."""
MIN_SIDE = 60
"""A frame has at least one side of this many pixels."""
MAX_AREA = 3.0
"""Frames together cover at most this many times the picture; walls of mazes cover more."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The ink without frames; `torn` if something touched a frame and may have lost ink.

    `parts` are the components of its mask if no frame was removed.
    """

    ink: paper.Ink
    torn: bool
    parts: components.Components | None = None


def clean(ink: paper.Ink) -> Cleaned:
    """Remove the lines of frames from the ink."""
    parts = components.components(ink.mask)
    if len(parts) == 1 and not _may_be_long(parts):
        return Cleaned(ink, torn=False, parts=parts)
    width = parts.right - parts.left
    height = parts.bottom - parts.top
    candidates = (parts.area < MAX_FRAME_INK * width * height) & (
        np.maximum(width, height) >= MIN_SIDE
    )
    if candidates.any():
        candidates &= _encloses(parts) | (width > 2.5 * height)
    if not candidates.any():
        return Cleaned(ink, torn=False, parts=parts)
    mask = None
    torn = False
    for index in _within_area_limit(np.flatnonzero(candidates), width * height, ink.mask.size):
        box = parts.box(index)
        own = parts.alone(index)
        lines = _lines(own)
        if np.count_nonzero(lines) < MIN_LINE_INK * np.count_nonzero(own):
            lines = _ring(own)
        if np.count_nonzero(lines) < MIN_LINE_INK * np.count_nonzero(own):
            continue
        mask = ink.mask.copy() if mask is None else mask
        rest = _without_crumbs(own & ~lines, 0.15 * (box[3] - box[1]))
        mask[box[1] : box[3], box[0] : box[2]] &= ~own | rest
        torn |= bool(rest.any())
    if mask is None:
        return Cleaned(ink, torn=False, parts=parts)
    gone = ink.mask & ~mask
    values = np.where(gone, np.minimum(ink.values, 0.0), ink.values).astype(np.float32)
    return Cleaned(replace(ink, values=values, mask=mask), torn)


def _may_be_long(parts: components.Components) -> bool:
    """Whether the first component is as wide as a comb or a table of a single row."""
    left, top, right, bottom = parts.box(0)
    return right - left > 2.5 * (bottom - top)


def _within_area_limit(
    candidates: components.Ints, area: components.Ints, pixels: int
) -> components.Ints:
    """The candidates with the smallest boxes, as many as the limit on their total area allows."""
    smallest = candidates[np.argsort(area[candidates], kind="stable")]
    return np.sort(smallest[np.cumsum(area[smallest]) <= MAX_AREA * pixels])


def _encloses(parts: components.Components) -> Mask:
    """Which components' boxes contain the middle of another, not tiny one, (components,)."""
    if len(parts) == 1:
        return np.zeros(1, np.bool_)
    x = (parts.left + parts.right) / 2
    y = (parts.top + parts.bottom) / 2
    size = np.maximum(parts.right - parts.left, parts.bottom - parts.top)
    result = np.zeros(len(parts), np.bool_)
    for index in np.flatnonzero(size >= MIN_SIDE):
        inside = (x > parts.left[index]) & (x < parts.right[index])
        inside &= (y > parts.top[index]) & (y < parts.bottom[index])
        inside &= (size > 0.15 * (parts.bottom[index] - parts.top[index])) & (size < size[index])
        inside[index] = False
        result[index] = inside.any()
    return result


def _lines(own: Mask) -> Mask:
    """The pixels of long straight horizontal and vertical lines, (h, w)."""
    height, width = own.shape
    level = _horizontal_lines(own, MIN_LINE * width)
    upright = _horizontal_lines(
        np.ascontiguousarray(own.T), min(MIN_DIVIDER * height, MIN_LINE * width)
    ).T
    if not level.any() or not upright.any():
        return np.zeros(own.shape, np.bool_)
    return level | upright


def _horizontal_lines(own: Mask, least: float) -> Mask:
    """The pixels of long, nearly horizontal lines, except where something thicker crosses."""
    grown = own.copy()
    grown[1:] |= own[:-1]
    grown[:-1] |= own[1:]
    row, start, stop = components.runs(grown)
    long = stop - start >= least
    band = np.zeros(own.shape, np.bool_)
    for at, first, last in zip(row[long], start[long], stop[long], strict=True):
        band[at, first:last] = True
    line = band & own
    column, begin, end = components.runs(np.ascontiguousarray(own.T))
    touched = line[begin, column] | line[np.maximum(end - 1, 0), column]
    thickness = end - begin
    if not touched.any():
        return line
    thin = thickness <= 1.6 * float(np.median(thickness[touched])) + 1
    keep = np.zeros(own.shape, np.bool_).T
    for at, first, last in zip(column[thin], begin[thin], end[thin], strict=True):
        keep[at, first:last] = True
    return line & keep.T


def _ring(own: Mask) -> Mask:
    """The pixels of an ellipse that fills the box, (h, w); none if the ink is not such a ring."""
    height, width = own.shape
    y, x = np.nonzero(own)
    middle_x = np.median(x[[x.argmin(), x.argmax()]])
    middle_y = (y.min() + y.max()) / 2
    across = (x - middle_x) / (width / 2)
    down = (y - middle_y) / (height / 2)
    radius = np.hypot(across, down)
    near = np.abs(radius - 1.0) < 0.12
    turns = np.arctan2(down[near], across[near])
    covered = np.count_nonzero(np.bincount(((turns + np.pi) * 36 / np.pi).astype(int) % 72)) / 72
    ring = np.zeros(own.shape, np.bool_)
    if covered > 0.75:
        ring[y[near], x[near]] = True
    return ring


def _without_crumbs(rest: Mask, least: float) -> Mask:
    """The remaining ink without components smaller than `least` pixels in both directions."""
    parts = components.components(rest)
    return parts.paint(np.maximum(parts.right - parts.left, parts.bottom - parts.top) >= least)
