"""Images without a digit: the row of the empty label, and how often they are answered all the
same.
"""

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from accuracy import cases
from legibly import object_keys, records
from legibly import store as stores
from legibly.accuracy import index_report, report
from legibly.accuracy.compaction import compact
from legibly.accuracy.engines import duckdb_engine, reference
from legibly.index import sql
from legibly.statistics import metrics

AT = records.moment("2026-11-22T10:00:00.000Z")
ANSWERS = [("7", "read"), ("7", "unsure"), ("", "blank"), ("12", "read"), ("", "not_a_digit")]


def _pairs() -> list[records.Pair]:
    nothing = [
        records.Pair(f"n{n}", text, "", 0.9, cases.MODELS[0], None, "volunteered", AT, verdict)
        for n, (text, verdict) in enumerate(ANSWERS)
    ]
    digit = records.Pair("d", "7", "7", 0.9, cases.MODELS[0], None, "asked", AT, "read")
    missed = records.Pair("m", "", "1", 0.9, cases.MODELS[0], None, "asked", AT, "blank")
    return [*nothing, digit, missed]


def _lines(pairs: list[records.Pair]) -> list[str]:
    return [json.dumps(pair.to_json()) for pair in pairs]


def _file_report(base: Path) -> bytes:
    table = duckdb_engine.table(cases.planned(base), base=str(base), environ={})
    return report.encode(report.build(table))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[sql.SqlIndex]:
    """An empty index."""
    index = sql.open_index(f"sqlite:///{tmp_path}/index.db")
    yield index
    index.close()


def test_the_share_of_false_digits_is_of_images_without_a_digit() -> None:
    """Two of five are answered `read`; the unsure one stays in the matrix and is not counted."""
    document = reference.report(_pairs())
    expected = metrics.as_json(metrics.share(2, 5))
    assert document["false_digits"] == {**expected, "images": 5, "answered": 2, "enough": False}
    labels = document["confusion"]["labels"]
    row = document["confusion"]["counts"][labels.index("")]
    assert dict(zip(labels, row, strict=True)) == {"1": 1, "2": 1, "7": 2, "": 2}
    assert document["accuracy"]["value"] == 3 / 7


def test_without_such_images_nothing_is_claimed() -> None:
    """The share of nothing is null, not zero."""
    assert reference.report(_pairs()[-2:])["false_digits"]["value"] is None


def test_pairs_of_version_0_1_count_every_text_as_an_answer() -> None:
    """They have no verdict: a text where there is no digit is a false digit."""
    pairs = [dataclasses.replace(pair, verdict=None) for pair in _pairs()]
    assert reference.report(pairs)["false_digits"]["answered"] == 3


def test_a_pair_says_that_nothing_is_there() -> None:
    """The flag goes with the empty text alone, and the record survives JSON."""
    for pair in _pairs():
        document = pair.to_json()
        assert document.get("nothing", False) is (pair.actual == "")
        assert records.Pair.from_json(document) == pair


def test_files_and_index_report_the_same_bytes(tmp_path: Path, index: sql.SqlIndex) -> None:
    """DuckDB over lines, over Parquet of a compaction, the index and plain Python agree."""
    pairs = _pairs()
    cases.write_lines(tmp_path, [_lines(pairs)])
    expected = report.encode(reference.report(pairs))
    assert _file_report(tmp_path) == expected
    index.add_pairs(pairs)
    assert report.encode(index_report.report(index)) == expected
    assert [pair.actual for pair in index.pairs()].count("") == 5
    store = stores.open_store(f"file://{tmp_path}", environ={})
    compact.compact(store, environ={}, now=records.now(), grace=timedelta(0))
    assert _file_report(tmp_path) == expected
    assert sorted(compact.pairs(store, skipped=pytest.fail), key=lambda pair: pair.image) == sorted(
        pairs, key=lambda pair: pair.image
    )


def test_settled_files_of_version_0_1_go_on_counting(tmp_path: Path) -> None:
    """Parquet without a verdict is read alone, beside new lines, and beside new Parquet."""
    store = stores.open_store(f"file://{tmp_path}", environ={})
    old = [cases.pair(f"o{n}", "7", "7" if n else "1") for n in range(3)]
    cases.write_lines(tmp_path, [[json.dumps(pair) for pair in old]])
    compact.compact(store, environ={}, now=records.now(), grace=timedelta(0))
    (settled,) = tmp_path.rglob("settled-*.parquet")
    copy = tmp_path / "copy"
    duckdb.sql(f"COPY (SELECT * EXCLUDE verdict FROM '{settled}') TO '{copy}' (FORMAT parquet)")
    copy.replace(settled)
    lines = [json.dumps(pair) for pair in old]
    assert _file_report(tmp_path) == report.encode(report.build(cases.expected([lines])))
    key = f"{object_keys.PAIRS}date=2026-11-23/new.jsonl"
    cases.put(tmp_path, key, "\n".join(_lines(_pairs())).encode())
    expected = report.encode(report.build(cases.expected([lines, _lines(_pairs())])))
    assert _file_report(tmp_path) == expected
    compact.compact(store, environ={}, now=records.now(), grace=timedelta(0))
    assert _file_report(tmp_path) == expected
