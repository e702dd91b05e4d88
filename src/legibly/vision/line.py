"""Reads a row of digits without cutting it: the input and output of the line network.

The network (CTC) returns log probabilities for every fourth column: of the blank, of each digit,
and of another sign.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import glyphs, paper, planes

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Reader = Callable[[Floats], Floats]
"""Lines (N, 1, 32, W) float32 to log probabilities (N, W / 4, 12)."""

HEIGHT = 32
DIGIT = 20
"""The height of a line and of a digit in it, in pixels."""
MARGIN = 8
"""The margin of the line on either side of the digits, in pixels."""
STEP = 4
BLANK = 0
OTHER = 11
"""The outputs: 0 is the blank, 1 to 10 are the digits 0 to 9, 11 is another sign."""
MAX_WIDTH = 1280
"""Wider lines are not read; in pixels, with digits 20 pixels high."""


@dataclass(frozen=True, slots=True)
class Band:
    """A row's grey ink as the network's input, (32, W), and its place in the picture.

    Column x of the band is column `left + x * pixels` of the picture.
    """

    values: Floats
    left: float
    pixels: float

    def column(self, place: float) -> float:
        """The column of the picture at the middle of output `place`."""
        return self.left + (STEP * place + STEP / 2) * self.pixels


@dataclass(frozen=True, slots=True)
class Spike:
    """A label of the most likely answer, the place of its peak, and the probabilities of the digits
    and of being a digit.
    """

    label: int
    place: int
    probabilities: Floats
    digitness: float


def band(
    ink: paper.Ink, row: Sequence[glyphs.Piece], foreign: Sequence[glyphs.Piece], height: float
) -> Band | None:
    """The row's ink, made horizontal, with digits 20 pixels high; None if it is too wide.

    Pieces of other rows (`foreign`) are left out.
    """
    left = min(piece.box[0] for piece in row)
    right = max(piece.box[2] for piece in row)
    scale = DIGIT / height
    width = -(-round((right - left) * scale + 2 * MARGIN) // STEP) * STEP
    if width > MAX_WIDTH:
        return None
    fall, middle = _course(row, height)
    factor = max(1, int(1 / scale))
    x0 = left - MARGIN / scale
    y0 = middle + fall * x0 - HEIGHT / 2 / scale
    top = max(0, int(min(y0, y0 + fall * (right - x0)) - 2 * factor))
    bottom = int(max(y0, y0 + fall * (right - x0)) + HEIGHT / scale + 2 * factor) + 1
    values = _levelled(ink, row, foreign, slice(top, bottom))
    part = Image.fromarray(np.ascontiguousarray(values))
    if factor > 1:
        part = part.reduce(factor)
    unit = 1 / scale / factor
    matrix = (unit, 0.0, x0 / factor, fall * unit, unit, (y0 - top) / factor)
    line = part.transform(
        (width, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return Band(np.asarray(line, np.float32), x0, 1 / scale)


def _course(row: Sequence[glyphs.Piece], height: float) -> tuple[float, float]:
    """The slope of the row, and the vertical position of its middle at column 0."""
    full = [piece for piece in row if 0.6 * height < piece.height < 1.6 * height] or list(row)
    x = np.array([piece.middle[0] for piece in full])
    y = np.array([piece.middle[1] for piece in full])
    if len(full) < 3 or np.ptp(x) < 1.5 * height:
        return 0.0, float(np.median(y))
    fall = float(np.clip(np.polyfit(x, y, 1)[0], -0.5, 0.5))
    return fall, float(np.median(y - fall * x))


def _levelled(
    ink: paper.Ink, row: Sequence[glyphs.Piece], foreign: Sequence[glyphs.Piece], span: slice
) -> Floats:
    """The ink in rows `span`, scaled to 0 … 1 by its strength, without foreign pieces."""
    sample = [
        ink.values[y0:y1, x0:x1][piece.mask] for piece in row for x0, y0, x1, y1 in [piece.box]
    ]
    high = planes.quantiles(np.concatenate(sample), 0.8)[0]
    low = min(2.5 * ink.noise + 0.01, 0.5 * high)
    values: Floats = np.clip((ink.values[span] - low) / max(high - low, 1e-3), 0.0, 1.0)
    for piece in foreign:
        x0, top, x1, bottom = piece.box
        y0 = top - span.start
        y1 = bottom - span.start
        reach = max(1, round(0.03 * max(piece.width, piece.height)))
        if y1 + reach <= 0 or y0 - reach >= len(values):
            continue
        around = np.pad(piece.mask, reach)
        gone = glyphs.spread(around, reach)
        target = values[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach]
        gone = gone[max(0, reach - y0) :, max(0, reach - x0) :][: len(target), : target.shape[1]]
        target[gone] = 0.0
    return values


def spikes(scores: Floats) -> list[Spike]:
    """The most likely answer: the labels that exceed the blank, each run of equal ones once."""
    path = scores.argmax(axis=1)
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    result = []
    for start, stop in zip(starts, [*starts[1:], len(path)], strict=True):
        label = int(path[start])
        if label == BLANK:
            continue
        place = int(start) + int(scores[start:stop, label].argmax())
        signs = np.exp(scores[start:stop, BLANK + 1 :].max(axis=0))
        digits = signs[:-1] / signs[:-1].sum()
        digitness = float(signs[:-1].sum() / signs.sum())
        result.append(Spike(label, place, digits.astype(np.float32), digitness))
    return result


def log_probability(scores: Floats, labels: Sequence[int]) -> float:
    """The log probability that the line has exactly these labels, over all their places."""
    states = np.zeros(2 * len(labels) + 1, np.intp)
    states[1::2] = labels
    jumps = np.zeros(len(states), np.bool_)
    jumps[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    total = np.full(len(states), -np.inf)
    total[:2] = scores[0, states[:2]]
    for row in scores[1:]:
        step = np.concatenate([[-np.inf], total[:-1]])
        jump = np.concatenate([[-np.inf, -np.inf], total[:-2]])[: len(total)]
        total = np.logaddexp(np.logaddexp(total, step), np.where(jumps, jump, -np.inf))
        total = total + row[states]
    last = np.logaddexp.reduce(total[-2:])
    return float(last)
