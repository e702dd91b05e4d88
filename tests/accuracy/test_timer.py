"""Compaction beside a running server."""

from datetime import UTC, datetime
from pathlib import Path

import services
from legibly import object_keys, records
from legibly.accuracy.compaction.timer import CompactionTimer
from legibly.store import Store, open_store, record_files


def fill(store: Store, count: int) -> None:
    """One small file a pair, as the app writes them."""
    at = datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(count):
        pair = records.Pair(f"i{number}", "7", "7", 0.9, "digits@1", None, "volunteered", at)
        key = f"{object_keys.PAIRS}date=2026-11-20/i{number}.jsonl"
        store.create(key, record_files.line(pair.to_json()))


def test_many_small_files_are_compacted_and_few_are_left(tmp_path: Path) -> None:
    """A store with enough small files gets a manifest; another with fewer is left as it is."""
    many = open_store(f"file://{tmp_path}/many", environ={})
    few = open_store(f"file://{tmp_path}/few", environ={})
    fill(many, 6)
    fill(few, 2)
    timer = CompactionTimer(lambda: [few, many], hours=1, first_seconds=0.01, least_files=5)
    timer.start()
    try:
        services.wait_for(
            lambda: list(many.list(object_keys.SETTLED)), subject="the manifest", seconds=60
        )
    finally:
        timer.stop()
    assert not list(few.list(object_keys.SETTLED))
