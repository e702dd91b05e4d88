"""Removes printed lines, squares and frames from the ink where no stroke crosses them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, glyphs, paper, planes

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

STEEPEST_DEGREES = 17.0
FINEST_DEGREES = 0.5
THIN = 0.02
"""A printed line is no thicker than this share of the longer side."""
COVERED = 0.4
"""A line is seen along at least this share of the picture's side."""
FAINT_PRINT = 0.5
LEAST_SIDE = 64
MOST_LINES = 60
MOST_POINTS = 60_000
"""More thin runs than this are a texture, in which printed lines are not searched for."""


def clean(ink: paper.Ink) -> paper.Ink:
    """The ink without lines that run through the picture; strokes that cross them stay whole."""
    if min(ink.mask.shape) < LEAST_SIDE or not _many_thin(ink.mask):
        return ink
    if _ruled(ink.mask):
        # Print is mostly fainter than a pen: what falls below half the pen's strength goes first.
        strong = _pen_strength(ink)
        ink = ink.above(FAINT_PRINT * strong)
    across = _lines(ink.mask)
    mask = ink.mask & ~across if across is not None else ink.mask
    down = _lines(np.ascontiguousarray(mask.T))
    gone = _either(across, down)
    if gone is None:
        return ink
    values = np.where(
        glyphs.spread(gone, 1) & ~(ink.mask & ~gone), np.minimum(ink.values, 0.0), ink.values
    )
    return replace(ink, values=values.astype(np.float32), mask=ink.mask & ~gone)


def _many_thin(mask: Mask) -> bool:
    """Whether enough of the mask is thin at all for a line: most pictures of digits end here."""
    thickest = max(3, round(THIN * max(mask.shape)))
    for plane in (mask, np.ascontiguousarray(mask.T)):
        _, start, stop = components.runs(plane)
        if np.count_nonzero(stop - start <= thickest) >= COVERED * plane.shape[0]:
            return True
    return False


def _ruled(mask: Mask) -> bool:
    """Whether enough of the mask is long thin dashes, in either direction, to be printed lines."""
    for plane in (mask, np.ascontiguousarray(mask.T)):
        column, start, stop = components.runs(np.ascontiguousarray(plane.T))
        thin = stop - start <= max(3, round(THIN * max(mask.shape)))
        if np.count_nonzero(thin) < 0.5 * plane.shape[1]:
            continue
        steps = np.zeros((plane.shape[1], plane.shape[0] + 1), np.int8)
        np.add.at(steps, (column[thin], start[thin]), 1)
        np.add.at(steps, (column[thin], stop[thin]), -1)
        parts = components.components(np.cumsum(steps, axis=1)[:, :-1] > 0)
        long = parts.bottom - parts.top
        wide = parts.right - parts.left
        dashes = (long > 5 * wide) & (long > 0.04 * plane.shape[1])
        if long[dashes].sum() > 0.5 * plane.shape[1]:
            return True
    return False


def _pen_strength(ink: paper.Ink) -> float:
    """How dark the pen is: of its full strength by blocks, the level that a tenth of the inked ones
    reach.
    """
    strength = paper.strength(ink.values)
    inked = strength[strength > max(6.0 * ink.noise, paper.FAINTEST)]
    return planes.quantiles(inked, 0.9)[0] if inked.size else 0.0


def _either(across: Mask | None, down: Mask | None) -> Mask | None:
    if down is None:
        return across
    return down.T if across is None else across | down.T


def _lines(mask: Mask) -> Mask | None:
    """The pixels of nearly level lines, (H, W), or None."""
    height, width = mask.shape
    thickest = max(3, round(THIN * max(height, width)))
    # Runs down each column: thin ones may belong to a line.
    column, start, stop = components.runs(np.ascontiguousarray(mask.T))
    thin = stop - start <= thickest
    if not COVERED * width <= np.count_nonzero(thin) <= MOST_POINTS:
        return None
    x = column[thin]
    y = (start[thin] + stop[thin] - 1) / 2
    size = (stop - start)[thin]
    level = _level(x, start[thin], stop[thin])
    gone = np.zeros(mask.shape, np.bool_)
    left = level.copy()
    is_any = False
    for _ in range(MOST_LINES):
        if np.count_nonzero(left) < COVERED * width:
            break
        line = _strongest(x[left], y[left], mask.shape, thickest)
        if line is None:
            break
        far = np.abs(y - np.polyval(line, x))
        on = left & (far < thickest)
        if len(np.unique(x[on])) < COVERED * width:
            break
        curve = np.polyfit(x[on], y[on], 2 if np.count_nonzero(on) > 50 else 1)
        thick = float(np.median(size[on]))
        far = np.abs(y - np.polyval(curve, x))
        hit = (far < max(1.5, 0.8 * thick)) & (size <= 1.7 * thick + 1)
        left &= far >= max(2.0, 1.5 * thick)
        if not _runs_through(x[hit], width):
            continue
        is_any = True
        for offset in range(int(size[hit].max())):
            inside = hit & (offset < size)
            gone[(start[thin] + offset)[inside], x[inside]] = True
    return gone if is_any else None


def _level(x: Ints, start: Ints, stop: Ints) -> Mask:
    """Which of the thin column runs go on to either side for a while, as those of a line do."""
    order = np.lexsort((start, x))
    key = x[order]
    first = np.searchsorted(key, x + 1, "left")
    last = np.searchsorted(key, x + 1, "right")
    has = np.zeros(len(x), np.bool_)
    begin = start[order]
    end = stop[order]
    for step in range(int((last - first).max()) if len(x) else 0):
        at = np.minimum(first + step, len(x) - 1)
        has |= (first + step < last) & (begin[at] <= stop) & (end[at] >= start)
    return has


def _strongest(
    x: Ints, y: NDArray[np.float64], shape: tuple[int, int], thickest: int
) -> NDArray[np.float64] | None:
    """The nearly level line with most points: slope and height at x = 0, None where no line is long
    enough.
    """
    height, width = shape
    angles = np.deg2rad(np.arange(-STEEPEST_DEGREES, STEEPEST_DEGREES + 0.1, FINEST_DEGREES))
    step = max(1.5, thickest / 2, width * np.deg2rad(FINEST_DEGREES) / 2)
    slopes = np.tan(angles)
    reach = width * float(slopes[-1])
    bins = int((height + 2 * reach) / step) + 3
    sample = slice(None, None, max(1, len(x) // 1500))
    offsets = ((y[sample][None] - slopes[:, None] * x[sample][None] + reach) / step).astype(np.intp)
    counts = np.bincount(
        (offsets + bins * np.arange(len(slopes))[:, None]).ravel(), minlength=bins * len(slopes)
    )
    # A line may straddle two bins.
    pairs = counts[:-1] + counts[1:]
    best = int(pairs.argmax())
    if pairs[best] * (sample.step or 1) < COVERED * width:
        return None
    return np.array([slopes[best // bins], (best % bins + 1) * step - reach])


def _runs_through(x: Ints, width: int) -> bool:
    """Whether a line is seen along much of the picture, and from border to border: a digit's bar is
    not.
    """
    if not len(x):
        return False
    edge = max(3, width // 50)
    from_border = (x.min() <= edge) + (x.max() >= width - 1 - edge)
    covered = len(np.unique(x)) / width
    return bool((from_border == 2 and covered > COVERED) or (from_border == 1 and covered > 0.6))
