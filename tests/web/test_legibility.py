"""The handwriting report and its advice."""

import itertools
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from legibly import object_keys, records
from legibly.handwriting import advice, report

MODEL = records.Model("digits", "0" * 12)
DIGITS = [str(digit) for digit in range(10)]
_COUNT = itertools.count()


def image(
    read: str, *, label: str | None = None, surely: float = 0.99, rival: str = "9"
) -> records.Image:
    """A picture whose every digit was read as in `read`, with this probability, the rest being the
    rival's.
    """
    at = records.moment("2026-11-22T12:00:00Z") + timedelta(seconds=next(_COUNT))
    probabilities = [
        dict.fromkeys(DIGITS, 0.0) | {rival: 1 - surely, entry: surely} for entry in read
    ]
    items = tuple(
        records.Item((0, 0, 9, 9), entry, surely, probabilities[n]) for n, entry in enumerate(read)
    )
    reading = records.Reading("read", read, surely, MODEL, at, items)
    truth = records.Label(label, at) if label is not None else None
    identity = object_keys.new_id(at)
    return records.Image(
        identity, "k", at, "image/png", 9, "read", 9, 9, label=truth, reading=reading
    )


def digit(items: records.Json, name: str) -> records.Json:
    """The row of one digit."""
    row: records.Json = next(row for row in items["digits"] if row["digit"] == name)
    return row


def test_legibility_is_the_probability_of_what_was_meant() -> None:
    """A 4 read as 9 with 0.8 is 0.2 legible where the rest spoke for 4; best and worst are told
    apart.
    """
    wrong = image("9", label="4", surely=0.8, rival="4")
    matches = report.report(
        [wrong, *(image("4", label="4", rival="9") for _ in range(4))], classes=DIGITS
    )
    row = digit(matches, "4")
    assert row["n"] == 5
    assert row["worst"][0]["image"] == wrong.id
    assert row["worst"][0]["legibility"] == pytest.approx(0.2)
    assert row["best"][0]["legibility"] == pytest.approx(0.99)
    assert (row["read_as"], row["read_right"]["value"]) == ("9", pytest.approx(0.8))
    assert row["legibility"]["low"] < row["legibility"]["value"] < row["legibility"]["high"]
    assert matches["confused"] == [{"meant": "4", "read": "9", "n": 1}]


def test_several_digits_are_compared_place_by_place() -> None:
    """`12 3` against `124`: the third digit was a 4; where the counts differ, nothing is
    claimed.
    """
    matches = report.report([image("124", label="12 3")], classes=DIGITS)
    assert [row["digit"] for row in matches["digits"] if row["n"]] == ["1", "2", "3"]
    assert report.report([image("124", label="12")], classes=DIGITS)["written"] == 0


def test_unlabelled_answers_count_only_where_they_are_sure() -> None:
    """Without a label, the answer is taken at its word from 0.9 on, and judges nobody's
    rightness.
    """
    matches = report.report([image("7"), image("7", surely=0.6)], classes=DIGITS)
    assert matches["written"] == 1
    assert matches["read_right"]["value"] is None


def test_labels_taken_back_do_not_count_as_labels() -> None:
    """A label of None says that there is none."""
    entry = image("7", label="1")
    back = replace(entry, label=records.Label(None, records.now()))
    assert digit(report.report([back], classes=DIGITS), "7")["n"] == 1


@pytest.mark.parametrize(
    ("new", "old", "word"), [(0.99, 0.6, "better"), (0.6, 0.99, "worse"), (0.9, 0.9, "steady")]
)
def test_a_trend_is_told_only_where_its_interval_leaves_out_zero(
    new: float, old: float, word: str
) -> None:
    """The newest ten against the ten before."""
    images = [image("4", label="4", surely=new + n % 2 / 200) for n in range(10)]
    images += [image("4", label="4", surely=old + n % 2 / 200) for n in range(10)]
    row = digit(report.report(images, classes=DIGITS), "4")
    assert row["trend"]["word"] == word
    assert digit(report.report(images[:12], classes=DIGITS), "4")["trend"] is None


def test_advice_looks_at_the_ink() -> None:
    """A 4 taken for a 9 is told to open its top only where the top is closed."""
    open_four = np.zeros((28, 28), np.float32)
    closed_four = np.zeros((28, 28), np.float32)
    for ink in (open_four, closed_four):
        ink[4:15, 7:9] = ink[13:15, 7:20] = ink[4:24, 17:19] = 1
    closed_four[4:6, 7:19] = 1
    assert (advice.holes(open_four), advice.holes(closed_four)) == (0, 1)
    assert advice.pair("4", "9", closed_four) == "The top of the 4 is closed: leave it open."
    assert "wide open" in advice.pair("4", "9", open_four)


def test_every_pair_of_digits_has_advice() -> None:
    """No pair is without a sentence, for any number of loops, and the table holds only real
    pairs.
    """
    for intended, read in itertools.permutations(DIGITS, 2):
        for loops in (None, 0, 1, 2):
            ink = None if loops is None else np.zeros((28, 28), np.float32)
            if ink is not None:
                for n in range(loops or 0):
                    ink[2 + 12 * n : 12 + 12 * n, 5:15] = 1
                    ink[5 + 12 * n : 9 + 12 * n, 8:12] = 0
                assert advice.holes(ink) == loops
            assert len(advice.pair(intended, read, ink)) > 12
    assert all(
        intended != read and {intended, read} <= set(DIGITS) for intended, read in advice.TABLE
    )
