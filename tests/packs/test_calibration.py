"""From logits to probabilities and verdicts."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from legibly.packs import calibration
from legibly.packs import card as cards

CARD = cards.Card(
    name="letters",
    classes=("a", "b", "c"),
    reject="not_a_digit",
    layout="ink",
    input=cards.Input(28, 28),
    thresholds=cards.Thresholds(read=0.9, digit=0.5),
    sha256="",
)


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.just(4)),
        elements=st.floats(-200, 200, width=32),
    )
)
def test_probabilities_are_probabilities(logits: calibration.Floats) -> None:
    """Whatever the logits, rows sum to one and digitness lies in 0 … 1, without a warning."""
    probabilities, digitness = calibration.judge(CARD, logits)
    assert probabilities.shape == (len(logits), 3)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert ((digitness >= 0) & (digitness <= 1)).all()
    assert probabilities.dtype == digitness.dtype == np.float32


def test_temperature_softens_and_keeps_the_order() -> None:
    """A temperature above one lowers the top probability and changes no answer."""
    logits = np.array([[4.0, 1.0, 0.0, -3.0]], np.float32)
    sharp, _ = calibration.judge(CARD, logits)
    soft, _ = calibration.judge(dataclasses.replace(CARD, temperature=2.0), logits)
    assert soft.max() < sharp.max()
    assert soft.argmax() == sharp.argmax() == 0


def test_verdicts_follow_the_thresholds() -> None:
    """Below the digit threshold: rejected; from the read threshold on: read; between: a person
    should look.
    """
    probabilities = np.array([[0.99, 0.01, 0], [0.6, 0.4, 0], [0.99, 0.01, 0]], np.float32)
    digitness = np.array([1, 1, 0.2], np.float32)
    assert calibration.apply_thresholds(CARD, probabilities, digitness) == [
        "read",
        "unsure",
        "not_a_digit",
    ]


def test_a_pack_without_reject_never_rejects() -> None:
    """Without a reject logit everything is one of the classes, surely or not."""
    card = dataclasses.replace(CARD, reject=None)
    probabilities, digitness = calibration.judge(card, np.array([[9, 0, 0], [0, 0, 0]], np.float32))
    assert digitness.tolist() == [1, 1]
    assert calibration.apply_thresholds(card, probabilities, digitness) == ["read", "unsure"]


def test_no_items_give_no_verdicts() -> None:
    """A blank picture has no items: every step takes zero rows."""
    probabilities, digitness = calibration.judge(CARD, np.zeros((0, 4), np.float32))
    assert calibration.apply_thresholds(CARD, probabilities, digitness) == []


def test_a_high_reject_logit_lowers_digitness() -> None:
    """The more the network votes for "none of them", the less digitness."""
    _, digitness = calibration.judge(
        CARD, np.array([[5, 0, 0, -5], [5, 0, 0, 5], [5, 0, 0, 15]], np.float32)
    )
    assert digitness[0] > digitness[1] > digitness[2]
    assert digitness[1] == pytest.approx(0.5, abs=0.01)
