"""Converts a glyph's grey ink to the network's input, like MNIST.

The longer side of the ink is 20 of 28 pixels, the centre of mass at pixel index 14; the aspect
ratio stays, ink is averaged by area and never made binary, and strokes are as wide as in MNIST.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import native, planes

Floats = NDArray[np.float32]

SIDE = 28
INNER = 20
CENTRE = 14.0
MIN_STROKE = 1.9
MAX_STROKE = 4.0
"""Strokes outside these widths, in pixels of the 28 × 28 input, are thickened or thinned."""
STROKE_SCALE = 4
"""Strokes are thickened or thinned on a copy this many times larger than the input."""
MIN_VISIBLE = 0.05


def normalise(crop: Floats) -> Floats:
    """The network's input for a glyph: (28, 28) float32, 0 paper … 1 ink; blank without ink.

    `crop` (h, w) float32 in 0 … 1, grey ink with any margin.
    """
    if native.resizes:
        return native.normalise(crop)
    out = np.zeros((SIDE, SIDE), np.float32)
    tight = trim(crop)
    if tight is None:
        return out
    small = _shrink(tight)
    height, width = small.shape
    mass = float(small.sum())
    row = float(small.sum(axis=1) @ np.arange(height)) / mass
    column = float(small.sum(axis=0) @ np.arange(width)) / mass
    top = min(max(round(CENTRE - row), 0), SIDE - height)
    left = min(max(round(CENTRE - column), 0), SIDE - width)
    out[top : top + height, left : left + width] = small
    return out


def trim(crop: Floats) -> Floats | None:
    """The part of a crop with visible ink, or None."""
    visible = crop > MIN_VISIBLE
    # Searching bytes takes a fraction of NumPy's time for so few.
    rows = np.logical_or.reduce(visible, axis=1).tobytes()
    columns = np.logical_or.reduce(visible, axis=0).tobytes()
    if 1 not in rows:
        return None
    return crop[rows.find(1) : rows.rfind(1) + 1, columns.find(1) : columns.rfind(1) + 1]


def stroke_width(ink: Floats) -> float:
    """The typical width of the strokes in pixels: twice the ink over the length of its edges."""
    padded = planes.pad(ink, 1)
    corner = padded[:-1, :-1]
    down = padded[1:, :-1] - corner
    across = padded[:-1, 1:] - corner
    edge = float(np.sqrt(down * down + across * across).sum())
    return 2.0 * float(ink.sum()) / max(edge, 1e-6)


def _shrink(tight: Floats) -> Floats:
    """Resample ink to 20 pixels along its longer side, with strokes of the usual width."""
    longest = max(tight.shape)
    width = stroke_width(tight) * INNER / longest
    if MIN_STROKE <= width <= MAX_STROKE:
        return _resize(tight, INNER)
    change = (2.2 if width < MIN_STROKE else 3.6) - width
    steps = min(max(round(abs(change) * STROKE_SCALE / 2), 1), 5)
    grow = change > 0
    fine = _resize(tight, INNER * STROKE_SCALE - 2 * steps if grow else INNER * STROKE_SCALE)
    wide = planes.pad(fine, steps + 1 if grow else 1)
    wide = _spread(wide, steps) if grow else 1.0 - _spread(1.0 - wide, steps)
    mended = trim(wide)
    if mended is None or (not grow and mended.sum() < 0.4 * wide.size * tight.mean()):
        return _resize(tight, INNER)
    return _resize(mended, INNER)


def _spread(plane: Floats, steps: int) -> Floats:
    """Dilate a plane by `steps` pixels, alternating between four and eight neighbours.

    The border is wide enough to treat the plane as one long row.
    """
    width = plane.shape[1]
    flat = plane.ravel()
    for step in range(steps):
        across = _with_neighbours(flat, flat, 1)
        flat = _with_neighbours(across, flat if step % 2 == 0 else across, width)
    return flat.reshape(plane.shape)


def _with_neighbours(plane: Floats, others: Floats, distance: int) -> Floats:
    """The largest of each value and the two of `others` at this distance before and after it."""
    result = plane.copy()
    np.maximum(result[distance:], others[:-distance], out=result[distance:])
    np.maximum(result[:-distance], others[distance:], out=result[:-distance])
    return result


def _resize(plane: Floats, longest: int) -> Floats:
    """Resample so that the longer side has `longest` pixels: averaged down, bicubic up."""
    height, width = plane.shape
    scale = longest / max(height, width)
    if scale == 1.0:
        return plane
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = Image.Resampling.BOX if scale < 1.0 else Image.Resampling.BICUBIC
    return planes.limited(np.asarray(Image.fromarray(plane).resize(size, how)))
