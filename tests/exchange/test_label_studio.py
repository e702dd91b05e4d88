"""Exports of Label Studio, of every shape that its tags give."""

from typing import Any

import pytest

from legibly.errors import Invalid
from legibly.exchange import label_studio

IMAGE = "019abcde-0000-7000-8000-000000000001"


def export(*results: object, **entry: Any) -> list[dict[str, Any]]:
    """One task with one annotation."""
    return [{"data": {"legibly_id": IMAGE}, "annotations": [{"result": list(results)}], **entry}]


def texts(document: object) -> list[str]:
    """The labels that an export holds."""
    return [labelled.text for labelled in label_studio.labels(document)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"number": 0}], ["0"]),
        ([{"number": 7.0}], ["7"]),
        ([{"text": ["2"], "x": 50}, {"text": ["1"], "x": 10}, {"text": ["3"], "x": 90}], ["123"]),
        ([{"text": ["12"], "x": 1}, {"text": ["34"], "x": 50}], ["12 34"]),
        ([None], []),
        ([{"rectanglelabels": ["7"]}, {"choices": ["8"]}], ["8"]),
        ([], []),
    ],
)
def test_every_answer_of_an_annotation_counts(values: list[Any], expected: list[str]) -> None:
    """Zero is a number, regions are joined from left to right, a value of null is none."""
    results = [{"from_name": "answer", "value": value} for value in values]
    if any("rectanglelabels" in (value or {}) for value in values):
        results[0]["from_name"] = "box"
    assert texts(export(*results)) == expected


@pytest.mark.parametrize("result", [None, 3, "x", [], {"value": 3}, {"value": {"text": None}}])
def test_results_of_odd_shapes_hold_no_label(result: object) -> None:
    """They are passed over, whatever they are."""
    assert texts(export(result)) == []


def test_the_short_export_keeps_a_zero() -> None:
    """JSON-MIN with the number 0, and with nothing."""
    assert texts([{"legibly_id": IMAGE, "number": 0}]) == ["0"]
    assert texts([{"legibly_id": IMAGE, "text": ""}]) == []


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [None], [["7"]]])
def test_what_is_no_text_is_refused_by_name(value: object) -> None:
    """The image is named; nothing is stored."""
    with pytest.raises(Invalid, match=IMAGE):
        texts([{"legibly_id": IMAGE, "text": value}])
