"""What a reading leaves of a picture."""

import numpy as np
from PIL import Image, ImageDraw

from legibly.vision import leftover
from legibly.vision.ink import find, paper


def drawn(*lines: tuple[int, int, int, int], size: int = 120) -> paper.Pixels:
    """White paper with straight strokes of five pixels from point to point."""
    image = Image.new("L", (size, size), 255)
    for line in lines:
        ImageDraw.Draw(image).line(line, fill=0, width=5)
    return np.asarray(image)


def test_strokes_beside_the_items_count_badges_and_frames_do_not() -> None:
    """Of two equal strokes one is half of the ink; a filled badge and a box around the item are
    none of it.
    """
    ink = paper.find_ink(drawn((20, 20, 20, 60), (60, 20, 60, 60)))
    assert abs(leftover.strokes(ink.mask, [(15, 15, 26, 66)]) - 0.5) < 0.05
    mask = paper.find_ink(drawn((20, 20, 20, 60))).mask.copy()
    mask[80:115, 60:115] = True
    mask[2:70, [2, 50]] = True
    mask[[2, 69], 2:51] = True
    assert leftover.strokes(mask, [(15, 15, 26, 66)]) == 0.0


def test_grain_tells_textures_from_paper() -> None:
    """Noisy paper has little grain beside its ink, what is rough all over has much."""
    rng = np.random.default_rng(0)
    sheet = drawn((30, 20, 30, 100)).astype(np.float32)
    noisy = (200 - 0.6 * (255 - sheet) + rng.normal(0, 4, sheet.shape)).clip(0, 255)
    assert leftover.grain(paper.find_ink(noisy.astype(np.uint8))) < 0.1
    rough = rng.normal(120, 30, (30, 30)).clip(0, 255).astype(np.uint8)
    cloth = np.asarray(Image.fromarray(rough).resize((120, 120), Image.Resampling.BICUBIC))
    assert leftover.grain(paper.find_ink(cloth)) > 0.1


def test_a_stroke_beside_another_is_no_frame() -> None:
    """A 4 of two strokes, one within the other's box, keeps both; a box around a stroke goes."""
    four = drawn((30, 10, 20, 60), (20, 60, 80, 60), (60, 20, 60, 50))
    assert len(find.find(paper.find_ink(four))) == 2
    boxed = drawn(
        (20, 20, 100, 20), (100, 20, 100, 100), (100, 100, 20, 100), (20, 100, 20, 20),
        (60, 40, 60, 80),
    )  # fmt: skip
    assert len(find.find(paper.find_ink(boxed))) == 1
