"""What a page says, told as a reading."""

import numpy as np
import pytest

from legibly import records
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.vision import page, verdict
from legibly.vision.signs import separators


def item(label: int, left: int, *, digitness: float = 0.999, height: int = 40) -> page.Candidate:
    """A digit of the page, at so many pixels from the left."""
    probabilities = np.full(10, 0.0001, np.float32)
    probabilities[label] = 0.9991
    return page.Candidate(
        (left, 0, left + 20, height), np.zeros((28, 28), np.float32), probabilities, digitness
    )


def reading_of(
    *items: page.Candidate, certainty: float = 1.0, unread: float = 0.0, grain: float = 0.0
) -> records.Reading:
    """The reading of one row, 40 pixels high, by the shipped card."""
    known = page.Page((tuple(items),), certainty, 40.0, unread=unread, grain=grain)
    model = records.Model(name="digits", version="0")
    card = cards.read_card(registry.find("digits"))
    return verdict.reading(
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


def test_strokes_that_no_item_explains_make_the_text_doubtful() -> None:
    """A quarter of the strokes unread is nobody's sure reading; nearly all unread is no digits."""
    assert reading_of(item(7, 0), unread=0.1).verdict == "read"
    assert reading_of(item(7, 0), unread=0.25).verdict == "unsure"
    assert reading_of(item(7, 0), unread=0.8).verdict == "not_a_digit"


def test_what_is_hardly_paper_has_no_sure_digits() -> None:
    """On uneven ground a clear digit is unsure, a doubtful one is none; on paper that doubt alone
    is not enough.
    """
    assert reading_of(item(7, 0), grain=0.15).verdict == "unsure"
    assert reading_of(item(7, 0), grain=0.15, certainty=0.8).verdict == "not_a_digit"
    assert reading_of(item(7, 0), certainty=0.8).verdict == "unsure"


def stroked(label: int, lean: float, bow: float, height: int) -> page.Candidate:
    """A digit of the page whose ink is one narrow stroke, the second of three."""
    rows = np.arange(4, 24)
    crop = np.zeros((28, 28), np.float32)
    middle = 14 + lean * (rows - 14) + bow * 20 * (1 - ((rows - 14) / 10) ** 2)
    for row, column in zip(rows, middle.round().astype(int), strict=True):
        crop[row, column - 1 : column + 2] = 1.0
    plain = item(label, 30, height=height)
    return page.Candidate(plain.box, crop, plain.probabilities, plain.digitness)


@pytest.mark.parametrize(
    ("label", "lean", "bow", "height", "verdict"),
    [
        (1, 0.0, 0.0, 40, "read"),
        (1, -0.22, 0.0, 40, "read"),
        (1, -0.22, 0.0, 56, "unsure"),
        (1, -0.45, 0.0, 40, "unsure"),
        (1, 0.0, 0.15, 40, "unsure"),
        (6, 0.0, 0.15, 40, "read"),
    ],
)
def test_a_stroke_that_may_be_a_slash_or_bracket_is_never_sure(
    label: int, lean: float, bow: float, height: int, verdict: str
) -> None:
    """A slash leans, or is higher than the digits beside it; a bracket bows; a 6 may bow."""
    middle = stroked(label, lean, bow, height)
    assert separators.stroke_of(middle.crop) is not None
    assert reading_of(item(3, 0), middle, item(5, 60)).verdict == verdict
