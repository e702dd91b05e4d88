"""What a page says, told as a reading."""

import numpy as np
import pytest

from legibly import records
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.vision import page, telling


def item(label: int, left: int, *, digitness: float = 0.999, height: int = 40) -> page.Candidate:
    """A digit of the page, at so many pixels from the left."""
    probabilities = np.full(10, 0.0001, np.float32)
    probabilities[label] = 0.9991
    return page.Candidate(
        (left, 0, left + 20, height), np.zeros((28, 28), np.float32), probabilities, digitness
    )


def reading_of(*items: page.Candidate, certainty: float = 1.0) -> records.Reading:
    """The reading of one row, 40 pixels high, by the shipped card."""
    known = page.Page((tuple(items),), certainty, 40.0)
    model = records.Model(name="digits", version="0")
    card = cards.read_card(registry.find("digits"))
    return telling.reading(
        known, card=card, model=model, scale=1.0, size=(400, 40), milliseconds={}
    )


def test_a_single_item_is_as_sure_as_the_item() -> None:
    """One digit alone, seen without doubt: the reading's confidence is the item's."""
    reading = reading_of(item(7, 0))
    assert (reading.verdict, reading.text) == ("read", "7")
    assert reading.confidence == pytest.approx(reading.items[0].confidence, abs=1e-6)


def test_what_is_left_out_makes_the_text_doubtful() -> None:
    """A non-digit as high as the digits is no item, but nobody's sure reading; a small one does not
    matter.
    """
    high = reading_of(item(7, 0), item(1, 40, digitness=0.001))
    assert (high.verdict, high.text) == ("unsure", "7")
    low = reading_of(item(7, 0), item(1, 40, digitness=0.001, height=12))
    assert (low.verdict, low.text) == ("read", "7")


def test_a_doubtful_look_is_not_read() -> None:
    """A page's certainty counts in full."""
    assert reading_of(item(7, 0), certainty=0.5).verdict == "unsure"
    assert reading_of(item(7, 0), certainty=0.5).confidence == pytest.approx(0.5, abs=0.01)
