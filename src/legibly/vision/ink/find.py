"""Finds the pieces of ink that may be digits: no specks, shadow edges, frames or fingers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import components, glyphs, paper, planes, rows

Mask = NDArray[np.bool_]

SPECK_SIZE = 0.16
"""A piece smaller than this share of a digit's height in both directions is a speck."""
MIN_DARKNESS = 0.4
"""A piece whose darkest ink is below this share of the page's is a smudge."""
LOW_SHARE = 0.5
"""A piece lower than this share of the ring around it may be a stroke in a zero."""
TINY_SIDE = 40
"""A picture whose longer side is at most this long has one glyph."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The ink in pieces, in no order: possible digits or parts of them, the boxes of small other
    ones, and rings around a single low piece, which may be zeros with a stroke in them.
    """

    digits: list[glyphs.Piece]
    small: list[glyphs.Box]
    rings: list[glyphs.Piece]


def find(ink: paper.Ink) -> list[glyphs.Piece]:
    """The pieces of ink that may be digits or parts of them, in no order."""
    return split(ink).digits


def split(ink: paper.Ink, parts: components.Components | None = None) -> Pieces:
    """All pieces of the ink; `parts` are the components of its mask where they are known."""
    parts = components.components(ink.mask) if parts is None else parts
    if not len(parts):
        return Pieces([], [], [])
    keep, rings = _handwriting(parts, ink)
    candidates = glyphs.pieces(parts, keep)
    height = rows.typical_height(candidates)
    large = [
        piece
        for piece in candidates
        if max(piece.width, piece.height) >= max(2.0, SPECK_SIZE * height)
    ]
    pieces = [piece for piece in large if not _bar(piece, large, height)]
    chosen = {id(piece) for piece in pieces}
    small = [piece.box for piece in candidates if id(piece) not in chosen]
    return Pieces(pieces, small, glyphs.pieces(parts, rings))


def _bar(piece: glyphs.Piece, pieces: list[glyphs.Piece], height: float) -> bool:
    """Whether a piece is a dash that is not part of a digit, or the rest of a printed line.

    The bar of a 5 or 7 lies over or beside a larger piece.
    """
    if piece.width < 3 * piece.height or piece.height > 0.4 * height:
        return False
    left, top, right, bottom = piece.box
    for other in pieces:
        if other is piece or other.height < 0.45 * height or piece.width > 1.3 * height:
            continue
        beside = min(right, other.box[2]) - max(left, other.box[0]) > -0.15 * height
        if beside and top - 0.35 * height < other.box[3] and bottom + 0.35 * height > other.box[1]:
            return False
    return len(pieces) > 1


def _handwriting(parts: components.Components, ink: paper.Ink) -> tuple[Mask, Mask]:
    """Which components are handwriting by size, darkness and place, and which are rings around a
    single low one: (components,) bool each.
    """
    height, width = parts.shape
    least = max(2.0, 2e-5 * height * width)
    if len(parts) == 1:  # without others there is no comparison
        return parts.area >= least, np.zeros(1, np.bool_)
    peak = parts.peak(ink.values)
    strong = parts.area >= max(least, 0.02 * float(parts.area.max()))
    if strong.any():
        # Small writing on a large page: the size of specks depends on the digits, not on the paper.
        least = max(2.0, min(least, 0.2 * planes.median(parts.area[strong])))
    typical = planes.median(peak[strong]) if strong.any() else float(peak.max())
    keep = (parts.area >= least) & (peak >= MIN_DARKNESS * typical)
    if max(height, width) <= TINY_SIDE:
        return keep, np.zeros(len(parts), np.bool_)
    keep &= ~_marginal(parts, ink, keep)
    frames, rings = _frames(parts, keep)
    return keep & ~frames, rings


def _marginal(parts: components.Components, ink: paper.Ink, keep: Mask) -> Mask:
    """Which components along the border are shadows, tables or neighbours rather than digits.

    None unless a better one is clear of the border, since a digit may be cropped closely.
    """
    height, width = parts.shape
    wide = parts.right - parts.left
    high = parts.bottom - parts.top
    sides = (parts.left == 0) | (parts.right == width), (parts.top == 0) | (parts.bottom == height)
    touches = sides[0] | sides[1]
    clear = keep & ~touches
    if not clear.any():
        return np.zeros(len(parts), np.bool_)
    size = np.maximum(wide, high)
    main = np.flatnonzero(clear)[int(np.argmax((parts.area * size)[clear]))]
    if size[main] < 0.12 * max(height, width) and size[main] < 0.5 * size[keep].max():
        return np.zeros(len(parts), np.bool_)
    mean = parts.total(ink.values) / parts.area
    faint = mean < 0.6 * mean[main]
    sliver = (sides[0] & (wide < 0.3 * size[main])) | (sides[1] & (high < 0.3 * size[main]))
    fat = 2.0 * parts.area / np.maximum(wide + high, 1) > 2.0 * parts.area[main] / max(
        wide[main] + high[main], 1
    )
    solid = (parts.area > 0.5 * wide * high) & fat & (size > 0.5 * size[main])
    long = (wide > 0.6 * width) & (high < 0.25 * wide) | (high > 0.6 * height) & (
        wide < 0.12 * high
    )
    return np.asarray(touches & (faint | sliver | solid | long))


def _frames(parts: components.Components, keep: Mask) -> tuple[Mask, Mask]:
    """Which components surround others (frames, tables, a circle around a number), and which of
    these surround a single low one.
    """
    height = parts.bottom - parts.top
    width = parts.right - parts.left
    thin = (
        keep
        & (parts.area < 0.35 * width * height)
        & (np.maximum(width, height) > 0.15 * max(parts.shape))
    )
    frames = np.zeros(len(parts), np.bool_)
    rings = np.zeros(len(parts), np.bool_)
    for index in np.flatnonzero(thin):
        inside = keep & (parts.left > parts.left[index]) & (parts.right < parts.right[index])
        inside &= (parts.top > parts.top[index]) & (parts.bottom < parts.bottom[index])
        large = inside & (height > 0.3 * height[index])
        large &= _surrounded(parts, int(index), large)
        several = inside & (height > 0.08 * height[index]) & (np.maximum(width, height) > 8)
        frames[index] = large.any() or np.count_nonzero(several) >= 3
        low = height[large] < LOW_SHARE * height[index]
        rings[index] = np.count_nonzero(large) == 1 and bool(low.all())
    return frames, rings


def _surrounded(parts: components.Components, index: int, inside: Mask) -> Mask:
    """Which components have ink of component `index` on at least three sides.

    Overlapping boxes are not enough: the two strokes of a 4 are in each other's boxes.
    """
    result = np.zeros(len(parts), np.bool_)
    if not inside.any():
        return result
    left = int(parts.left[index])
    top = int(parts.top[index])
    own = parts.alone(index)
    for at in np.flatnonzero(inside):
        x = int(parts.left[at] + parts.right[at]) // 2 - left
        y = int(parts.top[at] + parts.bottom[at]) // 2 - top
        sides = (own[y, :x], own[y, x:], own[:y, x], own[y:, x])
        result[at] = sum(bool(side.any()) for side in sides) >= 3
    return result
