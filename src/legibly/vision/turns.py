"""Finds the orientation of pages that lie on their side or upside down."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from legibly.vision.ink import glyphs
from legibly.vision.opinions import Networks

Floats = NDArray[np.float32]
SAMPLE_DIGITS = 40
"""The number of digits that decide the orientation of a page."""
MIN_GAIN = 0.2
"""The mean log confidence of turned digits must be higher by this."""


def best_turn(crops: Sequence[Floats], networks: Networks) -> int:
    """The number of anticlockwise quarter turns after which a page probably reads better.

    `crops` (28, 28) are some of its pieces before cutting and joining; only these are turned.
    """
    if not crops:
        return 0
    some = np.stack(crops[:: -(-len(crops) // SAMPLE_DIGITS)])
    merits = [_merit(np.rot90(some, quarters, axes=(1, 2)), networks) for quarters in range(4)]
    quarters = int(np.argmax(merits))
    return quarters if merits[quarters] >= merits[0] + MIN_GAIN else 0


def _merit(inputs: Floats, networks: Networks) -> float:
    """The mean log confidence of the network's inputs (N, 28, 28)."""
    probabilities, digitness = networks.judge(np.ascontiguousarray(inputs))
    confidence = np.maximum(probabilities.max(axis=1) * digitness, 1e-4)
    return float(np.mean(np.log(confidence)))


def back(box: glyphs.Box, quarters: int, width: int, height: int) -> glyphs.Box:
    """Map a box of a picture rotated anticlockwise by quarters back to the original picture."""
    left, top, right, bottom = box
    if quarters == 1:
        return width - bottom, left, width - top, right
    if quarters == 2:
        return width - right, height - bottom, width - left, height - top
    return top, height - right, bottom, height - left
