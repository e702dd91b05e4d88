"""Cells → report."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from legibly import object_keys, records
from legibly.accuracy import report
from legibly.accuracy.engines import reference
from legibly.statistics import aggregates, sampling

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _pair(number: int, predicted: str, actual: str | None, **more: object) -> records.Pair:
    values: dict[str, object] = {
        "image": f"{number:08d}", "predicted": predicted, "actual": actual, "confidence": 0.93,
        "model": "digits@1",
        "writer": None, "source": "volunteered", "labelled_at": NOW,
    }  # fmt: skip
    return records.Pair(**{**values, **more})  # type: ignore[arg-type]


def test_the_newest_label_counts_and_one_taken_back_does_not() -> None:
    """A corrected label replaces the older one, whatever came first; a null takes the pair out."""
    later = NOW + timedelta(minutes=1)
    pairs = [
        _pair(1, "7", "7", labelled_at=later),
        _pair(1, "7", "1"),
        _pair(2, "7", "7"),
        _pair(2, "7", None, labelled_at=later),
        _pair(3, "7", "7"),
    ]
    result = reference.report(pairs, deleted=["00000003"])
    assert (result["pairs"], result["accuracy"]["value"], result["taken_back"]) == (1, 1.0, 1)


def test_a_predicted_zero_is_a_class_like_any_other() -> None:
    """Nothing treats the text 0 as nothing: it has its row, its column and its counts."""
    result = reference.report([_pair(n, "0", "0") for n in range(30)] + [_pair(99, "", "0")])
    assert result["confusion"] == {
        "labels": ["0", ""],
        "counts": [[30, 1], [0, 0]],
        "left_out": {"labels": 0, "places": 0, "texts": 0},
    }
    assert [row["label"] for row in result["classes"]] == ["0", ""]
    assert result["classes"][0]["precision"]["value"] == 1.0


def test_several_digits_count_once_as_text_and_place_by_place() -> None:
    """90210 read as 90218: one wrong picture, four right places and one wrong; other lengths lie
    not side by side.
    """
    result = reference.report(
        [_pair(1, "90218", "90210"), _pair(2, "12/3 4", "12/34"), _pair(3, "77", "7")]
    )
    assert (result["pairs"], result["accuracy"]["value"]) == (3, 0.0)
    assert sum(map(sum, result["confusion"]["counts"])) == 9
    assert result["confusion"]["left_out"]["texts"] == 1
    assert result["confused"] == [{"actual": "0", "predicted": "8", "n": 1}]


def test_separators_are_no_digits() -> None:
    """75 for 7.5 is a wrong text whose two digits are right."""
    result = reference.report([_pair(1, "75", "7.5"), _pair(2, "-3", "-3")])
    assert result["accuracy"]["value"] == 0.5
    assert result["confusion"]["labels"] == ["3", "5", "7"]
    assert result["confusion"]["left_out"]["texts"] == 0


def test_words_are_one_label_each() -> None:
    """Another classifier's classes are words: `cat` for `cow` is one mistake, not two letters."""
    result = reference.report([_pair(1, "cat", "cow"), _pair(2, "cow", "cow")])
    assert result["confusion"]["labels"] == ["cat", "cow"]
    assert result["confusion"]["counts"] == [[0, 0], [1, 1]]


def test_numbers_are_one_label_each_where_the_model_says_so() -> None:
    """Where a model answers with whole labels, `10` for `11` is one mistake between two classes;
    else of a digit.
    """
    pairs = [_pair(1, "10", "11", model="ages@1"), _pair(2, "10", "11", model="digits@1")]
    for complete in (["ages"], ["ages@1"]):
        result = reference.report(pairs, single_label=complete)
        assert result["confusion"]["labels"] == ["0", "1", "10", "11"]
        assert [(row["actual"], row["predicted"], row["n"]) for row in result["confused"]] == [
            ("1", "0", 1),
            ("11", "10", 1),
        ]
    assert reference.report(pairs)["confusion"]["labels"] == ["0", "1"]


def test_calibration_and_coverage_by_hand() -> None:
    """Four pairs at 0.93 and 0.51, worked out on paper."""
    pairs = [
        _pair(1, "1", "1"),
        _pair(2, "1", "2"),
        _pair(3, "3", "3", confidence=0.51),
        _pair(4, "4", "4"),
    ]
    result = reference.report(pairs)
    low, high = result["calibration"]["bins"]
    assert (low["from"], low["to"], low["n"], low["confidence"], low["accuracy"]) == (
        0.5,
        0.55,
        1,
        0.51,
        1.0,
    )
    assert (high["from"], high["to"], high["n"], high["confidence"]) == (0.9, 0.95, 3, 0.93)
    assert abs(result["calibration"]["ece"] - (0.25 * 0.49 + 0.75 * (0.93 - 2 / 3))) < 1e-12
    remaining = {
        row["threshold"]: (row["coverage"], row["accuracy"]) for row in result["selective"]
    }
    assert remaining[0.0] == (1.0, 0.75)
    assert remaining[0.9] == (0.75, 2 / 3)
    assert remaining[0.999] == (0.0, None)


def test_few_pairs_are_marked_as_too_few() -> None:
    """Nineteen pairs are not enough to say, twenty are."""
    assert not reference.report([_pair(n, "1", "1") for n in range(19)])["estimate"]["enough"]
    assert reference.report([_pair(n, "1", "1") for n in range(20)])["by_model"][0]["enough"]


def test_ten_thousand_classes_are_a_report_of_bearable_size() -> None:
    """The matrix holds 200 labels and says what it leaves out; the classes are all there."""
    rows = [
        aggregates.Cell("2026-11-22", "m@1", "asked", f"c{n}", f"c{n + n % 7}", 900_000, n + 1, 0)
        for n in range(10_000)
    ]
    result = report.build(aggregates.Table(tuple(sorted(rows))))
    assert len(result["confusion"]["labels"]) == 200
    assert len(result["classes"]) > 9_990
    shown = sum(map(sum, result["confusion"]["counts"]))
    assert shown + result["confusion"]["left_out"]["places"] == result["pairs"]
    assert len(report.encode(result)) < 6_000_000


@given(st.permutations(range(12)))
def test_order_changes_nothing(order: list[int]) -> None:
    """Pairs in any order, doubled or not: the same bytes."""
    pairs = [
        _pair(n // 2, str(n % 3), str(n % 4), confidence=n / 12, labelled_at=NOW) for n in range(12)
    ]
    shuffled = [pairs[place] for place in order]
    expected = report.encode(reference.report(pairs))
    assert report.encode(reference.report(shuffled)) == expected
    assert report.encode(reference.report(shuffled + pairs[:5])) == expected


def test_the_contract_s_fields_are_there() -> None:
    """Every field of the contract's section 5, in finite JSON."""
    result = json.loads(
        report.encode(reference.report([_pair(1, "1", "1", confidence=float("nan"))]))
    )
    assert {"pairs", "accuracy", "classes", "confusion", "calibration", "selective"} <= set(result)
    assert {"by_day", "by_model", "by_source"} <= set(result)
    assert result["calibration"] == {"ece": None, "bins": []}


def test_the_random_sample_is_random_and_stable() -> None:
    """A rate of 10 % asks about 10 % of ids, the same ones each time, and a higher rate asks these
    too.
    """
    ids = [object_keys.new_id(NOW) for _ in range(4000)]
    requested = [image for image in ids if sampling.asks(image, 0.1)]
    assert 300 < len(requested) < 500
    assert all(sampling.asks(image, 0.2) for image in requested)
    assert not any(sampling.asks(image, 0.0) for image in ids)
    assert all(sampling.asks(image, 1.0) for image in ids)
