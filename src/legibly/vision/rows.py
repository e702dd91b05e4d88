"""The order of reading: which pieces stand in one row, rows from the top, and left to right within them."""

import itertools
from collections.abc import Sequence

import numpy as np

from legibly.vision import glyphs

STEEPEST = 0.45
"""Rows climb or fall by no more than this, in height over width."""


def typical_height(pieces: Sequence[glyphs.Piece]) -> float:
    """The height of a digit on this page, in pixels: the median over ink, so that specks weigh nothing."""
    if not pieces:
        return 0.0
    # A lying bar's width speaks for its digit's size too, a little.
    heights = np.array(
        [max(piece.height, 0.6 * piece.width if piece.width < 2 * piece.height else 0) for piece in pieces]
    )
    weights = np.array([piece.height * (piece.height + piece.width) for piece in pieces], np.float64)
    order = np.argsort(heights)
    below = np.cumsum(weights[order])
    return float(heights[order][int(np.searchsorted(below, below[-1] / 2))])


def slope(pieces: Sequence[glyphs.Piece], height: float) -> float:
    """How steeply the rows fall to the right, by the way from each full piece to its nearest neighbour."""
    full = [piece for piece in pieces if piece.height > 0.55 * height]
    if len(full) < 3:
        return 0.0
    x, y = np.array([piece.middle for piece in full]).T
    across, down = x[None] - x[:, None], y[None] - y[:, None]
    far = np.where((across > 0.3 * height) & (np.abs(down) < STEEPEST * across + 0.3 * height), across, np.inf)
    nearest = far.argmin(axis=1)
    steps = np.arange(len(full))
    known = np.isfinite(far[steps, nearest]) & (far[steps, nearest] < 4 * height)
    if np.count_nonzero(known) < 2:
        return 0.0
    slopes = down[steps, nearest][known] / across[steps, nearest][known]
    middle = float(np.median(slopes))
    # One digit higher than its neighbour is no slope: several have to agree.
    spread = float(np.median(np.abs(slopes - middle)))
    return middle if abs(middle) > 0.5 * spread and abs(middle) < STEEPEST else 0.0


def rows(pieces: Sequence[glyphs.Piece], height: float) -> list[list[glyphs.Piece]]:
    """Part pieces into rows from the top, each sorted from left to right. `height` is a digit's, in pixels."""
    if not pieces:
        return []
    fall = slope(pieces, height)
    level = [piece.middle[1] - fall * piece.middle[0] for piece in pieces]
    full = [index for index, piece in enumerate(pieces) if piece.height > 0.5 * height]
    full = full or list(range(len(pieces)))
    groups: list[list[int]] = []
    for index in sorted(full, key=lambda one: level[one]):
        if groups and level[index] - float(np.median([level[one] for one in groups[-1]])) < 0.62 * height:
            groups[-1].append(index)
        else:
            groups.append([index])
    middles = [float(np.median([level[one] for one in group])) for group in groups]
    for index in set(range(len(pieces))) - set(full):
        nearest = int(np.argmin([abs(level[index] - middle) for middle in middles]))
        groups[nearest].append(index)
    return [sorted((pieces[one] for one in group), key=lambda piece: piece.middle[0]) for group in groups]


def text(labels: Sequence[Sequence[str]], boxes: Sequence[Sequence[glyphs.Box]], height: float) -> str:
    """The labels in reading order: rows joined by `/`, wide gaps by a space."""
    return "/".join(_row(row, places, height) for row, places in zip(labels, boxes, strict=True) if row)


def _row(labels: Sequence[str], boxes: Sequence[glyphs.Box], height: float) -> str:
    gaps = [after[0] - before[2] for before, after in itertools.pairwise(boxes)]
    usual = float(np.median(gaps)) if len(gaps) > 1 else 0.0
    wide = max(1.2 * height, 2.5 * usual)
    joined = labels[0]
    for gap, label in zip(gaps, labels[1:], strict=True):
        joined += (" " if gap > wide else "") + label
    return joined
