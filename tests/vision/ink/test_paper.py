"""Ink told from paper."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pictures
from legibly.vision.ink import paper, rules

Pixels = paper.Pixels


def ink_of(pixels: Pixels) -> paper.Mask:
    """Where strokes are found."""
    return paper.find_ink(pixels).mask


TRUTH = np.asarray(pictures.drawing()) < 128


def overlap(mask: paper.Mask, truth: paper.Mask = TRUTH) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth))


def photo(shade: paper.Floats, *, ink: float = 0.7, noise: float = 0.01) -> Pixels:
    """The drawing as a grey photo under a shade (280, 280), 0 dark … 1 bright."""
    cover = 1 - np.asarray(pictures.drawing(), np.float32) / 255
    values = shade * (1 - ink * cover) + np.random.default_rng(0).normal(0, noise, cover.shape)
    return (255 * values.clip(0, 1)).astype(np.uint8)


def test_light_does_not_matter() -> None:
    """Even light, a lamp at one side, a vignette and the shadow of a hand give nearly the same
    strokes.
    """
    y, x = np.mgrid[-1:1:280j, -1:1:280j].astype(np.float32)
    edge = 1 / (1 + np.exp(-(x + 0.4 * y - 0.3) / 0.05))
    for shade in (0.9 + 0 * x, 0.6 + 0.3 * x, 0.9 - 0.25 * (x**2 + y**2), 0.9 - 0.5 * edge):
        assert overlap(ink_of(photo(shade.astype(np.float32)))) > 0.8


@pytest.mark.parametrize("colour", [(20, 40, 160), (200, 30, 40), (20, 120, 60), (250, 140, 0)])
@pytest.mark.parametrize("sheet", [(255, 255, 255), (245, 230, 170), (180, 215, 245)])
def test_colours_do_not_matter(colour: tuple[int, int, int], sheet: tuple[int, int, int]) -> None:
    """Blue, red, green and orange pens on white, yellow and blue paper are seen."""
    cover = (1 - np.asarray(pictures.drawing(), np.float32) / 255)[..., None]
    pixels = (np.array(sheet) * (1 - cover) + np.array(colour) * cover).astype(np.uint8)
    matches = paper.find_ink(pixels)
    assert not matches.light
    assert overlap(matches.mask) > 0.8


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("width", [4, 18, 90])
def test_a_drawing_on_even_paper_is_seen_whole(width: int, light: bool) -> None:
    """On a canvas strokes of any width are ink all through, in grey and in RGB, and there is no
    doubt of polarity.
    """
    drawn = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(drawn).line(pictures.SEVEN, fill=0, width=width, joint="curve")
    pixels = np.asarray(drawn)
    truth = pixels < 128
    for shown in (pixels, np.stack([pixels] * 3, axis=2)):
        matches = paper.find_ink(255 - shown if light else shown)
        assert (matches.light, matches.doubt) == (light, 0.0)
        assert overlap(matches.mask, truth) > 0.95


def test_light_ink_on_dark_paper_is_seen() -> None:
    """Chalk on a blackboard, and a canvas drawn white on black: the polarity is told and the
    strokes are the same.
    """
    for pixels in (
        255 - np.asarray(pictures.drawing()),
        255 - photo(np.full((280, 280), 0.8, np.float32)),
    ):
        matches = paper.find_ink(pixels)
        assert matches.light
        assert overlap(matches.mask) > 0.8


def test_polarity_of_real_handwriting(data: Path) -> None:
    """White on black or black on white is told for every one of 500 canvas drawings and USPS
    training crops.
    """
    drawings = np.load(data / "canvas" / "canvas_glut_100.npz")["x"][::6]
    crops = np.load(data / "usps" / "usps.npz")["x_train"][::26]
    for pixels in drawings:
        assert not paper.find_ink(pixels).light
        assert paper.find_ink(255 - pixels).light
    for pixels in crops:
        assert paper.find_ink(pixels).light
        assert not paper.find_ink(255 - pixels).light


@pytest.mark.parametrize("value", [0, 30, 128, 255])
def test_blank_paper_has_no_ink(value: int) -> None:
    """Nothing is found on an even sheet, nor in its noise."""
    assert not ink_of(np.full((120, 160), value, np.uint8)).any()
    noisy = (
        (value + np.random.default_rng(0).normal(0, 4, (120, 160))).clip(0, 255).astype(np.uint8)
    )
    assert ink_of(noisy).mean() < 0.002


@pytest.mark.parametrize("lean", [0.0, 0.03, -0.05])
def test_rules_and_squares_are_taken_out(lean: float) -> None:
    """Printed lines go, level or a little aslant; the strokes that they cross stay."""
    for squares in (False, True):
        image = Image.new("L", (280, 280), 235)
        draw = ImageDraw.Draw(image)
        for at in range(-20, 320, 35):
            draw.line([(0, at), (280, at + 280 * lean)], fill=150, width=2)
            if squares:
                draw.line([(at, 0), (at - 280 * lean, 280)], fill=150, width=2)
        pixels = np.minimum(np.asarray(image), np.asarray(pictures.drawing()))
        assert overlap(rules.clean(paper.find_ink(pixels)).mask) > 0.75


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (3, 500), (28, 28), (41, 63), (65, 64)])
def test_every_size_is_taken(shape: tuple[int, int]) -> None:
    """Pictures of a pixel, a line, a strip, a thumbnail: none is an error, grey or in colour."""
    rng = np.random.default_rng(1)
    for size in (shape, (*shape, 3)):
        matches = paper.find_ink(rng.integers(0, 255, size, np.uint8))
        assert matches.mask.shape == shape
        assert np.isfinite(rules.clean(matches).values).all()


def test_faint_parts_of_a_thin_stroke_are_kept() -> None:
    """A stroke of one pixel that fades to a quarter of its strength half way is one piece of ink
    from end to end, and no wider; faint specks beside it are not ink.
    """
    sheet = np.full((48, 48), 230, np.float32)
    strength = np.full(36, 0.8)
    strength[12:24] = 0.2
    sheet[6:42, 20] *= 1 - strength
    sheet[10, 26] *= 0.8
    mask = ink_of(sheet.astype(np.uint8))
    assert mask[6:42, 20].all()
    assert not np.delete(mask, 20, axis=1).any()
