"""Athena's SQL counts what DuckDB's and plain Python count, over the template's tables."""

import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accuracy import athena_tables, cases
from legibly import object_keys
from legibly import store as stores
from legibly.accuracy import plan, report
from legibly.accuracy.compaction import compact
from legibly.accuracy.engines import canonical, duckdb_engine
from legibly.statistics import aggregates

pytestmark = pytest.mark.service("cfn-lint")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _athena(base: Path) -> bytes:
    pairs = athena_tables.rows(base, canonical.sql("athena_pairs.sql"))
    readings = athena_tables.rows(base, canonical.sql("athena_readings.sql"))
    table = aggregates.collect(pairs, aggregates.reads(readings))
    return report.encode(report.build(table))


def _duckdb(base: Path) -> bytes:
    table = duckdb_engine.table(cases.planned(base), base=str(base), environ={})
    return report.encode(report.build(table))


def _compact(base: Path, *, grace: timedelta) -> None:
    store = stores.open_store(f"file://{base}", environ={})
    store.create(plan.HAS_TABLES, b"")
    compact.compact(store, environ={}, now=NOW, grace=grace)


@settings(max_examples=25)
@given(
    parts=st.lists(cases.lines, min_size=2, max_size=3),
    deleted=cases.deletions,
    hours=st.sampled_from([0, 1]),
)
def test_any_pairs_count_the_same(parts: list[list[str]], deleted: set[str], hours: int) -> None:
    """New and compacted pairs, replaced files still there or not, deleted images: equal bytes."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        cases.write_lines(base, parts[:1])
        _compact(base, grace=timedelta(hours=hours))
        cases.put(
            base, f"{object_keys.PAIRS}date=2026-11-23/new.jsonl", "\n".join(parts[1]).encode()
        )
        cases.write_lines(base, [], deleted=sorted(deleted))
        assert _athena(base) == _duckdb(base)
        _compact(base, grace=timedelta(hours=hours))
        assert _athena(base) == _duckdb(base)


@given(
    moment=cases.moments | st.sampled_from(["2026-11-22T10:00:00.1234567Z", "2024-02-29T00:00:00Z"])
)
def test_moments_are_read_to_the_microsecond(moment: str | None) -> None:
    """Offsets, nine digits of a second, days that do not exist: counted as in plain Python."""
    with tempfile.TemporaryDirectory() as folder:
        parts = [[json.dumps(cases.pair("a", "1", "1", labelled_at=moment))]]
        cases.write_lines(Path(folder), parts)
        assert _athena(Path(folder)) == report.encode(report.build(cases.expected(parts)))


def test_readings_weight_the_estimate_alike(tmp_path: Path) -> None:
    """Readings in files of several, one twice, one of a deleted image, one without a model."""

    def reading(image: str, **more: object) -> str:
        facts = {
            "image": image,
            "model": {"name": "d", "version": "1"},
            "verdict": "read",
            "text": "7",
        }
        return json.dumps({**facts, "confidence": 0.97, "at": "2026-11-22T10:00:00.123Z", **more})

    lines = [reading(f"i{n}", text=str(n % 10), confidence=n / 40) for n in range(40)]
    lines += [
        lines[3],
        reading("gone"),
        reading("x", model=None),
        reading("y", at="soon", verdict=None),
    ]
    cases.write_lines(
        tmp_path, [[json.dumps(cases.pair(f"i{n}", "1", "1")) for n in range(30)]], deleted=["gone"]
    )
    cases.put(tmp_path, f"{object_keys.READINGS}date=2026-11-22/a.jsonl", "\n".join(lines).encode())
    assert json.loads(_athena(tmp_path))["estimate"]["readings"] == 42
    assert _athena(tmp_path) == _duckdb(tmp_path)


def test_the_query_of_the_guide_runs(tmp_path: Path) -> None:
    """Accuracy by day and model of compacted pairs, replaced files still there."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "accuracy.md"
    [query] = re.findall(r"```sql\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    for day, actual in ((21, "1"), (22, "2")):
        when = f"2026-11-{day}T10:00:00.000Z"
        lines = [json.dumps(cases.pair(f"i{n}", "1", actual, labelled_at=when)) for n in range(4)]
        cases.put(
            tmp_path, f"{object_keys.PAIRS}date=x/{day}.jsonl", "\n".join(lines[day % 2 :]).encode()
        )
        _compact(tmp_path, grace=timedelta(hours=1))
    rows = athena_tables.rows(tmp_path, query)
    assert [(day.day, pairs, accuracy) for day, _, pairs, accuracy in rows] == [(22, 4, 0.0)]
