"""Finds a light sheet on a dark background: paper on a desk, or a table cropped at its frame.

Only the sheet is read, so that the edge of the background is not taken for ink.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import components, planes

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

SIDE = 160
"""The sheet is searched for on a copy with about this many pixels along the longer side."""
MIN_DARK_BORDER = 0.8
"""At least this share of the picture's border is background."""
MIN_SHARE = 0.35
MIN_FILLED = 0.86
MIN_LIGHT = 0.6
"""Least share of the picture; and of the sheet's box, with ink filled in, and without."""
MAX_THICKNESS = 0.02
"""A line along the border has at most this share of the shorter side."""
MIN_CONTRAST = 50.0
"""The least difference in brightness between sheet and background, in levels of 255."""


def find(pixels: Pixels) -> Box | None:
    """The sheet's box (left, top, right, bottom) in pixels; None without a background."""
    if _is_even(pixels):
        return None
    factor = max(1, max(pixels.shape[:2]) // SIDE)
    grey = Image.fromarray(pixels).convert("L")
    plane = np.asarray(grey.reduce(factor) if factor > 1 else grey, np.float32)
    if min(plane.shape) < 24:
        return None
    outline = _outline(np.asarray(grey), float(np.median(plane)))
    if outline is not None:
        return outline
    ring = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    middle = float(np.median(plane))
    level = planes.otsu(plane)
    if middle <= level or np.mean(ring < level) < MIN_DARK_BORDER:
        return None
    if middle - float(np.median(ring)) < MIN_CONTRAST:
        return None
    parts = components.components(plane > level)
    index = int(parts.area.argmax())
    box = parts.box(index)
    own = parts.alone(index)
    if own.size < MIN_SHARE * plane.size or own.mean() < MIN_LIGHT or _filled(own) < MIN_FILLED:
        return None
    inset = max(1, round(0.01 * max(plane.shape)))
    height, width = pixels.shape[:2]
    left, top, right, bottom = (side * factor for side in box)
    inset *= factor
    return left + inset, top + inset, min(right, width) - inset, min(bottom, height) - inset


def _is_even(pixels: Pixels) -> bool:
    """Whether the border and most of the picture have a single colour: a canvas."""
    if not planes.has_even_border(pixels):
        return False
    some = pixels[:: max(1, len(pixels) // 48), :: max(1, pixels.shape[1] // 48)]
    return bool(np.count_nonzero(some == pixels[0, 0]) > 0.6 * some.size)


def _filled(own: NDArray[np.bool_]) -> float:
    """The share of a box between the outermost pixels of each row and each column."""
    across = (
        np.maximum.accumulate(own, axis=1) & np.maximum.accumulate(own[:, ::-1], axis=1)[:, ::-1]
    )
    down = np.maximum.accumulate(own, axis=0) & np.maximum.accumulate(own[::-1], axis=0)[::-1]
    return float((across & down).mean())


def _outline(grey: Pixels, paper: float) -> Box | None:
    """The box within a thin dark line along the picture's border, or None."""
    height, width = grey.shape

    def sides(depth: int) -> list[float]:
        last = -1 - depth
        lines = (grey[depth], grey[last], grey[:, depth], grey[:, last])
        return [float(np.median(line)) for line in lines]

    if max(sides(0)) > paper - MIN_CONTRAST:
        return None
    for depth in range(1, max(6, round(MAX_THICKNESS * min(height, width)))):
        if min(sides(depth)) > paper - MIN_CONTRAST / 2:
            return depth + 1, depth + 1, width - depth - 1, height - depth - 1
    return None
