"""Connected components of a mask by runs, in NumPy: some 3 ms for a megapixel of writing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Components:
    """The 8-connected components of one mask, numbered from 0 in the order of their topmost run.

    Runs are horizontal and half open: columns `start` … `stop` of `row`, sorted by row, then
    column; `label` says whose they are. Boxes are `left`, `top`, `right`, `bottom`, half open, in
    pixels; `area` counts pixels.
    """

    shape: tuple[int, int]
    row: Ints
    start: Ints
    stop: Ints
    label: Ints
    left: Ints
    top: Ints
    right: Ints
    bottom: Ints
    area: Ints

    def __len__(self) -> int:
        return len(self.area)

    def paint(self, chosen: Mask) -> Mask:
        """A mask (H, W) of the components for which `chosen` (one a component) holds."""
        keep = chosen[self.label]
        return _paint(self.shape, self.row[keep], self.start[keep], self.stop[keep])

    def cut(self, members: Ints, box: tuple[int, int, int, int]) -> Mask:
        """A mask of `box` (left, top, right, bottom) with the ink of some components only."""
        left, top, right, bottom = box
        first, last = np.searchsorted(self.row, (top, bottom))
        runs = slice(first, last)
        keep = np.isin(self.label[runs], members)
        height = bottom - top
        width = right - left
        start = np.maximum(self.start[runs][keep], left) - left
        stop = np.minimum(self.stop[runs][keep], right) - left
        return _paint((height, width), self.row[runs][keep] - top, start, stop)

    def total(self, values: Floats) -> NDArray[np.float64]:
        """The sum of `values` (H, W) over each component."""
        flat = np.concatenate([values.ravel(), np.zeros(1, np.float32)])
        bounds = np.stack(
            [self.row * self.shape[1] + self.start, self.row * self.shape[1] + self.stop], axis=1
        )
        sums = (
            np.add.reduceat(flat, bounds.ravel())[::2] if len(bounds) else np.zeros(0, np.float32)
        )
        return np.bincount(self.label, weights=sums, minlength=len(self)).astype(np.float64)

    def peak(self, values: Floats) -> Floats:
        """The largest of `values` (H, W) in each component."""
        flat = np.concatenate([values.ravel(), np.zeros(1, np.float32)])
        bounds = np.stack(
            [self.row * self.shape[1] + self.start, self.row * self.shape[1] + self.stop], axis=1
        )
        result = np.full(len(self), -np.inf, np.float32)
        if len(bounds):
            np.maximum.at(result, self.label, np.maximum.reduceat(flat, bounds.ravel())[::2])
        return result


def runs(mask: Mask) -> tuple[Ints, Ints, Ints]:
    """Row, start and stop of every horizontal run of a mask (H, W), sorted by row, then column."""
    height, width = mask.shape
    padded = np.zeros((height, width + 1), np.int8)
    padded[:, :width] = mask
    flat = padded.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=np.int8(0)))
    start = edges[0::2]
    stop = edges[1::2]
    row = start // (width + 1)
    return row, start - row * (width + 1), stop - row * (width + 1)


def components(mask: Mask) -> Components:
    """Label the 8-connected components of a mask (H, W)."""
    row, start, stop = runs(mask)
    stride = mask.shape[1] + 1
    begin = row * stride + start
    end = row * stride + stop
    # Runs touch those of the next row from the first that ends at or after their start, diagonals
    # included.
    low = np.searchsorted(end, begin + stride, side="left")
    high = np.searchsorted(begin, end + stride, side="right")
    count = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(len(row)), count)
    lower = (
        np.arange(len(upper)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    )
    label, number = _join(len(row), upper, lower)
    big = np.iinfo(np.intp).max
    left = np.full(number, big)
    top = np.full(number, big)
    right = np.zeros(number, np.intp)
    bottom = np.zeros(number, np.intp)
    np.minimum.at(left, label, start)
    np.minimum.at(top, label, row)
    np.maximum.at(right, label, stop)
    np.maximum.at(bottom, label, row + 1)
    area = np.bincount(label, weights=stop - start, minlength=number).astype(np.intp)
    return Components(mask.shape, row, start, stop, label, left, top, right, bottom, area)


def _join(nodes: int, first: Ints, other: Ints) -> tuple[Ints, int]:
    """Number the connected parts of a graph: a label a node, in the order of first nodes, and how
    many there are.

    Every root hooks on to the smallest neighbouring root, then all pointers are shortened: a few
    whole-array passes.
    """
    parent = np.arange(nodes)
    while len(first):
        a = parent[first]
        b = parent[other]
        differ = a != b
        first = first[differ]
        other = other[differ]
        a = a[differ]
        b = b[differ]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while True:
            grand = parent[parent]
            if (grand == parent).all():
                break
            parent = grand
    roots = parent == np.arange(nodes)
    return (np.cumsum(roots) - 1)[parent], int(roots.sum())


def _paint(shape: tuple[int, int], row: Ints, start: Ints, stop: Ints) -> Mask:
    """A mask with the pixels of some runs set."""
    length = np.maximum(stop - start, 0)
    before = np.cumsum(length) - length
    pixels = np.repeat(row * shape[1] + start - before, length) + np.arange(int(length.sum()))
    mask = np.zeros(shape[0] * shape[1], np.bool_)
    mask[pixels] = True
    return mask.reshape(shape)
