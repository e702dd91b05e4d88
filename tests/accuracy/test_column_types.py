"""Pairs as pandas, spreadsheets and other languages write them."""

import io
import json
from pathlib import Path

import duckdb
import pytest

from accuracy import cases
from legibly import object_keys
from legibly.accuracy import older_formats, report
from legibly.accuracy.engines import duckdb_engine


def _document(base: Path) -> dict[str, object]:
    return report.build(
        duckdb_engine.table(cases.planned(base), base=str(base), environ={"TZ": "UTC"})
    )


@pytest.mark.parametrize("kind", ["BIGINT", "DOUBLE", "FLOAT", "DECIMAL(5,2)", "UTINYINT"])
def test_labels_in_numeric_columns_are_their_integers(tmp_path: Path, kind: str) -> None:
    """A column of floats beside one of integers: 7.0 is the label 7."""
    path = tmp_path / object_keys.PAIRS / "date=x" / "pandas.parquet"
    path.parent.mkdir(parents=True)
    duckdb.sql(f"""COPY (SELECT 'i' || n AS image, CAST(n % 3 AS {kind}) AS predicted,
              CAST(n % 3 AS INTEGER) AS actual, 0.9 AS confidence,
              CAST('2026-11-22 10:00:00.123456789' AS TIMESTAMP_NS) AS labelled_at
            FROM range(9) t(n)) TO '{path}' (FORMAT parquet)""")
    document = _document(tmp_path)
    assert document["accuracy"]["value"] == 1.0  # type: ignore[index]
    assert document["confusion"]["labels"] == ["0", "1", "2"]  # type: ignore[index]
    assert [row["day"] for row in document["by_day"]] == ["2026-11-22"]  # type: ignore[attr-defined]


def test_a_time_with_nanoseconds_is_the_newer_label(tmp_path: Path) -> None:
    """RFC 3339 with nine digits is a time like any other, in DuckDB and in plain Python."""
    lines = [
        json.dumps(cases.pair("a", "7", "1", labelled_at="2026-11-22T10:00:00.123Z")),
        json.dumps(cases.pair("a", "7", "7", labelled_at="2026-11-22T10:00:00.123999999Z")),
    ]
    cases.write_lines(tmp_path, [lines])
    document = _document(tmp_path)
    assert document["accuracy"]["value"] == 1.0  # type: ignore[index]
    assert report.encode(document) == report.encode(report.build(cases.expected([lines])))


def _older(text: str) -> tuple[dict[tuple[str, str], int], list[str]]:
    problems: list[str] = []
    counts = older_formats.Counts()
    older_formats.count(
        io.BytesIO(text.encode()),
        name="f",
        counts=counts,
        bad=lambda name, line, problem: problems.append(f"{name}:{line}: {problem}"),
    )
    return dict(counts.pairs), problems


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("7.0,7\n", {("7", "7"): 1}),
        ('"7","1"\n', {("7", "1"): 1}),
        ("1234567.0,1234568.0\n", {("1234567", "1234568"): 1}),
        ("0.5,0.50\n", {("0.5", "0.50"): 1}),
        (
            '{"predicted_class": 1234567.0, "actual_class": 1234568.0}\n',
            {("1234567", "1234568"): 1},
        ),
        ('{"predicted_class": 7.0, "actual_class": "7"}\n', {("7", "7"): 1}),
    ],
)
def test_class_names_that_look_like_numbers(text: str, pairs: dict[tuple[str, str], int]) -> None:
    """Quotes are dropped, 7.0 is 7, and large numbers keep every digit."""
    assert _older(text) == (pairs, [])


def test_a_header_line_is_named_and_skipped() -> None:
    """It is no pair of the classes `predicted` and `actual`."""
    assert _older("Predicted,Actual\n7,7\n") == ({("7", "7"): 1}, ["f:1: a header, not a pair"])
