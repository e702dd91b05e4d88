"""How surely others read a digit as what was meant."""

import numpy as np

from legibly.vision import legibility


def test_the_turns_are_two_of_the_changes() -> None:
    """The quick measure looks at crops that the thorough one looks at too, turned to either
    side.
    """
    crops = np.random.default_rng(0).random((3, 28, 28)).astype(np.float32)
    every = legibility.changed(crops)
    two = legibility.turned(crops)
    assert every.shape == (3, legibility.CHANGES, 28, 28)
    assert np.array_equal(two, every[:, list(legibility.TURNS)])
    assert np.allclose(every[:, 0], crops)
    ink = np.zeros((1, 28, 28), np.float32)
    ink[:, 4:24, 13:15] = 1.0
    tops = legibility.turned(ink)[0, :, :8].sum(axis=1)
    middles = tops @ np.arange(28) / tops.sum(axis=1)
    assert min(middles) < 13 < 14 < max(middles), "one leans to the left, one to the right"


def test_the_measure_is_a_mean_over_however_many_changes() -> None:
    """Of the intended class's probability times digitness."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.2, 0.8]], np.float32)
    digitness = np.array([1.0, 0.5, 1.0, 1.0], np.float32)
    assert np.allclose(legibility.measure(probabilities, digitness, np.array([0, 1])), [0.575, 0.8])
