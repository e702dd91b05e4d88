"""The compiled kernels and their twins in NumPy and Pillow give the same bits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import pictures
import services
from legibly.vision import page
from legibly.vision.ink import (
    components,
    glyphs,
    native,
    native_build,
    normalise,
    paper,
    planes,
    rules,
)
from legibly.vision.reading import Reader

FOLDER = Path(native.__file__).parent
SIDES = st.tuples(st.integers(1, 150), st.integers(1, 150))
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kernels compiled here; afterwards those of the installation are used again."""
    built = native_build.build(tmp_path_factory.mktemp("native"))
    if built is None:
        services.missing("a C compiler (cc)", "apt-get install gcc libc6-dev")
    yield built
    native.use(FOLDER / native_build.LIBRARY)


def both(library: Path, ask: Callable[[], object]) -> tuple[object, object]:
    """An answer of the kernels, and one of the twins."""
    native.use(library)
    assert native.kernels
    assert native.resizes
    quick = ask()
    native.use(None)
    return quick, ask()


def soft(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """A plane of blots with soft edges, some blank, some full."""
    rng = np.random.default_rng(seed)
    coarse = rng.random(tuple(int(side) for side in rng.integers(1, 12, 2)), np.float32)
    size = (shape[1], shape[0])
    plane = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    contrast = float(rng.choice([0.5, 1.0, 3.0, 9.0]))
    shift = float(rng.choice([0.0, 0.5, 0.9, 1.5]))
    return np.asarray((plane - shift) * contrast + 0.5, np.float32).clip(0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(SIDES, SEEDS)
def test_planes_give_the_same_bits(library: Path, shape: tuple[int, int], seed: int) -> None:
    """Components, strengths, strokes, widths and the network's input of any soft plane."""
    # Removing lines leaves masks whose columns, not rows, are contiguous.
    values = soft(shape, seed) if seed % 2 else np.asfortranarray(soft(shape, seed))
    mask = values > 0.6
    ink = paper.Ink(values, mask, 0.01, light=False, doubt=0.0)

    def ask() -> list[bytes]:
        parts = components.components(mask)
        arrays = [parts.row, parts.start, parts.stop, parts.label, parts.left, parts.top]
        arrays += [parts.right, parts.bottom, parts.area]
        peaks = paper.strength(values)
        results = [paper._strokes(values, peaks, 0.1, 0.01), peaks, normalise.normalise(values)]
        results += [planes.reduce((255 * values).astype(np.uint8), by) for by in (2, 3, 7)]
        results += [glyphs.crop(ink, piece) for piece in glyphs.pieces(parts, parts.area > 3)]
        facts = [float(paper.width(mask)), bool(rules._has_thin_runs(mask))]
        facts += [planes.is_grainy(values, limit) for limit in (0.0, 0.02, 0.1)]
        facts += [planes.noise(values), bool(page._is_texture(mask))]
        return [repr(facts).encode(), *(array.tobytes() for array in [*arrays, *results])]

    quick, twin = both(library, ask)
    assert quick == twin


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SEEDS)
def test_resizing_is_pillows(
    library: Path, shape: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    """All three filters, larger or smaller in either direction."""
    native.use(library)
    plane = np.random.default_rng(seed).random(shape, np.float32)
    for how, filter_ in enumerate(native._FILTERS):
        image = Image.fromarray(plane).resize((target[1], target[0]), filter_)
        assert native.resize(plane, *target, how).tobytes() == image.tobytes()


def test_readings_are_the_same(library: Path, reader: Reader) -> None:
    """Digits, noise and edge sizes read alike to the last digit of every probability."""
    noise = np.random.default_rng(16).integers(0, 256, (40, 50, 3), np.uint8)
    edges = [noise, np.full((1, 1), 255, np.uint8), np.zeros((200, 3), np.uint8)]
    samples = [pictures.encoded(Image.fromarray(plane)) for plane in edges]
    samples += [pictures.png(stroke) for stroke in (pictures.SEVEN, pictures.ZERO, pictures.ONE)]
    samples += [pictures.grey_photo(), pictures.encoded(pictures.drawing(width=4))]
    for data in samples:

        def ask(data: bytes = data) -> tuple[object, ...]:
            reading = reader.read(data).reading
            return reading.verdict, reading.text, reading.confidence, reading.items

        quick, twin = both(library, ask)
        assert quick == twin


def test_a_library_of_another_source_or_system_is_not_used(tmp_path: Path) -> None:
    """What cannot be loaded, or was compiled from another file, leaves the twins in charge."""
    broken = tmp_path / native_build.LIBRARY
    broken.write_bytes(b"\x7fELF and no more")
    try:
        for path in (broken, tmp_path / "absent.so", None):
            native.use(path)
            assert native.kernels is None
            assert not native.resizes
    finally:
        native.use(FOLDER / native_build.LIBRARY)


def test_no_number_does_no_harm(library: Path) -> None:
    """Planes of NaN and infinity, which no picture gives, neither end nor stop the process."""
    native.use(library)
    for value in (np.nan, np.inf, -np.inf):
        plane = np.full((90, 31), value, np.float32)
        assert native.normalise(plane).shape == (28, 28)
        assert native.strength(plane, 4).shape == (23, 8)
        assert native.cut(plane, plane > 0, plane > 0, 3, 0.0).shape == plane.shape
