"""The network's opinion on each piece of ink, computed once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from legibly.vision import line
from legibly.vision.ink import glyphs, normalise, paper

Floats = NDArray[np.float32]
Judge = Callable[[Floats], tuple[Floats, Floats]]
"""Crops (N, 28, 28) float32 to probabilities (N, classes) and digitness (N,)."""

CLEAR_CONFIDENCE = 0.9
"""A piece of at least this confidence is a digit."""
CROP_COST = 1.5
PIXEL_COST = 1.5e-4


@dataclass(slots=True)
class Budget:
    """The estimated cost of a picture so far, in milliseconds on a slow core."""

    spent: float = 0.0

    def count(self, *, crops: int = 0, pixels: int = 0) -> None:
        self.spent += CROP_COST * crops + PIXEL_COST * pixels


@dataclass(frozen=True, slots=True)
class Networks:
    """The digit classifier, the line reader if the pack has one, and the budget of the picture."""

    judge: Judge
    read_line: line.Reader | None = None
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible digit: `box` (left, top, right, bottom) in pixels, network input and output."""

    box: glyphs.Box
    crop: Floats  # (28, 28) float32, 0 paper … 1 ink
    probabilities: Floats  # (classes,)
    digitness: float

    @property
    def confidence(self) -> float:
        # NumPy's `max` method takes three times as long for so few.
        return float(np.maximum.reduce(self.probabilities)) * self.digitness

    @property
    def label(self) -> int:
        """The most likely class."""
        return int(self.probabilities.argmax())

    def at(self, box: glyphs.Box) -> "Candidate":
        """The same digit in another box."""
        return Candidate(box, self.crop, self.probabilities, self.digitness)


def mean_log_confidence(items: Sequence[Candidate]) -> float:
    """The mean logarithm of the confidences of some items, none below that of 0.0001."""
    return sum([math.log(max(item.confidence, 1e-4)) for item in items]) / len(items)


class Opinions:
    """The network's opinion on pieces of some ink."""

    def __init__(self, ink: paper.Ink, networks: Networks) -> None:
        self.ink = ink
        self._networks = networks
        self._known: dict[int, Candidate] = {}
        self._alive: list[glyphs.Piece] = []  # ids are of living objects only

    def __len__(self) -> int:
        return len(self._alive)

    def ask(self, pieces: Sequence[glyphs.Piece]) -> None:
        """Judge all pieces that have not been judged yet in one batch."""
        fresh = [piece for piece in pieces if id(piece) not in self._known]
        if not fresh:
            return
        self._networks.budget.count(crops=len(fresh))
        inputs = crops(self.ink, fresh)
        probabilities, digitness = self._networks.judge(inputs)
        for index, piece in enumerate(fresh):
            candidate = Candidate(
                piece.box, inputs[index], probabilities[index], float(digitness[index])
            )
            self._known[id(piece)] = candidate
        self._alive += fresh

    def of(self, piece: glyphs.Piece) -> Candidate:
        return self._known[id(piece)]


def crops(ink: paper.Ink, pieces: Sequence[glyphs.Piece]) -> Floats:
    """The network's inputs, (N, 28, 28) float32."""
    inputs = [normalise.normalise(glyphs.crop(ink, piece)) for piece in pieces]
    return np.array(inputs) if inputs else np.zeros((0, normalise.SIDE, normalise.SIDE), np.float32)
