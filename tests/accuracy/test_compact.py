"""Compaction changes no report: not while others write, not when it is killed at any point."""

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accuracy import cases
from legibly import object_keys, records
from legibly import store as stores
from legibly.accuracy import plan, report
from legibly.accuracy.compaction import compact, repeats
from legibly.accuracy.compaction.summary import Done
from legibly.accuracy.engines import duckdb_engine
from legibly.cloud.accuracy import mark_tables
from legibly.errors import Conflict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process ends here."""


class DyingStore(stores.Store):
    """A real store whose process is killed before the n-th change."""

    def __init__(self, url: str, *, changes: int) -> None:
        super().__init__(stores.open_store(url, environ={})._backend, url=url)
        self.left = changes

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def create(self, key: str, data: bytes, *, media_type: str | None = None) -> bool:
        self._change()
        return super().create(key, data, media_type=media_type)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._change()
            super().remove([key])


def _open(base: Path) -> stores.Store:
    return stores.open_store(f"file://{base}", environ={})


def _bytes(base: Path) -> bytes:
    return report.encode(
        report.build(duckdb_engine.table(cases.planned(base), base=str(base), environ={}))
    )


def _run(store: stores.Store, *, grace: int = 0, now: datetime = NOW) -> Done:
    return compact.compact(store, environ={}, now=now, grace=timedelta(seconds=grace))


def _lines(start: int, stop: int, *, output: str = "1", day: int = 22) -> list[str]:
    when = f"2026-11-{day}T10:00:00.000Z"
    return [
        json.dumps(cases.pair(f"i{n}", output, str(n % 3), labelled_at=when))
        for n in range(start, stop)
    ]


@pytest.mark.parametrize("small_bytes", [0, 64_000])
@settings(max_examples=25)
@given(
    parts=st.lists(st.lists(cases.lines, min_size=1, max_size=3), min_size=1, max_size=3),
    deleted=cases.deletions,
)
def test_any_pairs_report_the_same_before_and_after(
    small_bytes: int, parts: list[list[list[str]]], deleted: set[str]
) -> None:
    """Run after run, with new lines between, bundled or not: each report is plain Python's over all
    lines so far.
    """
    so_far: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SMALL_BYTES", small_bytes)
        patch.setattr(repeats, "SLICE_IMAGES", 3)
        base = Path(folder)
        for number, lines in enumerate(parts):
            gone = sorted(deleted) if number else []
            so_far += lines
            for place, part in enumerate(lines):
                cases.put(
                    base,
                    f"{object_keys.PAIRS}date=x/{number}-{place}.jsonl",
                    "\n".join(part).encode(),
                )
            cases.write_lines(base, [], deleted=gone)
            _run(_open(base))
            assert _bytes(base) == report.encode(report.build(cases.expected(so_far, deleted=gone)))


def test_small_files_become_one_parquet_a_day(tmp_path: Path) -> None:
    """Twenty files of two days become two Parquet files, and nothing else is left."""
    lines = [_lines(n, n + 5, day=21 + n % 2) for n in range(0, 100, 5)]
    cases.write_lines(tmp_path, lines)
    before = _bytes(tmp_path)
    done = _run(_open(tmp_path))
    assert (done.pairs_read, done.files_read, done.pairs_written, done.files_written) == (
        100,
        20,
        100,
        2,
    )
    result = cases.planned(tmp_path)
    assert (result.lines, len(result.settled)) == ((), 2)
    assert [key.split("/")[2] for key in result.settled] == ["date=2026-11-21", "date=2026-11-22"]
    assert _bytes(tmp_path) == before
    assert _run(_open(tmp_path)) == Done()


def test_of_many_small_files_only_the_flawed_ones_stay(tmp_path: Path) -> None:
    """Among hundreds of files of one line, those with a torn, a foreign and a nameless line
    stay.
    """
    lines = [_lines(n, n + 1) for n in range(300)]
    lines[7] = ['{"image":"torn","predicted":"1"', *lines[7]]
    lines[8] = ["[1]", *lines[8]]
    lines[9] = [*lines[9], "", '{"image":"","predicted":"1","actual":"1"}']
    cases.write_lines(tmp_path, lines)
    before = _bytes(tmp_path)
    done = _run(_open(tmp_path))
    assert (done.files_read, done.pairs_written, done.files_flawed) == (297, 297, 3)
    assert [path.stem for path in sorted(tmp_path.rglob("*.jsonl"))] == ["007", "008", "009"]
    assert _bytes(tmp_path) == before


def test_a_later_label_reopens_the_file_of_the_older(tmp_path: Path) -> None:
    """A relabelled image moves to the day of its new label: one row an image and model, wherever it
    was.
    """
    cases.write_lines(tmp_path, [_lines(0, 50, day=20), _lines(50, 60, day=21)])
    _run(_open(tmp_path))
    cases.put(
        tmp_path,
        f"{object_keys.PAIRS}date=2026-11-22/new.jsonl",
        "\n".join(_lines(0, 10, output="2")).encode(),
    )
    before = _bytes(tmp_path)
    done = _run(_open(tmp_path))
    assert (done.pairs_read, done.pairs_written, len(cases.planned(tmp_path).settled)) == (
        60,
        50,
        3,
    )
    assert _bytes(tmp_path) == before


def test_files_of_pairs_move_where_athena_has_tables(tmp_path: Path) -> None:
    """With tables of Athena, of one format each, the Parquet lies apart; without it comes back."""
    cases.write_lines(tmp_path, [_lines(0, 30, day=20), _lines(30, 40, day=21)])
    store = _open(tmp_path)
    _run(store)
    before = _bytes(tmp_path)
    for state, folder in (("on", object_keys.SETTLED_PAIRS), ("off", object_keys.PAIRS)):
        mark_tables({"Athena": state}, store)
        assert _run(store).pairs_written == 40
        files = [path.parents[1] for path in tmp_path.rglob("settled-*.parquet")]
        assert files == [tmp_path / folder] * 2
        assert len(list(compact.pairs(store, skipped=pytest.fail))) == 40
        assert _bytes(tmp_path) == before


def test_what_is_settled_is_counted_once(tmp_path: Path) -> None:
    """Reports take the counts that the run left, so they open no settled file; without them they
    count anew.
    """
    cases.write_lines(tmp_path, [_lines(0, 50, day=20), _lines(50, 60, day=21)])
    _run(_open(tmp_path))
    cases.put(
        tmp_path,
        f"{object_keys.PAIRS}date=2026-11-22/new.jsonl",
        "\n".join(_lines(0, 10, output="2")).encode(),
    )
    _run(_open(tmp_path))
    result = cases.planned(tmp_path)
    before = _bytes(tmp_path)
    counts = list(tmp_path.rglob("counts-*"))
    assert [path.relative_to(tmp_path).as_posix() for path in counts] == [result.counts]
    remaining = counts[0].read_bytes()
    counts[0].unlink()
    assert _bytes(tmp_path) == before
    counts[0].write_bytes(remaining)
    for key in result.settled:
        (tmp_path / key).write_bytes(b"not looked at")
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("grace", [0, 3600])
def test_killed_at_any_change_it_loses_and_doubles_nothing(tmp_path: Path, grace: int) -> None:
    """Killed before its 1st, 2nd, … change, then run again: the report is the same at each
    moment.
    """
    for changes in range(40):
        base = tmp_path / f"{changes}"
        cases.write_lines(base, [_lines(0, 20, day=20), _lines(20, 40)], deleted=["i7"])
        _run(_open(base))
        cases.put(
            base,
            f"{object_keys.PAIRS}date=2026-11-22/a.jsonl",
            "\n".join(_lines(15, 25, output="2", day=23)).encode(),
        )
        cases.put(
            base, f"{object_keys.PAIRS}date=2026-11-22/b.jsonl", "\n".join(_lines(40, 45)).encode()
        )
        before = _bytes(base)
        dying = DyingStore(f"file://{base}", changes=changes)
        try:
            _run(dying, grace=grace, now=NOW + timedelta(days=1))
        except Killed:
            assert _bytes(base) == before, changes
            _run(_open(base), grace=grace, now=NOW + timedelta(days=2))
            assert _bytes(base) == before, changes
        else:
            break
    assert changes > 3


def test_of_two_runs_at_once_one_commits(tmp_path: Path) -> None:
    """A second run that read the same state is refused, cleans up after itself, and the report
    stays.
    """
    cases.write_lines(tmp_path, [_lines(0, 20)])
    before = _bytes(tmp_path)

    class Late(stores.Store):
        def create(self, key: str, data: bytes, *, media_type: str | None = None) -> bool:
            if key.startswith(plan.SETTLED):
                _run(_open(tmp_path), grace=3600)
            return super().create(key, data, media_type=media_type)

    late = Late(_open(tmp_path)._backend, url=f"file://{tmp_path}")
    with pytest.raises(Conflict, match="run it again"):
        _run(late, grace=3600)
    assert _bytes(tmp_path) == before
    assert cases.planned(tmp_path).parquet == ()


def test_a_job_that_listed_before_the_commit_can_still_read(tmp_path: Path) -> None:
    """Within the grace the replaced files are there; after it the next run removes them."""
    cases.write_lines(tmp_path, [_lines(0, 20)])
    listed = cases.planned(tmp_path)
    before = _bytes(tmp_path)
    _run(_open(tmp_path), grace=3600)
    old = report.encode(report.build(duckdb_engine.table(listed, base=str(tmp_path), environ={})))
    assert old == before == _bytes(tmp_path)
    done = _run(_open(tmp_path), grace=3600, now=NOW + timedelta(hours=2))
    assert done.files_removed == 1
    assert not list(tmp_path.rglob("*.jsonl"))
    assert _bytes(tmp_path) == before


def test_a_file_with_a_bad_line_stays(tmp_path: Path) -> None:
    """Skipped lines have to stay countable, so their file is left as it is and named in the
    counts.
    """
    cases.write_lines(tmp_path, [_lines(0, 5), [*_lines(5, 9), '{"torn']])
    before = _bytes(tmp_path)
    done = _run(_open(tmp_path))
    assert (done.files_flawed, done.pairs_written) == (1, 5)
    assert json.loads(_bytes(tmp_path))["skipped"]["malformed"] == 1
    assert _bytes(tmp_path) == before


def test_pairs_can_be_read_back_as_records(tmp_path: Path) -> None:
    """For rebuilding the index: what compaction wrote is exactly what was there, less deleted
    images.
    """
    first = records.Pair(
        "a", "7", None, 0.123456789, "d@1", "anna", "asked", NOW - timedelta(microseconds=1000)
    )
    second = records.Pair("b", "12/3", "12", 1.0, "d@2", None, "volunteered", NOW)
    for number, pair in enumerate([first, second]):
        cases.put(
            tmp_path,
            f"{object_keys.PAIRS}date=2026-11-22/{number}.jsonl",
            json.dumps(pair.to_json()).encode(),
        )
    assert list(compact.pairs(_open(tmp_path), skipped=pytest.fail)) == []
    _run(_open(tmp_path))
    assert sorted(
        compact.pairs(_open(tmp_path), skipped=pytest.fail), key=lambda pair: pair.image
    ) == [first, second]
    cases.write_lines(tmp_path, [], deleted=["a"])
    assert list(compact.pairs(_open(tmp_path), skipped=pytest.fail)) == [second]
