"""Finds printed boxes and combs on a scan by their straight lines."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import components, paper

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

STEEPEST = 5.0
"""Largest skew of a scan in degrees."""
LINE = 0.017
"""Least length of a box's line, as a share of the page's width."""
COVERED = 0.75
"""Least share of a box's side that a line covers."""
COMB_WIDTH = 1.6
"""Largest ratio of width to height of a comb's cell."""
TOOTH = 0.5
"""Least height of the teeth of a comb without an upper line, as a share of its height."""
MIN_CELL = 10
_SIDE = 1000


@dataclass(frozen=True, slots=True)
class Box:
    """A box or comb: its sides in pixels of the straightened page, and its number of cells."""

    left: float
    top: float
    right: float
    bottom: float
    cells: int

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def straightened(pixels: Pixels) -> Pixels:
    """The page in grey (H, W), rotated so that its lines are level."""
    grey = Image.fromarray(pixels).convert("L")
    angle = _skew(grey)
    if abs(angle) < 0.03:
        return np.asarray(grey)
    light = int(np.percentile(np.asarray(grey.reduce(4)), 90))
    turned = grey.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=light)
    return np.asarray(turned)


def _skew(grey: Image.Image) -> float:
    """The rotation in degrees at which the rows of a page's ink are most concentrated."""
    factor = max(1, max(grey.size) // _SIDE)
    plane = np.asarray(grey.reduce(factor), np.float32)
    y, x = np.nonzero(paper.find_ink(plane.astype(np.uint8), light=False).mask)
    if len(x) < 50:
        return 0.0

    def sharpness(angle: float) -> float:
        levels = y - np.tan(np.radians(angle)) * x
        counts = np.bincount((levels - levels.min()).astype(np.intp))
        return float((counts.astype(np.float64) ** 2).sum())

    best = max(np.arange(-STEEPEST, STEEPEST + 0.01, 0.25), key=sharpness)
    return float(max(np.arange(best - 0.25, best + 0.26, 0.05), key=sharpness))


def find(page: Pixels) -> list[Box]:
    """The boxes of a straightened page, from top to bottom, then from left to right."""
    mask = paper.find_ink(page, light=False).mask
    least = max(16, round(LINE * mask.shape[1]))
    level = _runs(mask, least)
    upright = np.ascontiguousarray(_runs(np.ascontiguousarray(mask.T), least).T)
    parts = components.components(_dilated(level | upright))
    boxes: list[Box] = []
    sizes = np.minimum(parts.right - parts.left, parts.bottom - parts.top)
    for index in np.flatnonzero(sizes >= least):
        left = int(parts.left[index])
        top = int(parts.top[index])
        boxes += [_moved(box, left, top) for box in _boxes(parts.alone(index))]
    return _in_order(boxes)


def _runs(mask: Mask, least: int) -> Mask:
    """The pixels of nearly level runs of ink with at least `least` pixels."""
    row, start, stop = components.runs(_thick(mask))
    long = stop - start >= least
    result = np.zeros(mask.shape, np.bool_)
    for at, first, last in zip(row[long], start[long], stop[long], strict=True):
        result[at, first:last] = True
    return result & mask


def _thick(mask: Mask) -> Mask:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    return grown


def _dilated(mask: Mask) -> Mask:
    """The mask dilated by one pixel, to join lines that nearly meet."""
    tall = _thick(_thick(mask))
    return np.ascontiguousarray(_thick(_thick(np.ascontiguousarray(tall.T))).T)


def _boxes(own: Mask) -> list[Box]:
    """The boxes and combs in a connected piece of lines, (h, w) bool."""
    levels = _lines(own)
    if len(levels) == 1:
        return _open_comb(own, levels[0])
    boxes: list[Box] = []
    for top, bottom in pairwise(levels):
        if bottom - top < MIN_CELL:
            continue
        sides = _lines(np.ascontiguousarray(own[round(top) : round(bottom) + 1].T))
        boxes += _cells(sides, top, bottom)
    return boxes


def _lines(own: Mask, share: float = COVERED) -> list[float]:
    """The positions of level lines that run along most of the piece."""
    width = own.shape[1]
    first = np.flatnonzero(own.any(axis=0))
    if not len(first):
        return []
    covered = own.mean(axis=1) * width >= share * (first[-1] - first[0] + 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], covered, [False]]).astype(np.int8)))
    return [(start + stop - 1) / 2 for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _open_comb(own: Mask, level: float) -> list[Box]:
    """A comb with a lower line and teeth; digits may be written above the teeth too."""
    sides = _lines(np.ascontiguousarray(own.T), TOOTH)
    if len(sides) < 3 or level < TOOTH * own.shape[0]:
        return []
    wide = float(np.median(np.diff(sides)))
    return _cells(sides, min(0.0, level - 1.3 * wide), level)


def _cells(sides: list[float], top: float, bottom: float) -> list[Box]:
    """One comb if the cells are narrow and of equal width, else a box for each."""
    pairs = [pair for pair in pairwise(sides) if pair[1] - pair[0] >= MIN_CELL]
    if not pairs:
        return []
    widths = np.array([right - left for left, right in pairs])
    middle = float(np.median(widths))
    alike = bool((np.abs(widths - middle) < 0.15 * middle).all())
    if len(pairs) > 1 and alike and middle < COMB_WIDTH * (bottom - top):
        return [Box(pairs[0][0], top, pairs[-1][1], bottom, len(pairs))]
    return [Box(left, top, right, bottom, 1) for left, right in pairs]


def _moved(box: Box, left: int, top: int) -> Box:
    return Box(box.left + left, box.top + top, box.right + left, box.bottom + top, box.cells)


def _in_order(boxes: list[Box]) -> list[Box]:
    """Row by row, each from the left; boxes with nearly the same middle share a row."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box.top + box.bottom):
        middle = (box.top + box.bottom) / 2
        if rows and middle < rows[-1][0].bottom and box.top < rows[-1][0].bottom:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda box: box.left)]
