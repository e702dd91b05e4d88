"""Evidence against a reading: ink outside its items, and a background that is not paper."""

from collections.abc import Sequence

import numpy as np

from legibly.vision.ink import components, glyphs, paper, planes

CALM_GRAIN = 0.05
"""With less grain the background surely is paper."""
SAMPLE_SIDE = 200
"""The unevenness is measured on at most this many pixels a side."""
MAX_STROKE_WIDTHS = 4.0
SOLID_SHARE = 0.5
"""A piece this many stroke widths thick that fills this share of its box is no stroke, but a badge
or a shadow.
"""


def grain(ink: paper.Ink) -> float:
    """The unevenness of the paper relative to the strength of the ink; high in photos of objects.

    The smaller of noise and spread, since a frame along the border raises only one of them.
    """
    if ink.noise == 0.0 or not ink.mask.any():
        return 0.0
    typical = max(planes.quantiles(ink.values[ink.mask], 0.5)[0], 1e-3)
    noise = ink.noise / typical
    if noise < CALM_GRAIN:
        return noise
    step = max(1, max(ink.mask.shape) // SAMPLE_SIDE)
    blank = ~planes.dilate(np.ascontiguousarray(ink.mask[::step, ::step]), 3)
    if not blank.any():
        return noise
    spread = planes.quantiles(np.abs(ink.values[::step, ::step][blank]), 0.9)[0]
    return min(noise, 0.5 * spread / typical)


def share(mask: glyphs.Mask, boxes: Sequence[glyphs.Box]) -> float:
    """The share of the ink that lies outside all boxes."""
    return float(np.count_nonzero(_outside(mask, boxes))) / max(1.0, float(np.count_nonzero(mask)))


def strokes(mask: glyphs.Mask, boxes: Sequence[glyphs.Box]) -> float:
    """The same for strokes only: without frames around boxes and without solid areas."""
    rest = _outside(mask, boxes)
    parts = components.components(rest)
    if not len(parts):
        return 0.0
    around = np.zeros(len(parts), np.bool_)
    for left, top, right, bottom in boxes:
        around |= (
            (parts.left <= left)
            & (parts.top <= top)
            & (parts.right >= right)
            & (parts.bottom >= bottom)
        )
    digits = mask & ~rest
    wide = parts.right - parts.left
    high = parts.bottom - parts.top
    fat = np.minimum(wide, high) > MAX_STROKE_WIDTHS * paper.width(digits)
    solid = fat & (parts.area > SOLID_SHARE * wide * high)
    left_out = float(parts.area[~around & ~solid].sum())
    return left_out / max(1.0, left_out + float(np.count_nonzero(digits)))


def _outside(mask: glyphs.Mask, boxes: Sequence[glyphs.Box]) -> glyphs.Mask:
    rest = mask.copy()
    for left, top, right, bottom in boxes:
        rest[top:bottom, left:right] = False
    return rest
