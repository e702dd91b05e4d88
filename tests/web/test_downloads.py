"""Pictures by one of their digits: what a cell of the accuracy table opens."""

from dataclasses import replace

import pytest

from legibly import records
from legibly.exchange.exports import Place, harmless

NOW = records.now()
IMAGE = records.Image("id", "key", NOW, "image/png", 1, "read")


def image(read: str, truth: str | None) -> records.Image:
    """An image that was read and labelled."""
    reading = records.Reading("read", read, 0.9, records.Model("digits", "0" * 12), NOW, ())
    return replace(IMAGE, reading=reading, label=records.Label(truth, NOW))


@pytest.mark.parametrize(
    ("actual", "predicted", "read", "truth", "keys"),
    [
        ("4", "9", "9", "4", True),
        ("4", "9", "1902", "1402", True),
        ("4", "9", "1492", "1952", False),
        ("4", "9", "12 9/4", "12 4/4", True),
        ("4", "9", "90", "4", False),
        ("4", None, "7", "4", True),
        (None, "9", "9", "9", True),
        ("4", "∅", "", "4", True),
        ("∅", "1", "1", "", True),
        ("4", "9", "9", None, False),
    ],
)
def test_a_place_is_found_within_texts(
    actual: str | None, predicted: str | None, read: str, truth: str | None, keys: bool
) -> None:
    """Digit by digit, as the report counts; not where the texts do not lie side by side, nor
    without a label.
    """
    place = Place.of(actual, predicted)
    assert place is not None
    assert place.holds(image(read, truth)) is keys


def test_a_whole_label_is_one_place() -> None:
    """Of a model that takes whole pictures, `10` is one class and no 1."""
    matches = image("10", "17")
    assert not Place("7", "0", single_label_models={"digits"}).holds(matches)
    assert Place("17", "10", single_label_models={"digits"}).holds(matches)
    assert Place("7", "0", single_label_models={"others"}).holds(matches)


def test_no_place_is_none() -> None:
    """An address that names neither asks for all."""
    assert Place.of(None, "") is None
    assert not Place("4", "9").holds(IMAGE)


@pytest.mark.parametrize("text", ["=1+1", "＝1+1", "＋1", "－1", "＠SUM", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """Signs that begin one are quoted, full-width ones too, which some spreadsheets take alike."""
    assert harmless(text) == f"'{text}"
    assert harmless(f"a{text}") == f"a{text}"
