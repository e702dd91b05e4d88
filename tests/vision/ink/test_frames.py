"""Frames around digits: taken out, within a bound on the work."""

import numpy as np

from legibly.vision.ink import frames, paper


def square(mask: frames.Mask, left: int, top: int, side: int) -> None:
    """Draw the outline of a square, two pixels wide."""
    mask[top : top + side, left : left + side] = True
    mask[top + 2 : top + side - 2, left + 2 : left + side - 2] = False


def test_the_work_on_nested_walls_is_bounded() -> None:
    """Walls within walls cover the picture many times over: only the smallest are looked at, and a
    frame around a digit beside them is still taken out.
    """
    mask = np.zeros((640, 800), np.bool_)
    for number in range(30):
        square(mask, 10 * number, 10 * number, 620 - 20 * number)
    square(mask, 680, 100, 80)
    mask[120:160, 715:720] = True
    ink = paper.Ink(mask.astype(np.float32), mask, 0.01, light=False, doubt=0.0)
    cleaned = frames.clean(ink).ink.mask
    assert not cleaned[100:180, 680:683].any()
    assert cleaned[120:160, 715:720].all()
    assert not cleaned[250:370, 250:252].any()
    assert cleaned[0:600, 0:2].all()
