"""From the ink plane to pieces that may be digits: specks, shadows' edges, frames and fingers left out."""

import numpy as np

from legibly.vision import components, glyphs, paper, rows

SPECK = 0.16
"""A piece smaller than this share of a digit's height, either way, is a speck."""
WEAK = 0.4
"""A piece whose ink is nowhere this share as dark as the page's is a smudge."""
TINY = 40
"""A picture whose longer side is no longer than this holds one glyph."""


def find(ink: paper.Ink) -> list[glyphs.Piece]:
    """The pieces of ink that may be digits or parts of them, in no order."""
    found = components.components(ink.mask)
    if not len(found):
        return []
    keep = _sound(found, ink)
    candidates = glyphs.pieces(found, keep)
    height = rows.typical_height(candidates)
    return [piece for piece in candidates if max(piece.width, piece.height) >= max(2.0, SPECK * height)]


def _sound(found: components.Components, ink: paper.Ink) -> np.ndarray:
    """Which components are handwriting by size, darkness and place, (components,) bool."""
    height, width = found.shape
    wide, high = found.right - found.left, found.bottom - found.top
    least = max(2.0, 2e-5 * height * width)
    peak = found.peak(ink.values)
    strong = found.area >= max(least, 0.02 * float(found.area.max()))
    typical = float(np.median(peak[strong])) if strong.any() else float(peak.max())
    keep = (found.area >= least) & (peak >= WEAK * typical)
    touches = (found.left == 0) | (found.top == 0) | (found.right == width) | (found.bottom == height)
    # A band along a border, or a corner filled in, is a table, a shadow or the next page; a digit is not that long.
    long = (wide > 0.6 * width) & (high < 0.25 * wide) | (high > 0.6 * height) & (wide < 0.12 * high)
    solid = found.area > 0.55 * wide * high
    large = (wide > 0.25 * width) & (high > 0.25 * height)
    alone = np.count_nonzero(keep) == 1
    if max(height, width) > TINY and not alone:
        keep &= ~(touches & (long | solid & large))
    return keep
