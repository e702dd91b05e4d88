"""Advice on how to write a digit more clearly, by the digit it was mistaken for and by its ink.

The key is (intended, read). A hint with `holes` is used only if the ink has that many closed loops.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
INK = 0.35
"""Pixels at least this dark, 0 paper … 1 ink, count as ink."""


class Hint(NamedTuple):
    """One sentence; `holes` is the required number of loops, None for any."""

    text: str
    holes: int | None = None


TABLE: Mapping[tuple[str, str], tuple[Hint, ...]] = {
    ("0", "6"): (
        Hint("Let the two ends of the 0 meet at the top and stop there: overshooting makes a 6."),
    ),
    ("0", "8"): (Hint("Draw the 0 in one round and keep its middle empty."),),
    ("0", "9"): (Hint("Close the 0 without a tail at the bottom right."),),
    ("1", "2"): (Hint("Leave out the foot of the 1, or keep it short."),),
    ("1", "4"): (Hint("Keep the upstroke of the 1 short, and nothing crossing it."),),
    ("1", "7"): (
        Hint(
            "Make the flag of the 1 shorter and steeper: a long flat one reads as the bar of a 7."
        ),
    ),
    ("2", "1"): (Hint("Give the 2 a rounder top and a longer foot."),),
    ("2", "3"): (Hint("End the 2 with a flat foot to the right instead of a curl."),),
    ("2", "7"): (
        Hint("Draw the foot of the 2 clearly to the right: without it, it reads as a 7."),
    ),
    ("2", "8"): (
        Hint("Open the loop at the foot of the 2, or make it smaller.", holes=1),
        Hint("Keep the 2 open."),
    ),
    ("3", "2"): (Hint("Curl the lower half of the 3 back to the left."),),
    ("3", "5"): (Hint("Start the 3 with a round top, not with a bar."),),
    ("3", "8"): (Hint("Leave the left side of the 3 open: its ends must not touch the middle."),),
    ("3", "9"): (Hint("Leave the upper half of the 3 open on the left."),),
    ("4", "1"): (Hint("Draw the left arm and the crossing bar of the 4 wider."),),
    ("4", "6"): (Hint("Let the stem of the 4 reach well below the bar."),),
    ("4", "7"): (Hint("Draw the bar of the 4 lower, and to both sides of the stem."),),
    ("4", "9"): (
        Hint("The top of the 4 is closed: leave it open.", holes=1),
        Hint("Make the corners of the 4 sharp and its top wide open.", holes=0),
    ),
    ("5", "3"): (
        Hint("Draw the upper left of the 5 as a clear corner: bar first, then straight down."),
    ),
    ("5", "6"): (
        Hint("Leave the lower left of the 5 open: its belly must not close.", holes=1),
        Hint("End the belly of the 5 earlier."),
    ),
    ("5", "8"): (Hint("Leave both halves of the 5 open."),),
    ("5", "9"): (Hint("Keep the top of the 5 open: the bar must not bend down to the belly."),),
    ("6", "0"): (
        Hint("Let the stem of the 6 rise clearly above its loop, and make the loop small."),
    ),
    ("6", "4"): (Hint("Make the 6 rounder: one curve from the top into the loop."),),
    ("6", "5"): (
        Hint("Close the loop of the 6.", holes=0),
        Hint("Start the 6 with a curve, not with a bar."),
    ),
    ("6", "8"): (
        Hint("Leave the top of the 6 open.", holes=2),
        Hint("Keep the stem of the 6 straight."),
    ),
    ("7", "1"): (Hint("Draw the bar of the 7 longer and level, or cross its stem."),),
    ("7", "2"): (Hint("End the 7 at the bottom without a foot."),),
    ("7", "4"): (Hint("Draw the cross of the 7 shorter, and its top as one straight bar."),),
    ("7", "9"): (Hint("Keep the bar of the 7 straight: it must not curl back to the stem."),),
    ("8", "0"): (
        Hint("Pinch the 8 in its middle, so that two loops show.", holes=1),
        Hint("Make the two loops of the 8 equal."),
    ),
    ("8", "3"): (Hint("Close both loops of the 8 on the left."),),
    ("8", "5"): (Hint("Close both loops of the 8: start and end at the same point."),),
    ("8", "6"): (
        Hint("Close the upper loop of the 8.", holes=1),
        Hint("Make the upper loop of the 8 larger."),
    ),
    ("8", "9"): (
        Hint("Close the lower loop of the 8.", holes=1),
        Hint("Make the lower loop of the 8 larger."),
    ),
    ("9", "0"): (Hint("Give the 9 a stem that reaches well below its loop."),),
    ("9", "1"): (Hint("Make the loop of the 9 wider."),),
    ("9", "3"): (Hint("Close the loop of the 9 on its left."),),
    ("9", "4"): (
        Hint("Close the top of the 9 with a round loop.", holes=0),
        Hint("Make the loop of the 9 rounder."),
    ),
    ("9", "5"): (
        Hint("Close the loop of the 9 on its right.", holes=0),
        Hint("Make the loop of the 9 rounder."),
    ),
    ("9", "7"): (Hint("Close the loop of the 9.", holes=0), Hint("Make the loop of the 9 larger.")),
    ("9", "8"): (Hint("End the 9 with a straight stem or a short tail: it must not close below."),),
}
GENERAL = "Write the {meant} larger and more slowly, and make it clearly different from a {read}."


def pair(intended: str, read: str, ink: Floats | None = None) -> str:
    """Advice for a digit `intended` that was read as `read`, by its `ink` (28, 28), 0 … 1."""
    hints = TABLE.get((intended, read))
    if not hints:
        return GENERAL.format(meant=intended, read=read)
    hole_count = holes(ink) if ink is not None else None
    for hint in hints:
        if hint.holes is None or hole_count is None or hint.holes == hole_count:
            return hint.text
    return hints[-1].text


def holes(ink: Floats) -> int:
    """Count the closed loops of ink (H, W) in 0 … 1: patches of paper that reach no edge."""
    paper = np.pad(np.asarray(ink) < INK, 1, constant_values=True)
    count = 0
    left = paper.copy()
    _flood(left, (0, 0))
    while left.any():
        start = np.argwhere(left)[0]
        if _flood(left, (int(start[0]), int(start[1]))) >= 2:  # a single pixel is noise
            count += 1
    return count


def _flood(left: NDArray[np.bool_], start: tuple[int, int]) -> int:
    """Clear the patch around `start`, in four directions; return its number of pixels."""
    todo = [start]
    size = 0
    while todo:
        row, column = todo.pop()
        if not (0 <= row < left.shape[0] and 0 <= column < left.shape[1] and left[row, column]):
            continue
        left[row, column] = False
        size += 1
        todo += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return size
