"""Pieces of ink that may be a digit or a fragment of one, and their grey crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import components, native, paper, planes

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = components.Box
REDUCED_SIDE = 80
"""A piece is not reduced below this many pixels along its longer side."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some ink: `box` (left, top, right, bottom), half open, in pixels, and its mask."""

    box: Box
    mask: Mask

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the box, x and y."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def merge(pieces: Sequence[Piece]) -> Piece:
    """Several pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    left = min(piece.box[0] for piece in pieces)
    top = min(piece.box[1] for piece in pieces)
    right = max(piece.box[2] for piece in pieces)
    bottom = max(piece.box[3] for piece in pieces)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for piece in pieces:
        x = piece.box[0] - left
        y = piece.box[1] - top
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    return Piece((left, top, right, bottom), mask)


def pieces(parts: components.Components, chosen: Mask) -> list[Piece]:
    """The chosen components as pieces."""
    return [Piece(parts.box(index), parts.alone(index)) for index in chosen.nonzero()[0]]


def crop(ink: paper.Ink, piece: Piece) -> Floats:
    """The grey ink of one piece, (h, w) float32 in 0 … 1, with soft edges and without neighbours.

    A large piece is reduced, since the network uses 20 pixels of it.
    """
    reach = max(1, round(0.05 * max(piece.width, piece.height)))
    left, top, right, bottom = piece.box
    height, width = ink.values.shape
    outer = (
        max(0, left - reach),
        max(0, top - reach),
        min(width, right + reach),
        min(height, bottom + reach),
    )
    values = ink.values[outer[1] : outer[3], outer[0] : outer[2]]
    inked = ink.mask[outer[1] : outer[3], outer[0] : outer[2]]
    mask = np.zeros(values.shape, np.bool_)
    x = left - outer[0]
    y = top - outer[1]
    mask[y : y + piece.height, x : x + piece.width] = piece.mask
    factor = max(piece.width, piece.height) // REDUCED_SIDE
    if factor > 1:
        values = _reduce(values, factor)
        reach = max(1, reach // factor)
        inked = _reduce(inked, factor) > 0.4
        mask = _reduce(mask, factor) > 0.4
    if native.kernels:
        return native.cut(values, inked, mask, reach, ink.noise)
    # Other ink nearby belongs to a neighbour.
    others = inked & ~mask
    own = spread(mask, reach)
    if others.any():
        own &= ~spread(others, max(1, reach // 2)) | mask
    shown = values[mask]
    high = planes.quantiles(shown, 0.8)[0] if shown.size else 1.0
    low = min(2.5 * ink.noise + 0.01, 0.5 * high)
    share = planes.limited((values - low) / max(high - low, 1e-3))
    return np.where(own, share, np.float32(0.0))


def _reduce(plane: Floats | Mask, factor: int) -> Floats:
    """The mean over blocks of `factor` pixels each way."""
    return np.asarray(Image.fromarray(plane.astype(np.float32)).reduce(factor), np.float32)


def spread(mask: Mask, reach: int) -> Mask:
    """A mask grown by `reach` pixels each way."""
    return planes.dilate(mask, 2 * reach + 1)
