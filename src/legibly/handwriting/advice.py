"""Advice on how to write a digit more clearly, by the digit it was mistaken for and by its ink.

The key is (intended, read). A hint with `holes` is used only if the ink has that many closed loops.
"""

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


_HINTS: tuple[tuple[str, int | None, str], ...] = (
    # The digit that was meant and the one that was read, the loops of the ink, the advice.
    (
        "06",
        None,
        "Let the two ends of the 0 meet at the top and stop there: overshooting makes a 6.",
    ),
    ("08", None, "Draw the 0 in one round and keep its middle empty."),
    ("09", None, "Close the 0 without a tail at the bottom right."),
    ("12", None, "Leave out the foot of the 1, or keep it short."),
    ("14", None, "Keep the upstroke of the 1 short, and nothing crossing it."),
    (
        "17",
        None,
        "Make the flag of the 1 shorter and steeper: a long flat one reads as the bar of a 7.",
    ),
    ("21", None, "Give the 2 a rounder top and a longer foot."),
    ("23", None, "End the 2 with a flat foot to the right instead of a curl."),
    ("27", None, "Draw the foot of the 2 clearly to the right: without it, it reads as a 7."),
    ("28", 1, "Open the loop at the foot of the 2, or make it smaller."),
    ("28", None, "Keep the 2 open."),
    ("32", None, "Curl the lower half of the 3 back to the left."),
    ("35", None, "Start the 3 with a round top, not with a bar."),
    ("38", None, "Leave the left side of the 3 open: its ends must not touch the middle."),
    ("39", None, "Leave the upper half of the 3 open on the left."),
    ("41", None, "Draw the left arm and the crossing bar of the 4 wider."),
    ("46", None, "Let the stem of the 4 reach well below the bar."),
    ("47", None, "Draw the bar of the 4 lower, and to both sides of the stem."),
    ("49", 1, "The top of the 4 is closed: leave it open."),
    ("49", 0, "Make the corners of the 4 sharp and its top wide open."),
    ("53", None, "Draw the upper left of the 5 as a clear corner: bar first, then straight down."),
    ("56", 1, "Leave the lower left of the 5 open: its belly must not close."),
    ("56", None, "End the belly of the 5 earlier."),
    ("58", None, "Leave both halves of the 5 open."),
    ("59", None, "Keep the top of the 5 open: the bar must not bend down to the belly."),
    ("60", None, "Let the stem of the 6 rise clearly above its loop, and make the loop small."),
    ("64", None, "Make the 6 rounder: one curve from the top into the loop."),
    ("65", 0, "Close the loop of the 6."),
    ("65", None, "Start the 6 with a curve, not with a bar."),
    ("68", 2, "Leave the top of the 6 open."),
    ("68", None, "Keep the stem of the 6 straight."),
    ("71", None, "Draw the bar of the 7 longer and level, or cross its stem."),
    ("72", None, "End the 7 at the bottom without a foot."),
    ("74", None, "Draw the cross of the 7 shorter, and its top as one straight bar."),
    ("79", None, "Keep the bar of the 7 straight: it must not curl back to the stem."),
    ("80", 1, "Pinch the 8 in its middle, so that two loops show."),
    ("80", None, "Make the two loops of the 8 equal."),
    ("83", None, "Close both loops of the 8 on the left."),
    ("85", None, "Close both loops of the 8: start and end at the same point."),
    ("86", 1, "Close the upper loop of the 8."),
    ("86", None, "Make the upper loop of the 8 larger."),
    ("89", 1, "Close the lower loop of the 8."),
    ("89", None, "Make the lower loop of the 8 larger."),
    ("90", None, "Give the 9 a stem that reaches well below its loop."),
    ("91", None, "Make the loop of the 9 wider."),
    ("93", None, "Close the loop of the 9 on its left."),
    ("94", 0, "Close the top of the 9 with a round loop."),
    ("94", None, "Make the loop of the 9 rounder."),
    ("95", 0, "Close the loop of the 9 on its right."),
    ("95", None, "Make the loop of the 9 rounder."),
    ("97", 0, "Close the loop of the 9."),
    ("97", None, "Make the loop of the 9 larger."),
    ("98", None, "End the 9 with a straight stem or a short tail: it must not close below."),
)
TABLE: dict[tuple[str, str], tuple[Hint, ...]] = {}
for _digits, _holes, _text in _HINTS:
    _key = (_digits[0], _digits[1])
    TABLE[_key] = (*TABLE.get(_key, ()), Hint(_text, _holes))
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
