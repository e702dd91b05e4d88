"""Arithmetic on grey planes (H, W) float32: running maxima, means, thresholds, quantiles, noise."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import native

Floats = NDArray[np.float32]
Plane = TypeVar("Plane", Floats, NDArray[np.bool_])
SAMPLE_PIXELS = 8192
SMALL_SIDE = 100
GRAIN_SCALE = 0.49
GRAIN_SHARE = 0.85
"""The standard deviation is this factor times this quantile of the changes: 1 / (1.44 √2)."""


def reduce(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The mean over blocks of `factor` pixels each way of (H, W) or (H, W, 3)."""
    if native.kernels and pixels.ndim == 2:
        return native.shrink(pixels, factor)
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def dilate(plane: Plane, size: int) -> Plane:
    """The largest value in a square window of odd `size`, cut off at the borders."""
    return _slide(_slide(plane, size, 0), size, 1)


def _slide(plane: Plane, size: int, axis: int) -> Plane:
    """A running maximum along one axis, by doubling."""
    half = size // 2
    length = plane.shape[axis]
    shape = (
        (length + 2 * half, plane.shape[1]) if axis == 0 else (plane.shape[0], length + 2 * half)
    )
    lowest: float | bool = False if plane.dtype == np.bool_ else -np.inf
    wide = np.full(shape, lowest, plane.dtype)
    if axis == 0:
        wide[half : half + length] = plane
    else:
        wide[:, half : half + length] = plane
    covered = 1
    while covered < size:
        step = min(covered, size - covered)
        count = wide.shape[axis] - step
        ahead = wide[step:] if axis == 0 else wide[:, step:]
        here = wide[:count] if axis == 0 else wide[:, :count]
        wide = np.maximum(here, ahead)
        covered += step
    return wide[:length] if axis == 0 else wide[:, :length]


def pad(plane: Floats, by: int, value: float = 0.0) -> Floats:
    """The plane with a border of `by` pixels: `np.pad` at a fifth of its cost when small."""
    height, width = plane.shape
    wide = np.full((height + 2 * by, width + 2 * by), value, plane.dtype)
    wide[by : by + height, by : by + width] = plane
    return wide


def prolong(plane: Floats, by: int) -> Floats:
    """The plane extrapolated beyond its border by `by` pixels."""
    wide = pad(plane, by)
    if by:
        wide[:by] = wide[by]
        wide[-by:] = wide[-by - 1]
        wide[:, :by] = wide[:, by : by + 1]
        wide[:, -by:] = wide[:, -by - 1 : -by]
    return wide


def has_even_border(plane: NDArray[Any]) -> bool:
    """Whether all pixels along the border of (H, W) or (H, W, 3) are the same."""
    corner = plane[0, 0].tobytes()
    sides = (plane[0], plane[-1], plane[:, 0], plane[:, -1])
    return all(side.tobytes() == corner * len(side) for side in sides)


def close(plane: Floats, size: int) -> Floats:
    """Fill dark features narrower than `size` with the brightness around them."""
    half = size // 2
    if max(plane.shape) < SMALL_SIDE:
        return -dilate(-dilate(plane, size), size)
    # The border is repeated, since cut-off windows would brighten dark borders. Not in a small
    # picture, which may be cropped closely: strokes along its border would count as paper.
    wide = prolong(plane, half)
    return -dilate(-dilate(wide, size), size)[half:-half, half:-half]


def limited(plane: Floats) -> Floats:
    """The plane within 0 … 1: `np.clip` at a third of its cost when small."""
    return np.minimum(np.maximum(plane, np.float32(0.0)), np.float32(1.0))


def box(plane: Floats, size: int) -> Floats:
    """The mean over a square window of odd `size`, edges repeated."""
    half = size // 2
    wide = prolong(plane, half)
    summed = _sum(np.ascontiguousarray(_sum(wide, size).T), size)
    return np.multiply(summed.T, np.float32(1.0 / (size * size)), dtype=np.float32)


def _sum(plane: Floats, size: int) -> Floats:
    """Sums over `size` consecutive rows, by doubling: running totals are slow down columns."""
    count = len(plane) - size + 1
    power = plane
    covered = 1
    at = 0
    total = np.zeros((count, plane.shape[1]), np.float32)
    while size:
        if size & 1:
            total += power[at : at + count]
            at += covered
        size >>= 1
        if size:
            power = power[:-covered] + power[covered:]
            covered *= 2
    return total


def otsu(plane: Floats) -> float:
    """The level that best separates dark from bright (Otsu 1979)."""
    low = float(plane.min())
    high = float(plane.max())
    if high - low < 1e-3:
        return low
    counts, edges = np.histogram(plane, bins=64, range=(low, high))
    middle = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts).astype(np.float64)
    mass = np.cumsum(counts * middle)
    above = below[-1] - below
    gap = mass / np.maximum(below, 1) - (mass[-1] - mass) / np.maximum(above, 1)
    return float(edges[int(np.argmax(below * above * gap**2)) + 1])


def quantiles(values: Floats, *shares: float) -> tuple[float, ...]:
    """The quantiles of these shares; sampled, since partitioning is slow on equal values."""
    ordered = _sampled(values).copy()
    ordered.sort()
    last = len(ordered) - 1
    return tuple([float(ordered[min(last, int(share * len(ordered)))]) for share in shares])


def _sampled(values: Floats) -> Floats:
    flat = values.ravel()
    return flat[:: max(1, flat.size // SAMPLE_PIXELS)]


def median(values: NDArray[np.float32 | np.intp]) -> float:
    """The median of (N,), N > 0: `np.median` at a fifth of its cost when small."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def skew(plane: Floats, least: float) -> float:
    """The skewness of a plane; a deviation below `least` counts as `least`."""
    centred = (plane - plane.mean()) / max(float(plane.std()), least)
    return float(np.mean(centred * centred * centred))


def grain(values: Floats) -> float:
    """The standard deviation of what changes from pixel to pixel: noise for smoothing."""
    changes = _changes(values)
    return GRAIN_SCALE * quantiles(changes, GRAIN_SHARE)[0] if changes.size else 0.0


def is_grainy(values: Floats, limit: float) -> bool:
    """Whether the grain is above a limit: `grain` without sorting."""
    if native.kernels and values.shape[1] > 2:
        skip = max(1, values.shape[0] // 64)
        count = -(-values.shape[0] // skip) * (values.shape[1] - 2)
        step = max(1, count // SAMPLE_PIXELS)
        below = native.count_calm(values, skip, step, limit / GRAIN_SCALE)
        size = -(-count // step)
    else:
        changes = _sampled(_changes(values))
        below = int(np.count_nonzero(changes <= limit / GRAIN_SCALE))
        size = changes.size
    return bool(below <= min(size - 1, int(GRAIN_SHARE * size)))


def _is_flat(values: Floats) -> bool:
    """Whether more than half of a plane has its lowest value, as drawn pictures have."""
    if native.kernels:
        step = max(1, values.size // SAMPLE_PIXELS)
        return native.count_lowest(values, step) > -(-values.size // step) // 2
    some = _sampled(values)
    return bool(np.count_nonzero(some == some.min()) > len(some) // 2)


def _changes(values: Floats) -> Floats:
    """The difference of each pixel of some rows from the next but one."""
    rows = values[:: max(1, values.shape[0] // 64)]
    return np.asarray(np.abs(rows[:, 2:] - rows[:, :-2]))


def noise(values: Floats) -> float:
    """The standard deviation of blank paper, from values below the median: ink is above it."""
    if _is_flat(values):
        return 0.0
    # JPEG removes most of the noise but leaves some peaks, so the tail counts too.
    if max(values.shape) < SMALL_SIDE:  # where ink may cover more than half
        low, half, most = quantiles(values, 0.01, 0.125, 0.25)
        return max(2.1 * (most - half), (most - low) / 1.65)
    low, quarter, middle = quantiles(values, 0.01, 0.25, 0.5)
    return max(1.4826 * (middle - quarter), (middle - low) / 2.33)
