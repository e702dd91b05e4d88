"""What comes in when things go wrong: a correct report that counts what it skipped, or a named
error; and its page.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from accuracy import cases
from legibly import object_keys
from legibly.accuracy import report, sources
from legibly.accuracy.engines import duckdb_engine
from legibly.accuracy.render import html, plain_text
from legibly.errors import Invalid, NotFound

pair = cases.pair


def _report(base: Path, *files: list[Any]) -> report.Report:
    """DuckDB's report of files of records or raw lines; it has to be the reference's, and its page
    has to be drawn.
    """
    parts = [
        [line if isinstance(line, str) else json.dumps(line) for line in lines] for lines in files
    ]
    plan = cases.write_lines(base, parts)
    result = report.build(duckdb_engine.table(plan, base=str(base), environ={}))
    assert report.encode(result) == report.encode(report.build(cases.expected(parts)))
    assert html.render(result).endswith("</html>\n")
    assert "\n".join(plain_text.lines(result))
    return result


def test_an_empty_source(tmp_path: Path) -> None:
    """A folder of nothing, a file of nothing and an address of nothing are named errors; an empty
    store is a report.
    """
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text(" \n")
    for source in ("empty", "empty.txt"):
        with pytest.raises(Invalid, match="no pairs"):
            sources.find(str(tmp_path / source))
    with pytest.raises(NotFound, match="nothing here"):
        sources.find(str(tmp_path / "nowhere"))
    assert _report(tmp_path / "store")["estimate"]["basis"] == "none"


def test_no_labels_at_all(tmp_path: Path) -> None:
    """Readings without one label: nothing is said of accuracy, the readings are counted."""
    reading = {
        "image": "a",
        "model": {"name": "d", "version": "1"},
        "verdict": "read",
        "text": "7",
        "confidence": 0.9,
    }
    text = json.dumps({**reading, "at": "2026-11-22T10:00:00.000Z"})
    cases.put(tmp_path, f"{object_keys.READINGS}date=2026-11-22/a.jsonl", text.encode())
    result = report.build(
        duckdb_engine.table(cases.planned(tmp_path), base=str(tmp_path), environ={})
    )
    assert (result["pairs"], result["accuracy"]["value"], result["estimate"]["readings"]) == (
        0,
        None,
        1,
    )
    assert plain_text.headline(result).startswith("There are no true labels yet")
    assert "no true labels yet" in html.render(result)


def test_only_labels_that_were_taken_back(tmp_path: Path) -> None:
    """They are no pairs, and are counted as what they are."""
    result = _report(tmp_path, [pair(f"i{n}", "7", None) for n in range(9)])
    assert (result["pairs"], result["taken_back"], result["classes"]) == (0, 9, [])


def test_one_class_only(tmp_path: Path) -> None:
    """All right: the value is 1 and the interval is not; nothing is divided by nothing."""
    result = _report(tmp_path, [pair(f"i{n}", "7", "7") for n in range(50)])
    assert result["confusion"]["counts"] == [[50]]
    assert result["accuracy"]["value"] == 1.0
    assert 0.9 < result["accuracy"]["low"] < 1.0
    assert result["classes"][0]["f1"] == 1.0


def test_unknown_classes(tmp_path: Path) -> None:
    """Labels that no model knows are classes of their own, never found; markup in them stays
    text.
    """
    odd = ["Ж", "<script>", "x" * 200, " ", "a,b", '"', "\u202e7"]
    result = _report(tmp_path, [pair(f"i{n}", "7", label) for n, label in enumerate(odd)])
    assert {row["label"] for row in result["classes"] if row["support"]} == set(odd)
    assert all(row["recall"]["value"] == 0 for row in result["classes"] if row["support"])
    assert "<script>" not in html.render(result)


@pytest.mark.parametrize(
    "confidence", ["NaN", "Infinity", "-Infinity", "-0.1", "1.0001", '"sure"', "null", "[]", "true"]
)
def test_confidence_that_is_none(tmp_path: Path, confidence: str) -> None:
    """Such a pair counts for accuracy and not for calibration."""
    line = json.dumps(pair("a", "7", "7", confidence=None)).replace(
        '"confidence": null', f'"confidence": {confidence}'
    )
    result = _report(tmp_path, [line, pair("b", "7", "1", confidence=0.9)])
    assert (result["pairs"], sum(row["n"] for row in result["calibration"]["bins"])) == (2, 1)


def test_a_torn_last_line(tmp_path: Path) -> None:
    """The lines before it count; it is counted as malformed, whatever was written of it."""
    complete = json.dumps(pair("a", "7", "7"))
    for length in range(1, len(complete), 7):
        result = _report(
            tmp_path / str(length), [complete, json.dumps(pair("b", "7", "1"))[:length]]
        )
        assert (result["pairs"], result["skipped"]["malformed"]) == (1, 1)


def test_mixed_schemas_of_older_records(tmp_path: Path) -> None:
    """Fields that came later, went away or changed their type: the pair counts with what it has."""
    bare = {"image": "a", "predicted": "7", "actual": "7"}
    result = _report(
        tmp_path,
        [
            bare,
            {**bare, "image": "b", "model": "d@1", "writer": {"name": "x"}, "extra": [1, {"y": 2}]},
        ],
        [
            {
                "image": 5,
                "predicted": 7,
                "actual": 7,
                "confidence": "0.9",
                "labelled_at": "2026-11-22 10:00:00",
            }
        ],
        [{"predicted_class": 7, "actual_class": 7}],
    )
    assert (result["pairs"], result["accuracy"]["value"]) == (3, 1.0)
    assert (result["skipped"], [row["day"] for row in result["by_day"]]) == (
        {"malformed": 1, "no_image": 0, "no_prediction": 0},
        ["2026-11-22"],
    )


def test_duplicate_ids(tmp_path: Path) -> None:
    """The same pair in several files counts once; of two labels of one moment the same one counts
    everywhere.
    """
    item = pair("a", "7", "7")
    result = _report(tmp_path, [item, item], [item], [pair("a", "7", "1"), pair("a", "7", "9")])
    assert (result["pairs"], result["confusion"]["labels"]) == (1, ["7", "9"])


def test_clock_skew(tmp_path: Path) -> None:
    """Labels from years to come and from before 1970 count; no day is made up for the latter."""
    moments = [
        "3026-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2026-11-22T23:59:59.999-12:00",
    ]
    result = _report(
        tmp_path, [pair(f"i{n}", "7", "7", labelled_at=at) for n, at in enumerate(moments)]
    )
    assert (result["pairs"], [row["day"] for row in result["by_day"]]) == (4, ["2026-11-23"])


def test_ten_thousand_classes(tmp_path: Path) -> None:
    """All are in the table of classes; matrix and page hold the heaviest and stay readable."""
    result = _report(tmp_path, [pair(f"i{n}", f"c{n % 9_000}", f"c{n}") for n in range(10_000)])
    assert (len(result["classes"]), len(result["confusion"]["labels"])) == (10_000, 200)
    assert len(html.render(result)) < 6_000_000
