"""Measures the legibility of a digit: the network's mean over small distortions."""

import functools

import numpy as np
from numpy.typing import NDArray

from legibly.vision.opinions import Judge

Floats = NDArray[np.float32]
SIDE = 28
# Horizontal and vertical shift in pixels, rotation in degrees, shear, scale.
_MOVES = (
    (0.0, 0.0, 0.0, 0.0, 1.0),
    (1.0, 0.5, 0.0, 0.0, 1.0),
    (-1.0, -0.5, 0.0, 0.0, 1.0),
    (-0.5, 1.0, 0.0, 0.0, 1.0),
    (0.5, -1.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, 6.0, 0.0, 1.0),
    (0.0, 0.0, -6.0, 0.0, 1.0),
    (0.0, 0.0, 12.0, 0.0, 1.0),
    (0.0, 0.0, -12.0, 0.0, 1.0),
    (0.0, 0.0, 0.0, 0.18, 1.0),
    (0.0, 0.0, 0.0, -0.18, 1.0),
    (0.0, 0.0, 0.0, 0.0, 0.9),
    (0.0, 0.0, 0.0, 0.0, 1.1),
)
CHANGES = len(_MOVES) + 3
TURNS = (5, 6)
"""Two rotations; their mean with the unchanged crop ranks digits nearly like all changes."""


def changed(crops: Floats) -> Floats:
    """Each crop unchanged and distorted: (N, 28, 28) → (N, CHANGES, 28, 28) float32."""
    result = np.empty((len(crops), CHANGES, SIDE, SIDE), np.float32)
    result[:, : len(_MOVES)] = _moved(crops, tuple(range(len(_MOVES))))
    padded = np.pad(crops, ((0, 0), (1, 1), (1, 1)))
    around = np.stack(
        [padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]]
    )
    result[:, -3] = 0.4 * crops + 0.6 * np.maximum(crops, around.max(axis=0))
    result[:, -2] = 0.5 * crops + 0.5 * np.minimum(crops, around.min(axis=0))
    result[:, -1] = 0.4 * crops + 0.15 * around.sum(axis=0)
    return result


def turned(crops: Floats) -> Floats:
    """Each crop a little to either side: (N, 28, 28) → (N, 2, 28, 28) float32, the TURNS of
    `changed`.
    """
    return _moved(crops, TURNS)


def measure(probabilities: Floats, digitness: Floats, intended: NDArray[np.intp]) -> Floats:
    """The mean calibrated probability of the intended class, (N,).

    `probabilities` (N × changes, K), `digitness` (N × changes,), `intended` (N,).
    """
    shaped = (probabilities * digitness[:, None]).reshape(len(intended), -1, probabilities.shape[1])
    return np.asarray(shaped[np.arange(len(intended)), :, intended].mean(axis=1), np.float32)


class Turns:
    """Judges crops unchanged and turned: close to the result of all changes in a fifth of the time.

    The first crop that comes alone is usually the picture's only one, so the network reads it and
    its turns in one call.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._crop: Floats | None = None
        self._answer: tuple[Floats, Floats] | None = None

    def judge(self, crops: Floats) -> tuple[Floats, Floats]:
        """The opinion of the network on crops (N, 28, 28), unchanged."""
        if len(crops) != 1 or self._crop is not None:
            return self._judge(crops)
        probabilities, digitness = self._judge(np.concatenate([crops, turned(crops)[0]]))
        self._crop = crops[0]
        self._answer = probabilities[1:], digitness[1:]
        return probabilities[:1], digitness[:1]

    def measure(self, crops: Floats, intended: NDArray[np.intp]) -> Floats:
        """The mean calibrated probability of the intended class over a crop's turns: (N,)."""
        return measure(*self._opinion(crops), intended)

    def _opinion(self, crops: Floats) -> tuple[Floats, Floats]:
        """The network's opinion on the turns of crops (N, 28, 28)."""
        known = self._answer if len(crops) == 1 and self._is_known(crops[0]) else None
        return known or self._judge(turned(crops).reshape(-1, SIDE, SIDE))

    def _is_known(self, crop: Floats) -> bool:
        return self._crop is not None and self._crop.tobytes() == crop.tobytes()


def _moved(crops: Floats, moves: tuple[int, ...]) -> Floats:
    """(N, 28, 28) → (N, moves, 28, 28) float32."""
    places, shares = _sources(moves)
    flat = np.zeros(
        (len(crops), SIDE * SIDE + 1), np.float32
    )  # the last element is paper outside of the crop
    flat[:, :-1] = crops.reshape(len(crops), -1)
    moved = np.einsum("nmpk,mpk->nmp", flat[:, places], shares, optimize=False)
    return np.asarray(moved.reshape(len(crops), len(moves), SIDE, SIDE), np.float32)


@functools.cache
def _sources(moves: tuple[int, ...]) -> tuple[NDArray[np.intp], Floats]:
    """The part of `_tables` for some moves."""
    index, weight = _tables()
    return index[list(moves)], weight[list(moves)]


@functools.cache
def _tables() -> tuple[NDArray[np.intp], Floats]:
    """Where each pixel of each moved crop comes from: four source pixels and their weights, (moves,
    784, 4).
    """
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    middle = (SIDE - 1) / 2
    indices = []
    weights = []
    for across, down, degrees, shear, scale in _MOVES:
        angle = np.deg2rad(degrees)
        x = (columns - middle - across) / scale
        y = (rows - middle - down) / scale
        turned_x = x * np.cos(angle) + y * np.sin(angle) + shear * y
        turned_y = y * np.cos(angle) - x * np.sin(angle)
        x = turned_x + middle
        y = turned_y + middle
        left = np.floor(x).astype(np.intp)
        top = np.floor(y).astype(np.intp)
        index = []
        weight = []
        for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column = left + i
            row = top + j
            inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
            index.append(np.where(inside, row * SIDE + column, SIDE * SIDE).ravel())
            weight.append(((1 - np.abs(x - column)) * (1 - np.abs(y - row))).ravel())
        indices.append(np.stack(index, axis=1))
        weights.append(np.stack(weight, axis=1))
    return np.stack(indices), np.stack(weights).astype(np.float32)
