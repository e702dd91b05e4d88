"""Sorts pieces in reading order: into rows from the top, and from left to right within a row."""

import itertools
from collections.abc import Sequence

import numpy as np

from legibly.vision.ink import glyphs

MAX_SLOPE = 0.45
"""Rows are not steeper than this, in height over width."""
MAX_GAP = 1.5
MAX_STEP = 0.7
"""The widest gap and the highest step between two digits of a row, in digit heights."""


def typical_height(pieces: Sequence[glyphs.Piece]) -> float:
    """The height of a digit on this page, in pixels: a median weighted by size, since specks are
    common.
    """
    if not pieces:
        return 0.0
    if len(pieces) == 1:
        return _height(pieces[0])
    heights = np.array([_height(piece) for piece in pieces])
    weights = np.array(
        [piece.height * (piece.height + piece.width) for piece in pieces], np.float64
    )
    order = np.argsort(heights)
    below = np.cumsum(weights[order])
    return float(heights[order][int(np.searchsorted(below, below[-1] / 2))])


def _height(piece: glyphs.Piece) -> float:
    """The height of a piece's digit; for a horizontal bar its width counts a little too."""
    return max(float(piece.height), 0.6 * piece.width if piece.width < 2 * piece.height else 0.0)


def slope(pieces: Sequence[glyphs.Piece], height: float) -> float:
    """The slope of the rows, from each full piece to its nearest neighbour on the right."""
    full = [piece for piece in pieces if piece.height > 0.55 * height]
    if len(full) < 3:
        return 0.0
    x, y = np.array([piece.middle for piece in full]).T
    across = x[None] - x[:, None]
    down = y[None] - y[:, None]
    far = np.where(
        (across > 0.3 * height) & (np.abs(down) < MAX_SLOPE * across + 0.3 * height), across, np.inf
    )
    nearest = far.argmin(axis=1)
    steps = np.arange(len(full))
    known = np.isfinite(far[steps, nearest]) & (far[steps, nearest] < 4 * height)
    if np.count_nonzero(known) < 2:
        return 0.0
    slopes = down[steps, nearest][known] / across[steps, nearest][known]
    middle = float(np.median(slopes))
    # A single digit higher than its neighbour makes no slope, so several must agree.
    spread = float(np.median(np.abs(slopes - middle)))
    return middle if abs(middle) > 0.5 * spread and abs(middle) < MAX_SLOPE else 0.0


def rows(pieces: Sequence[glyphs.Piece], height: float) -> list[list[glyphs.Piece]]:
    """Split pieces into rows from the top, each from left to right; `height` is that of a digit."""
    if not pieces:
        return []
    fall = slope(pieces, height)

    def level(piece: glyphs.Piece) -> float:
        return piece.middle[1] - fall * piece.middle[0]

    full = [piece for piece in pieces if piece.height > 0.5 * height] or list(pieces)
    groups: list[list[glyphs.Piece]] = []
    for piece in sorted(full, key=level):
        if (
            groups
            and level(piece) - float(np.median([level(member) for member in groups[-1]]))
            < 0.62 * height
        ):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    groups = _join_continued(groups, height)
    groups.sort(key=lambda group: float(np.median([level(member) for member in group])))
    middles = np.array([np.median([level(member) for member in group]) for group in groups])
    known = {id(piece) for piece in full}
    for piece in pieces:
        if id(piece) not in known:
            groups[int(np.abs(middles - level(piece)).argmin())].append(piece)
    return [sorted(group, key=lambda piece: piece.middle[0]) for group in groups]


def _join_continued(
    groups: Sequence[list[glyphs.Piece]], height: float
) -> list[list[glyphs.Piece]]:
    """Join groups that continue where another one ends: parts of a steeper or curved row."""
    rows: list[list[glyphs.Piece]] = []
    ends: list[glyphs.Piece] = []
    for group in sorted(groups, key=lambda group: min(piece.box[0] for piece in group)):
        first = min(group, key=lambda piece: piece.box[0])
        last = max(group, key=lambda piece: piece.box[2])
        for index, end in enumerate(ends):
            gap = first.box[0] - end.box[2]
            drop = abs(first.middle[1] - end.middle[1])
            if -0.1 * height < gap < MAX_GAP * height and drop < MAX_STEP * height + 0.3 * max(
                gap, 0
            ):
                rows[index] += group
                ends[index] = last
                break
        else:
            rows.append(list(group))
            ends.append(last)
    return rows


def text(
    labels: Sequence[Sequence[str]], boxes: Sequence[Sequence[glyphs.Box]], height: float
) -> str:
    """The labels in reading order: rows joined by `/`, wide gaps as a space."""
    return "/".join(
        _row(row, places, height) for row, places in zip(labels, boxes, strict=True) if row
    )


def _row(labels: Sequence[str], boxes: Sequence[glyphs.Box], height: float) -> str:
    gaps = [after[0] - before[2] for before, after in itertools.pairwise(boxes)]
    usual = float(np.median(gaps)) if len(gaps) > 1 else 0.0
    wide = max(1.2 * height, 2.5 * usual)
    joined = labels[0]
    for gap, label in zip(gaps, labels[1:], strict=True):
        joined += (" " if gap > wide else "") + label
    return joined
