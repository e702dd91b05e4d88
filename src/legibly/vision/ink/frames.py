"""Drawn frames around digits: boxes, combs, tables and circles, separated from strokes that touch
them.

Lines that run through a whole picture are the business of `rules`; here are those that end in it.
A frame is one connected piece of ink, so a digit that touches it belongs to that piece: only the
frame's own lines may go, and what remains is ink like any other.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, paper

Mask = NDArray[np.bool_]

SPARSE = 0.35
"""A frame's ink covers no more than this share of its box."""
LONG = 0.5
"""A line of a frame runs along at least this share of its box's side."""
DIVIDER = 0.85
"""A line between two cells runs along at least this share of the frame's height."""
OWN = 0.5
"""A piece of ink is a frame where lines, or a ring, make up at least this share of it."""
LEAST_SIDE = 60
"""A smaller piece of ink is no frame, in pixels."""
MOST_AREA = 3.0
"""Frames together cover no more than so many times the picture; the walls of mazes do."""


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
    width = parts.right - parts.left
    height = parts.bottom - parts.top
    candidates = (parts.area < SPARSE * width * height) & (np.maximum(width, height) >= LEAST_SIDE)
    if candidates.any():
        candidates &= _encloses(parts) | (width > 2.5 * height)
    if not candidates.any():
        return Cleaned(ink, torn=False, parts=parts)
    mask = None
    torn = False
    for index in _bounded(np.flatnonzero(candidates), width * height, ink.mask.size):
        box = parts.box(index)
        own = parts.alone(index)
        lines = _lines(own)
        if np.count_nonzero(lines) < OWN * np.count_nonzero(own):
            lines = _ring(own)
        if np.count_nonzero(lines) < OWN * np.count_nonzero(own):
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


def _bounded(candidates: components.Ints, area: components.Ints, pixels: int) -> components.Ints:
    """The candidates with the smallest boxes, as many as the limit on their total area allows."""
    smallest = candidates[np.argsort(area[candidates], kind="stable")]
    return np.sort(smallest[np.cumsum(area[smallest]) <= MOST_AREA * pixels])


def _encloses(parts: components.Components) -> Mask:
    """Which components' boxes contain the middle of another, not tiny one, (components,)."""
    if len(parts) == 1:
        return np.zeros(1, np.bool_)
    x = (parts.left + parts.right) / 2
    y = (parts.top + parts.bottom) / 2
    size = np.maximum(parts.right - parts.left, parts.bottom - parts.top)
    result = np.zeros(len(parts), np.bool_)
    for index in np.flatnonzero(size >= LEAST_SIDE):
        inside = (x > parts.left[index]) & (x < parts.right[index])
        inside &= (y > parts.top[index]) & (y < parts.bottom[index])
        inside &= (size > 0.15 * (parts.bottom[index] - parts.top[index])) & (size < size[index])
        inside[index] = False
        result[index] = inside.any()
    return result


def _lines(own: Mask) -> Mask:
    """The pixels of long straight horizontal and vertical lines, (h, w)."""
    height, width = own.shape
    level = _level(own, LONG * width)
    upright = _level(np.ascontiguousarray(own.T), min(DIVIDER * height, LONG * width)).T
    if not level.any() or not upright.any():
        return np.zeros(own.shape, np.bool_)
    return level | upright


def _level(own: Mask, least: float) -> Mask:
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
    """The ink left by a frame, without pieces smaller than `least` pixels in either direction."""
    parts = components.components(rest)
    return parts.paint(np.maximum(parts.right - parts.left, parts.bottom - parts.top) >= least)
