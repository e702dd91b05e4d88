"""Digits of MNIST spoilt: tests only. The third stage trains on motion blur and on lines too, drawn
by another generator (`degraded.py`); on spatter and outlines nothing is trained.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]


def zigzag(rng: np.random.Generator, image: Floats) -> Floats:
    """A zigzag line of full ink from one side to the other, (28, 28) like `image`, 1 ink."""
    line = Image.new("L", (112, 112))
    ends = rng.uniform(10, 100, 2)
    x = np.linspace(0, 112, int(rng.integers(6, 10)))
    y = np.interp(x, (0, 112), ends) + 12.0 * np.resize((1, -1), len(x))
    ImageDraw.Draw(line).line([*zip(x.tolist(), y.tolist(), strict=True)], fill=255, width=4)
    small = np.asarray(line.resize((28, 28), Image.Resampling.BOX), np.float32) / 255
    return np.maximum(image, small)


def spatter(rng: np.random.Generator, image: Floats) -> Floats:
    """Blots: smoothed noise above a level."""
    noise = Image.fromarray(rng.normal(127, 60, (28, 28)).clip(0, 255).astype(np.uint8))
    smooth = np.asarray(noise.filter(ImageFilter.GaussianBlur(1.3)), np.float32)
    level = np.quantile(smooth, rng.uniform(0.9, 0.95))
    return np.maximum(image, ((smooth - level) / 6.0).clip(0, 1))


def motion_blur(rng: np.random.Generator, image: Floats) -> Floats:
    """The mean over shifts along one direction, seven to ten pixels in all."""
    angle = rng.uniform(-np.pi / 4, np.pi / 4)
    length = float(rng.uniform(7, 10))
    plane = Image.fromarray(image)
    total = np.zeros_like(image)
    steps = np.linspace(-length / 2, length / 2, 15)
    for step in steps:
        shift = (1, 0, step * np.cos(angle), 0, 1, step * np.sin(angle))
        moved = plane.transform(
            plane.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR
        )
        total += np.asarray(moved, np.float32)
    return np.asarray((total / len(steps) / max(float(total.max()) / len(steps), 0.5)).clip(0, 1))


def outlines(rng: np.random.Generator, image: Floats) -> Floats:
    """The edges of the strokes, one pixel wide."""
    inked = np.pad(image > rng.uniform(0.4, 0.6), 1)
    inner = inked[1:-1, 1:-1] & inked[:-2, 1:-1] & inked[2:, 1:-1]
    inner &= inked[1:-1, :-2] & inked[1:-1, 2:]
    return (inked[1:-1, 1:-1] & ~inner).astype(np.float32)


CORRUPTIONS: dict[str, Callable[[np.random.Generator, Floats], Floats]] = {
    "zigzag": zigzag,
    "spatter": spatter,
    "motion blur": motion_blur,
    "outlines": outlines,
}
