"""Which texts can be a true label."""

import pytest

from legibly.errors import Invalid, Unusable
from legibly.labels.rules import LabelRules

DIGITS = LabelRules(tuple("0123456789"))
ANIMALS = LabelRules(("cat", "dog", "10"), single=True)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" 7 ", "7"),
        ("９０２１０", "90210"),
        ("٣", "3"),
        ("123  45/678", "123 45/678"),
        ("3.14", "3.14"),
        ("∅", ""),
    ],
)
def test_labels_have_one_form(text: str, label: str) -> None:
    """Spaces are single, digits of every script are 0 … 9, and ∅ is the label of no digit."""
    assert DIGITS.normalize(text) == label


@pytest.mark.parametrize("text", ["hello 7x", "seven", "-", "7 a"])
def test_other_texts_are_refused_with_the_allowed_classes(text: str) -> None:
    """What the pack cannot answer cannot be the truth; the error names what can."""
    with pytest.raises(Unusable) as caught:
        DIGITS.normalize(text)
    assert caught.value.code == "label-not-allowed"
    assert caught.value.params["allowed"] == list("0123456789")


def test_a_pack_of_single_labels_takes_one_class() -> None:
    """Where the picture is the item, two classes in a row are no label."""
    assert ANIMALS.normalize("cat") == "cat"
    for text in ("cat dog", "catdog", "1", "Cat"):
        with pytest.raises(Unusable):
            ANIMALS.normalize(text)


@pytest.mark.parametrize("text", ["", "  ", "7\x00", "\ud800", "7" * 201])
def test_what_is_no_text_is_malformed(text: str) -> None:
    """Empty and overlong labels, NUL and lone surrogates are the request's fault."""
    with pytest.raises(Invalid):
        DIGITS.normalize(text)


def test_nothing_is_a_label_without_text() -> None:
    """The flag stands alone; with a text it contradicts itself."""
    assert DIGITS.normalize("", nothing=True) == ""
    with pytest.raises(Invalid, match="either"):
        DIGITS.normalize("7", nothing=True)
