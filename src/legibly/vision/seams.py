"""Cuts a piece that may be touching digits, along paths from top to bottom with least ink."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import glyphs

Floats = NDArray[np.float32]
ROWS = 40
"""Paths are searched for on a copy with this many rows."""
MAX_CUTS = 8
LEANS = (-0.4, -0.2, 0.0, 0.2, 0.4)
"""The slant of straight cuts to the right, in columns per row."""


def cut(piece: glyphs.Piece, height: float) -> list[glyphs.Piece]:
    """Cut a piece into slices from left to right wherever two digits may touch."""
    paths = _paths(piece, height)
    if not len(paths):
        return [piece]
    columns = np.arange(piece.width)[None, :]
    left = np.zeros(piece.height, np.intp)[:, None]
    slices = []
    for path in [*paths, np.full(piece.height, piece.width)]:
        part = piece.mask & (columns >= left) & (columns < path[:, None])
        left = path[:, None]
        trimmed = _trim(piece, part)
        if trimmed is not None:
            slices.append(trimmed)
    return slices or [piece]


def contact(first: glyphs.Piece, other: glyphs.Piece) -> int:
    """The number of pixels of `first` that touch `other`: the ink that the cut between them
    crosses.
    """
    left = min(first.box[0], other.box[0])
    right = max(first.box[2], other.box[2])
    top = min(first.box[1], other.box[1])
    bottom = max(first.box[3], other.box[3])
    near = np.zeros((bottom - top + 2, right - left + 2), np.bool_)
    x = other.box[0] - left + 1
    y = other.box[1] - top + 1
    for across, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near[y + down : y + down + other.height, x + across : x + across + other.width] |= (
            other.mask
        )
    x = first.box[0] - left + 1
    y = first.box[1] - top + 1
    return int(np.count_nonzero(near[y : y + first.height, x : x + first.width] & first.mask))


def _trim(piece: glyphs.Piece, part: glyphs.Mask) -> glyphs.Piece | None:
    rows = np.flatnonzero(part.any(axis=1))
    columns = np.flatnonzero(part.any(axis=0))
    if not len(rows):
        return None
    top = int(rows[0])
    bottom = int(rows[-1]) + 1
    left = int(columns[0])
    right = int(columns[-1]) + 1
    x = piece.box[0]
    y = piece.box[1]
    return glyphs.Piece((x + left, y + top, x + right, y + bottom), part[top:bottom, left:right])


def _paths(piece: glyphs.Piece, height: float) -> list[NDArray[np.intp]]:
    """Cuts from left to right: for each row of the piece the first column right of the cut."""
    scale = ROWS / piece.height
    size = (max(4, round(piece.width * scale)), ROWS)
    small = np.asarray(
        Image.fromarray(piece.mask.astype(np.float32)).resize(size, Image.Resampling.BOX),
        np.float32,
    )
    cost = small + np.float32(0.02)
    total, back = _accumulate(cost)
    least = 0.18 * height * scale
    paths = [_follow(back, start) for start in _minima(total[-1], max(2, round(least)))]
    paths += _straight_cuts(small, max(2, round(least)))
    inner = [path for path in paths if least < path.mean() < size[0] - least]
    rows = np.arange(ROWS)
    inner = _without_crossings(
        sorted(inner, key=lambda path: float(cost[rows, path].sum())), 0.6 * least
    )
    source = np.minimum((np.arange(piece.height) * scale).astype(np.intp), ROWS - 1)
    return [
        np.round((path[source] + 0.5) / size[0] * piece.width).astype(np.intp) for path in inner
    ]


def _straight_cuts(small: Floats, distance: int) -> list[NDArray[np.intp]]:
    """Straight cuts, vertical and slanted, with locally least ink; seams alone all merge into a
    few.
    """
    width = small.shape[1]
    rows = np.arange(ROWS)
    paths = []
    for lean in LEANS:
        columns = (
            np.arange(width)[None] + np.round(lean * (ROWS / 2 - rows)).astype(np.intp)[:, None]
        )
        crossed = small[rows[:, None], np.clip(columns, 0, width - 1)].sum(axis=0)
        lowest = [
            at
            for at in _minima(crossed, distance)
            if crossed[at] <= crossed[max(0, at - 2) : at + 3].min()
        ]
        paths += [np.clip(columns[:, at], 0, width - 1) for at in lowest]
    return paths


def _accumulate(cost: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """The cost of the cheapest path from the top row to each pixel, and its last step: −1, 0, 1."""
    rows, columns = cost.shape
    total = np.full((rows, columns + 2), np.inf, np.float32)
    total[0, 1:-1] = cost[0]
    turn = np.float32(0.41) * cost + np.float32(0.03)  # a diagonal step is longer, and costs more
    for row in range(1, rows):
        straight = total[row - 1, 1:-1]
        left = total[row - 1, :-2]
        right = total[row - 1, 2:]
        total[row, 1:-1] = np.minimum(straight, np.minimum(left, right) + turn[row]) + cost[row]
    straight = total[:-1, 1:-1]
    left = total[:-1, :-2] + turn[1:]
    right = total[:-1, 2:] + turn[1:]
    back = np.zeros((rows, columns), np.int8)
    back[1:] = np.where(straight <= np.minimum(left, right), 0, np.where(left <= right, -1, 1))
    total = total[:, 1:-1]
    return total, back


def _minima(values: Floats, distance: int) -> list[int]:
    """The columns of the lowest values, at least `distance` apart, lowest first."""
    chosen: list[int] = []
    taken = np.zeros(len(values), np.bool_)
    for column in np.argsort(values, kind="stable").tolist():
        if not taken[column]:
            chosen.append(column)
            taken[max(0, column - distance + 1) : column + distance] = True
    return chosen


def _follow(back: NDArray[np.int8], column: int) -> NDArray[np.intp]:
    path = np.empty(len(back), np.intp)
    for row in range(len(back) - 1, -1, -1):
        path[row] = column
        column += int(back[row, column])
    return path


def _without_crossings(paths: list[NDArray[np.intp]], distance: float) -> list[NDArray[np.intp]]:
    """Sort the paths from left to right, without those that cross or nearly meet a better one.

    `paths` come best first.
    """
    cuts: list[NDArray[np.intp]] = []
    for path in paths:
        beside = [(path >= other).all() or (path <= other).all() for other in cuts]
        far = [abs(float((path - other).mean())) >= distance for other in cuts]
        if all(beside) and all(far):
            cuts.append(path)
        if len(cuts) == MAX_CUTS:
            break
    return sorted(cuts, key=lambda path: float(path.mean()))
