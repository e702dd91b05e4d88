"""Images are deleted while a job runs: what is gone does not count, and nothing fails."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from accuracy import cases
from legibly import object_keys, records
from legibly import store as stores
from legibly.accuracy import report
from legibly.accuracy.compaction import compact
from legibly.accuracy.engines import duckdb_engine
from legibly.store import Stat, Store


class DeletingStore(Store):
    """A real folder in which every other pair and reading is deleted once they were listed."""

    def __init__(self, url: str) -> None:
        super().__init__(stores.open_store(url, environ={})._backend, url=url)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Stat]:
        stats = list(super().list(prefix, after=after))
        yield from stats
        if prefix in (object_keys.PAIRS, object_keys.READINGS):
            self.remove([stat.key for stat in stats[::2] if stat.key.endswith(".jsonl")])


def _fill(base: Path) -> None:
    for number in range(20):
        line = json.dumps(cases.pair(f"i{number:02d}", "7", "7"))
        cases.put(base, f"{object_keys.PAIRS}date=2026-11-22/i{number:02d}.jsonl", line.encode())
        reading = records.Reading("read", "7", 0.9, records.Model("d", "1"), records.now())
        record = records.ReadingRecord(f"i{number:02d}", "k", "image/png", 1, 1, 1, reading)
        key = f"{object_keys.READINGS}date=2026-11-22/i{number:02d}.jsonl"
        cases.put(base, key, json.dumps(record.to_json()).encode())


def test_the_job_passes_over_pairs_and_readings_that_were_deleted_meanwhile(tmp_path: Path) -> None:
    """Half of the files vanish between the listing and the reading: the other half is the
    report.
    """
    _fill(tmp_path)
    listed = cases.planned(tmp_path)
    for key in (*listed.lines[::2], *listed.readings[::2]):
        (tmp_path / key).unlink()
    table = duckdb_engine.table(listed, base=str(tmp_path), environ={})
    document = report.build(table)
    assert document["pairs"] == 10
    assert document["estimate"]["readings"] == 10


def test_a_compaction_passes_over_pairs_that_were_deleted_meanwhile(tmp_path: Path) -> None:
    """The rest is settled, and the report is the same before and after."""
    _fill(tmp_path)
    store = DeletingStore(f"file://{tmp_path}")
    done = compact.compact(store, environ={}, now=records.now(), grace=timedelta(0))
    assert done.pairs_written == 10
    assert not list(tmp_path.rglob("i*.jsonl")) or all(
        object_keys.READINGS in str(path) for path in tmp_path.rglob("i*.jsonl")
    )
    table = duckdb_engine.table(cases.planned(tmp_path), base=str(tmp_path), environ={})
    assert report.build(table)["pairs"] == 10
