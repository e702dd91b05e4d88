"""Removes printed lines, squares and frames from the ink where no stroke crosses them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, glyphs, native, paper, planes

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

MAX_SLOPE_DEGREES = 17.0
SLOPE_STEP_DEGREES = 0.5
MAX_THICKNESS = 0.02
"""The thickness of a printed line is at most this share of the longer side."""
MIN_LENGTH = 0.4
"""A line is visible along at least this share of the picture's side."""
PRINT_STRENGTH = 0.5
MIN_SIDE = 64
MAX_LINES = 60
MIN_SAMPLE = 1500
MAX_RUNS = 60_000
"""More thin runs than this are a texture, in which printed lines are not searched for."""


def clean(ink: paper.Ink) -> paper.Ink:
    """The ink without lines that cross the whole picture; strokes that cross them stay complete."""
    if min(ink.mask.shape) < MIN_SIDE or not _has_thin_runs(ink.mask):
        return ink
    if _has_dashes(ink.mask):
        # Print is usually fainter than a pen: ink below half the pen's strength is removed first.
        strong = _pen_strength(ink)
        ink = ink.above(PRINT_STRENGTH * strong)
    across = _lines(ink.mask)
    mask = ink.mask & ~across if across is not None else ink.mask
    down = _lines(np.ascontiguousarray(mask.T))
    gone = _union(across, down)
    if gone is None:
        return ink
    values = np.where(
        glyphs.spread(gone, 1) & ~(ink.mask & ~gone), np.minimum(ink.values, 0.0), ink.values
    )
    return replace(ink, values=values.astype(np.float32), mask=ink.mask & ~gone)


def _has_thin_runs(mask: Mask) -> bool:
    """Whether there are enough thin runs for a line; most pictures of digits have not."""
    thickest = max(3, round(MAX_THICKNESS * max(mask.shape)))
    if native.kernels:
        return any(
            native.thin_runs(mask, thickest, down=down) >= MIN_LENGTH * mask.shape[down]
            for down in (False, True)
        )
    for plane in (mask, np.ascontiguousarray(mask.T)):
        lengths = components.run_lengths(plane)
        if np.count_nonzero(lengths <= thickest) >= MIN_LENGTH * plane.shape[0]:
            return True
    return False


def _has_dashes(mask: Mask) -> bool:
    """Whether the mask has enough long thin dashes, in either direction, for printed lines."""
    for plane in (mask, np.ascontiguousarray(mask.T)):
        column, start, stop = components.runs(np.ascontiguousarray(plane.T))
        thin = stop - start <= max(3, round(MAX_THICKNESS * max(mask.shape)))
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
    """The strength of the pen's ink: the 90 % quantile of blocks with ink."""
    strength = paper.strength(ink.values)
    inked = strength[strength > max(6.0 * ink.noise, paper.MIN_INK)]
    return planes.quantiles(inked, 0.9)[0] if inked.size else 0.0


def _union(across: Mask | None, down: Mask | None) -> Mask | None:
    if down is None:
        return across
    return down.T if across is None else across | down.T


def _lines(mask: Mask) -> Mask | None:
    """The pixels of nearly horizontal lines, (H, W), or None."""
    height, width = mask.shape
    thickest = max(3, round(MAX_THICKNESS * max(height, width)))
    # Vertical runs; thin ones may belong to a line.
    column, start, stop = components.runs(np.ascontiguousarray(mask.T))
    thin = stop - start <= thickest
    if not MIN_LENGTH * width <= np.count_nonzero(thin) <= MAX_RUNS:
        return None
    runs = _Runs(column[thin], start[thin], stop[thin], width)
    left = runs.level()
    votes = _Votes(runs, left, mask.shape, thickest)
    gone = np.zeros(mask.shape, np.bool_)
    is_any = False
    for _ in range(MAX_LINES):
        line = votes.strongest()
        if line is None:
            break
        on = np.flatnonzero(left & (np.abs(runs.y - line[0] * runs.x - line[1]) < thickest))
        if runs.columns(on) < MIN_LENGTH * width:
            break
        far = runs.distance(on)
        thick = float(np.median(runs.size[on]))
        left &= far >= max(2.0, 1.5 * thick)
        votes = votes.among(left)
        hit = np.flatnonzero((far < max(1.5, 0.8 * thick)) & (runs.size <= 1.7 * thick + 1))
        if _runs_through(runs.x[hit], width):
            is_any = True
            runs.paint(gone, hit)
    return gone if is_any else None


class _Runs:
    """Thin vertical runs of a mask, sorted by column, then row."""

    def __init__(self, x: Ints, start: Ints, stop: Ints, width: int) -> None:
        self.x = x
        self.start = start
        self.stop = stop
        self.size = stop - start
        self.y = (start + stop - 1) / 2
        self._along = 2.0 * x / width - 1.0

    def level(self) -> Mask:
        """Which runs continue in the next column, as those of a line do."""
        stride = int(self.stop.max()) + 2
        bottoms = self.x * stride + self.stop
        beside = np.searchsorted(bottoms, (self.x + 1) * stride + self.start)
        beside = np.minimum(beside, len(bottoms) - 1)
        overlap: Mask = (self.x[beside] == self.x + 1) & (self.start[beside] <= self.stop)
        return overlap

    def columns(self, chosen: Ints) -> int:
        """The number of columns with chosen runs."""
        return int(np.count_nonzero(np.diff(self.x[chosen]))) + bool(len(chosen))

    def distance(self, chosen: Ints) -> NDArray[np.float64]:
        """The distance of each run from a parabola through the chosen ones, or a line if few."""
        powers = np.vander(self._along[chosen], 3 if len(chosen) > 50 else 2)
        fit = np.linalg.lstsq(powers.T @ powers, powers.T @ self.y[chosen])[0]
        return np.abs(self.y - np.polyval(fit, self._along))

    def paint(self, mask: Mask, chosen: Ints) -> None:
        """Set the pixels of the chosen runs."""
        for offset in range(int(self.size[chosen].max())):
            inside = chosen[offset < self.size[chosen]]
            mask[self.start[inside] + offset, self.x[inside]] = True


class _Votes:
    """The number of runs on each nearly horizontal line, estimated from a sample (Hough 1962)."""

    def __init__(self, runs: _Runs, chosen: Mask, shape: tuple[int, int], thickest: int) -> None:
        self._runs = runs
        self._shape = shape
        self._thickest = thickest
        height, width = shape
        self._least = MIN_LENGTH * width
        angles = np.arange(-MAX_SLOPE_DEGREES, MAX_SLOPE_DEGREES + 0.1, SLOPE_STEP_DEGREES)
        self._slopes = np.tan(np.deg2rad(angles))
        self._step = max(1.5, thickest / 2, width * np.deg2rad(SLOPE_STEP_DEGREES) / 2)
        self._reach = width * float(self._slopes[-1])
        self._bins = int((height + 2 * self._reach) / self._step) + 3
        points = np.flatnonzero(chosen)
        self._stride = max(1, len(points) // MIN_SAMPLE)
        self._sample = points[:: self._stride]
        heights = runs.y[self._sample] - self._slopes[:, None] * runs.x[self._sample] + self._reach
        self._cells = (heights / self._step).astype(np.intp)
        self._cells += self._bins * np.arange(len(self._slopes))[:, None]
        self._counts = self._counted(self._cells)

    def _counted(self, cells: Ints) -> Ints:
        return np.bincount(cells.ravel(), minlength=self._bins * len(self._slopes))

    def among(self, left: Mask) -> "_Votes":
        """The votes of the remaining runs; takes a new sample if this one becomes too small."""
        stay = left[self._sample]
        if self._stride > 1 and np.count_nonzero(stay) < MIN_SAMPLE:
            return _Votes(self._runs, left, self._shape, self._thickest)
        self._counts -= self._counted(self._cells[:, ~stay])
        self._cells = self._cells[:, stay]
        self._sample = self._sample[stay]
        return self

    def strongest(self) -> tuple[float, float] | None:
        """The slope and height at x = 0 of the line with most runs; None if it is too short."""
        pairs = self._counts[:-1] + self._counts[1:]  # a line may straddle two bins
        best = int(pairs.argmax())
        if pairs[best] * self._stride < self._least:
            return None
        return self._slopes[best // self._bins], (best % self._bins + 1) * self._step - self._reach


def _runs_through(x: Ints, width: int) -> bool:
    """Whether a line is visible along much of the picture and reaches its borders, unlike a digit's
    bar.
    """
    if not len(x):
        return False
    edge = max(3, width // 50)
    from_border = (x.min() <= edge) + (x.max() >= width - 1 - edge)
    covered = len(np.unique(x)) / width
    return bool((from_border == 2 and covered > MIN_LENGTH) or (from_border == 1 and covered > 0.6))
