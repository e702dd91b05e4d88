"""Pictures made to keep the finder busy: none holds digits, and each is soon let go."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pictures
from legibly.vision import lattice, page
from legibly.vision.reading import Reader

Pixels = NDArray[np.uint8]


def checkers(height: int, width: int, side: int = 1) -> Pixels:
    """A checkerboard of fields of `side` pixels."""
    y, x = np.mgrid[:height, :width]
    return np.asarray(((y // side + x // side) % 2) * 255, np.uint8)


def noise(side: int) -> Pixels:
    """Black and white pixels by chance."""
    return np.asarray(np.random.default_rng(0).integers(0, 2, (side, side)) * 255, np.uint8)


@pytest.mark.parametrize(
    "pixels", [checkers(600, 600), checkers(600, 600, 3), noise(600)], ids=["1", "3", "noise"]
)
def test_a_texture_is_no_digit(reader: Reader, pixels: Pixels) -> None:
    """Whatever scale a texture is seen at, nothing of it is read surely."""
    picture = pictures.encoded(Image.fromarray(pixels))
    assert reader.read(picture).reading.verdict != "read"


def test_texture_is_told_by_how_often_ink_begins() -> None:
    """A full page of handwriting has far fewer strokes a pixel than a texture."""
    lines = np.zeros((1000, 1000), np.bool_)
    lines[::12] = True
    assert not page._is_texture(lines)
    assert page._is_texture(checkers(1000, 1000) > 0)


def test_a_long_band_is_not_cut(reader: Reader) -> None:
    """A piece of ink a hundred digit heights wide is no row of touching digits."""
    band = np.full((100, 6000), 255, np.uint8)
    band[30:70] = checkers(40, 6000, 4)
    reading = reader.read(pictures.encoded(Image.fromarray(band))).reading
    assert reading.verdict != "read"
    assert lattice.MAX_CUT_WIDTH < 60
