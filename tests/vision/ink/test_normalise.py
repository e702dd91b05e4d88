"""The network's input."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import pictures
from legibly.vision.ink import glyphs, normalise, paper

Floats = normalise.Floats


def centre(crop: Floats) -> tuple[float, float]:
    """The centre of mass, row and column."""
    mass = crop.sum()
    return float(crop.sum(axis=1) @ np.arange(28) / mass), float(
        crop.sum(axis=0) @ np.arange(28) / mass
    )


@pytest.mark.parametrize("size", [40, 100, 280, 900])
@pytest.mark.parametrize("pen", [0.01, 0.03, 0.07, 0.14])
def test_the_contract_of_mnist_is_kept(size: int, pen: float) -> None:
    """Longest side 20, centre of mass at 14, strokes 1.7 to 4 pixels wide, whatever the size and
    the pen.
    """
    stroke = [(round(x * size / 280), round(y * size / 280)) for x, y in pictures.SEVEN]
    image = pictures.drawing(stroke, size=size, width=max(1, round(pen * size)))
    crop = normalise.normalise((1 - np.asarray(image, np.float32) / 255).astype(np.float32))
    assert crop.shape == (28, 28)
    assert crop.dtype == np.float32
    assert crop.min() >= 0
    assert crop.max() <= 1
    rows = np.flatnonzero((crop > 0.02).any(axis=1))
    columns = np.flatnonzero((crop > 0.02).any(axis=0))
    assert 19 <= max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 <= 20
    assert centre(crop) == pytest.approx((14, 14), abs=0.75)
    assert 1.4 <= normalise.stroke_width(crop) <= 4.3


def test_mnist_comes_out_as_it_went_in(data: Path) -> None:
    """MNIST's own crops, found as ink and normalised again, hardly change."""
    raw = gzip.decompress((data / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[-300:]
    change = []
    for image in images:
        ink = paper.find_ink(image)
        mask = np.asarray(image > 20)
        crop = normalise.normalise(glyphs.crop(ink, glyphs.Piece((0, 0, 28, 28), mask)))
        change.append(float(np.abs(crop - image / 255).mean()))
    assert np.median(change) < 0.01
    assert np.quantile(change, 0.9) < 0.05


def test_nothing_stays_nothing() -> None:
    """A crop without ink gives a blank input, no error."""
    for shape in ((1, 1), (20, 3), (100, 100)):
        assert not normalise.normalise(np.zeros(shape, np.float32)).any()


def test_a_one_is_not_blown_up() -> None:
    """A lone upright stroke keeps its shape: 20 high and a few pixels wide."""
    crop = np.zeros((80, 30), np.float32)
    crop[5:75, 12:18] = 1
    columns = np.flatnonzero((normalise.normalise(crop) > 0.3).any(axis=0))
    assert len(columns) <= 4
