"""One suite over all engines: the same pairs give the same bytes."""

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import services
from accuracy import cases
from legibly import object_keys
from legibly.accuracy import plan, report
from legibly.accuracy.compaction import repeats
from legibly.accuracy.engines import canonical, duckdb_engine, reference
from legibly.errors import LegiblyError
from legibly.statistics import aggregates

pytestmark = pytest.mark.timeout(400)  # Spark starts slowly on a busy machine
Engine = Callable[[plan.Plan, Path], aggregates.Table]


def _duckdb(result: plan.Plan, base: Path) -> aggregates.Table:
    return duckdb_engine.table(result, base=str(base), environ={})


@pytest.fixture(scope="session")
def spark_process() -> Iterator["subprocess.Popen[str]"]:
    """A Spark of this machine that answers lines with lines."""
    if not importlib.util.find_spec("pyspark"):
        services.missing("PySpark", "pip install legibly[spark]")
    if not shutil.which("java"):
        services.missing("Java", "apt-get install openjdk-17-jre-headless")
    here = Path(__file__).parent
    environ = {**os.environ, "PYTHONPATH": str(here.parents[1] / "src")}
    command = [sys.executable, str(here / "spark_server.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    ) as process:
        yield process
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


@pytest.fixture
def spark_engine(spark_process: "subprocess.Popen[str]") -> Engine:
    """pairs.sql on it."""
    return lambda _, base: _table(_ask(spark_process, {"do": "report", "base": str(base)}))


def _ask(process: "subprocess.Popen[str]", job: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin
    assert process.stdout
    token = secrets.token_hex(8)
    process.stdin.write(json.dumps({**job, "token": token}) + "\n")
    process.stdin.flush()
    result: dict[str, Any] = {}
    while result.pop("token", "") != token:  # an answer to a test that ran out of time is not ours
        result = json.loads(process.stdout.readline())
    if "error" in result:
        raise LegiblyError(result["error"])
    return result


def _table(result: dict[str, Any]) -> aggregates.Table:
    result["cells"] = tuple(aggregates.Cell(*cell) for cell in result["cells"])
    result["reads"] = tuple(aggregates.Read(*read) for read in result["reads"])
    return aggregates.Table(**result)


@pytest.fixture(params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return _duckdb if request.param == "duckdb" else request.getfixturevalue("spark_engine")


def _bytes(table: aggregates.Table) -> bytes:
    return report.encode(report.build(table))


def test_every_nasty_line_is_counted_or_skipped_alike(engine: Engine, tmp_path: Path) -> None:
    """Torn, mixed, older and foreign lines give the reference's report, skipped counts included."""
    parts = [cases.NASTY, cases.NASTY[:3], ["", ""], []]
    result = engine(cases.write_lines(tmp_path, parts), tmp_path)
    assert result == cases.expected(parts)
    assert result.skipped == {"malformed": 10, "no_image": 2, "no_prediction": 1}
    assert result.taken_back == 1


def test_an_empty_store_is_a_report_of_nothing(engine: Engine, tmp_path: Path) -> None:
    """No pairs at all: numbers are null, nothing fails."""
    result = json.loads(_bytes(engine(plan.Plan(), tmp_path)))
    assert (result["pairs"], result["accuracy"]["value"], result["estimate"]["basis"]) == (
        0,
        None,
        "none",
    )


@settings(max_examples=60)
@given(parts=st.lists(cases.lines, max_size=3), deleted=cases.deletions)
def test_duckdb_is_the_reference(parts: list[list[str]], deleted: set[str]) -> None:
    """Whatever the lines: DuckDB's bytes are plain Python's."""
    with tempfile.TemporaryDirectory() as folder:
        result = _duckdb(
            cases.write_lines(Path(folder), parts, deleted=sorted(deleted)), Path(folder)
        )
    assert _bytes(result) == _bytes(cases.expected(parts, deleted=sorted(deleted)))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(cases.lines, max_size=3), deleted=cases.deletions)
def test_spark_is_the_reference(
    spark_engine: Engine, parts: list[list[str]], deleted: set[str]
) -> None:
    """Whatever the lines: Spark's bytes are plain Python's."""
    with tempfile.TemporaryDirectory() as folder:
        result = spark_engine(
            cases.write_lines(Path(folder), parts, deleted=sorted(deleted)), Path(folder)
        )
    assert _bytes(result) == _bytes(cases.expected(parts, deleted=sorted(deleted)))


def test_parquet_of_several_schemas_beside_lines(engine: Engine, tmp_path: Path) -> None:
    """Times as text or timestamps, columns that are missing or narrower: each file is read as what
    it is.
    """
    folder = tmp_path / object_keys.PAIRS / "date=2026-11-22"
    folder.mkdir(parents=True)
    parts = [
        """SELECT 'a' AS image, '7' AS predicted, '7' AS actual, 0.5::DOUBLE AS confidence,
        'digits@1' AS model,
        NULL::VARCHAR AS writer, 'asked' AS source,
        TIMESTAMP '2026-11-22 10:00:00.001' AS labelled_at""",
        """SELECT 'b' AS image, 7::INTEGER AS predicted, '1' AS actual, 0.5::FLOAT AS confidence,
        'digits@1' AS model,
        'asked' AS source, '2026-11-22T10:00:00.002Z' AS labelled_at""",
        (
            "SELECT 'c' AS image, '7' AS predicted, NULL::VARCHAR AS actual, 'nan'::DOUBLE AS"
            " confidence"
        ),
    ]
    for number, part in enumerate(parts):
        duckdb.sql(part).write_parquet(str(folder / f"{number}.parquet"))
    common = {"confidence": 0.5, "model": "digits@1", "source": "asked"}
    lines = [
        json.dumps(
            {
                "image": "a",
                "predicted": "7",
                "actual": "7",
                **common,
                "labelled_at": "2026-11-22T10:00:00.001Z",
            }
        ),
        json.dumps(
            {
                "image": "b",
                "predicted": "7",
                "actual": "1",
                **common,
                "labelled_at": "2026-11-22T10:00:00.002Z",
            }
        ),
        json.dumps({"image": "c", "predicted": "7", "actual": None}),
    ]
    later = [
        json.dumps(
            {**cases.pair("b", "7", "7", **common), "labelled_at": "2026-11-22T11:00:00.000Z"}
        )
    ]
    result = engine(cases.write_lines(tmp_path, [later]), tmp_path)
    assert result == cases.expected([lines, later])


def test_settled_files_need_no_second_look_but_newer_pairs_win(
    engine: Engine, tmp_path: Path
) -> None:
    """Rows of settled Parquet count as they are, unless a fresh pair is of the same image and
    model.
    """
    key = f"{object_keys.PAIRS}date=2026-11-22/settled.parquet"
    (tmp_path / key).parent.mkdir(parents=True)
    rows = [
        cases.pair("a", "7", "7"),
        cases.pair("b", "1", "7"),
        cases.pair("c", "1", "1"),
        cases.pair("d", "1", "1"),
    ]
    text = ", ".join(f"({', '.join(_literal(v) for v in row.values())})" for row in rows)
    duckdb.sql(
        f"SELECT * REPLACE (labelled_at::TIMESTAMP AS labelled_at) FROM (VALUES {text}) AS"
        f" t({', '.join(rows[0])})"
    ).write_parquet(str(tmp_path / key))
    gone = f"{object_keys.PAIRS}date=2026-11-22/gone.jsonl"
    cases.put(tmp_path, gone, json.dumps(cases.pair("x", "1", "1")).encode())
    cases.put(
        tmp_path,
        plan.Manifest(3, (key,), {gone: "2026-11-22T10:00:00.000Z"}).key,
        plan.Manifest(3, (key,), {gone: "2026-11-22T10:00:00.000Z"}).encode(),
    )
    cases.put(tmp_path, plan.Manifest(2, ("no such",)).key, plan.Manifest(2, ("no such",)).encode())
    fresh = [
        cases.pair("a", "7", "1", labelled_at="2026-11-23T00:00:00.000Z"),
        cases.pair("b", "1", "1", labelled_at=""),
    ]
    lines = [json.dumps(row) for row in fresh]
    result = engine(cases.write_lines(tmp_path, [lines], deleted=["c"]), tmp_path)
    assert result == cases.expected([[json.dumps(row) for row in rows], lines], deleted=["c"])


def _literal(value: object) -> str:
    return (
        "NULL::VARCHAR"
        if value is None
        else f"'{value}'"
        if isinstance(value, str)
        else f"{value}::DOUBLE"
    )


def test_file_names_are_taken_as_they_are(tmp_path: Path) -> None:
    """A `*`, a bracket, a quote or a space in a name is no pattern and no code."""
    for name in ("a*.jsonl", "[b].jsonl", "it's c.jsonl", "ä?.jsonl"):
        cases.put(
            tmp_path, f"{object_keys.PAIRS}{name}", json.dumps(cases.pair(name, "1", "1")).encode()
        )
    assert sum(cell.n for cell in _duckdb(cases.planned(tmp_path), tmp_path).cells) == 4


def test_a_file_that_is_no_parquet_is_a_named_error(engine: Engine, tmp_path: Path) -> None:
    """A torn Parquet file ends the job with one line that names it, not with a wrong number."""
    cases.put(tmp_path, f"{object_keys.PAIRS}torn.parquet", b"PAR1 and then nothing")
    with pytest.raises(LegiblyError, match=r"torn\.parquet|cannot read"):
        engine(cases.planned(tmp_path), tmp_path)


@pytest.mark.parametrize("kinds", [2, 1 << 32])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parquet=st.lists(cases.records, max_size=25), files=st.integers(1, 6), settled=st.booleans(),
    parts=st.lists(cases.lines, max_size=2), deleted=cases.deletions,
)  # fmt: skip
def test_much_parquet_is_counted_without_names_first(
    kinds: int,
    parquet: list[dict[str, Any]],
    files: int,
    settled: bool,
    parts: list[list[str]],
    deleted: set[str],
) -> None:
    """Nameless, deleted, repeated rows, lines beside them, hashes that collide: the short way gives
    the reference.
    """
    if settled:  # settled pairs are whole, and one an image and model
        complete = [row for row in map(reference.row_of_json, parquet) if row.predicted is not None]
        parquet = [
            _record(row) for row in {(row.image, row.model): row for row in complete}.values()
        ]
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        base = Path(name)
        patch.setattr(duckdb_engine, "SPLIT_FROM_ROWS", 0)
        patch.setattr(repeats, "HASHES_PER_PASS", 7)
        patch.setattr(repeats, "SLICE_IMAGES", 3)
        patch.setattr(repeats, "HASH", f"CAST(hash(CAST(image AS VARCHAR)) % {kinds} AS UINTEGER)")
        rows = [json.dumps(row) for row in parquet]
        result = cases.write_lines(base, parts, deleted=sorted(deleted))
        shares = {
            f"{object_keys.PAIRS}date=2026-11-22/{number}.parquet": rows[number::files]
            for number in range(files)
        }
        for key, share in shares.items():
            _write_parquet(base / key, share, settled=settled)
        result = (
            replace(result, settled=tuple(shares))
            if settled
            else replace(result, parquet=tuple(shares))
        )
        counted = _duckdb(result, base)
    assert counted == cases.expected([rows, *parts], deleted=sorted(deleted))


def test_files_that_name_images_by_other_types_or_not_at_all_are_one_relation(
    tmp_path: Path,
) -> None:
    """Whole numbers here, floating ones there, none elsewhere: much is counted as little is."""
    folder = tmp_path / object_keys.PAIRS / "date=2026-11-22"
    folder.mkdir(parents=True)
    rest = "'1' AS predicted, '1' AS actual, 'm@1' AS model, 'asked' AS source"
    for name, columns in (
        ("a", f"i AS image, {rest}"),
        ("b", f"i / 2 AS image, {rest}"),
        ("c", rest),
    ):
        duckdb.sql(f"SELECT {columns} FROM range(8) AS t(i)").write_parquet(
            str(folder / f"{name}.parquet")
        )
    result = cases.planned(tmp_path)
    little = _duckdb(result, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "SPLIT_FROM_ROWS", 0)
        assert _duckdb(result, tmp_path) == little
    assert (sum(cell.n for cell in little.cells), little.skipped["no_image"]) == (12, 8)


def _record(row: reference.Row) -> dict[str, Any]:
    at = None if row.us < 0 else (aggregates.EPOCH + timedelta(microseconds=row.us)).isoformat()
    sure = row.millionths / 1_000_000 if row.millionths >= 0 else None
    facts = {
        "image": row.image,
        "model": row.model,
        "source": row.source,
        "predicted": row.predicted,
    }
    return {**facts, "actual": row.actual, "confidence": sure, "labelled_at": at}


def _write_parquet(path: Path, rows: list[str], *, settled: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text("\n".join(rows))
    typed = (
        "* REPLACE (confidence::DOUBLE AS confidence, labelled_at::TIMESTAMP AS labelled_at)"
        if settled
        else "*"
    )
    read = (
        f"read_json('{path.with_suffix('.txt')}', columns = {canonical.TEXT_COLUMNS}, format ="
        " 'newline_delimited')"
    )
    duckdb.sql(f"SELECT {typed} FROM {read}").write_parquet(str(path))


def test_readings_are_counted_once_an_image_and_model(engine: Engine, tmp_path: Path) -> None:
    """The population behind the labels: one a reading, whatever was delivered twice, deleted images
    left out.
    """
    reading = {
        "image": "a", "model": {"name": "digits", "version": "1"}, "verdict": "read", "text": "7",
        "confidence": 0.97,
        "items": [{"box": [1, 2, 3, 4]}], "at": "2026-11-22T10:00:00.000Z",
    }  # fmt: skip
    lines = [
        reading,
        reading,
        {**reading, "image": "b", "verdict": "blank", "text": ""},
        {**reading, "image": "c"},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n"
    cases.put(tmp_path, f"{object_keys.READINGS}date=2026-11-22/a.jsonl", text.encode())
    cases.put(tmp_path, f"{object_keys.DELETIONS}date=2026-11-22/c.json", b"{}")
    assert engine(cases.planned(tmp_path), tmp_path).reads == (
        aggregates.Read("2026-11-22", "digits@1", "blank", "", 950_000, 1),
        aggregates.Read("2026-11-22", "digits@1", "read", "7", 950_000, 1),
    )


def test_spark_compacts_as_duckdb_does(
    spark_process: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    """On Spark: the same counts, every report unchanged, files with a bad line and the grace
    respected.
    """
    first = [
        json.dumps(
            cases.pair(f"i{n}", "1", str(n % 3), labelled_at=f"2026-11-{20 + n % 2}T10:00:00Z")
        )
        for n in range(9)
    ]
    second = [
        json.dumps(cases.pair(f"i{n}", "2", "2", labelled_at="2026-11-22T10:00:00Z"))
        for n in range(4)
    ]
    cases.write_lines(tmp_path, [first[:5], first[5:], cases.NASTY])

    def compacted(grace: int) -> tuple[int, ...]:
        before = _bytes(_duckdb(cases.planned(tmp_path), tmp_path))
        done = _ask(spark_process, {"do": "compact", "base": str(tmp_path), "grace": grace})
        assert _bytes(_duckdb(cases.planned(tmp_path), tmp_path)) == before
        return tuple(done.values())[:6]

    assert compacted(3600) == (9, 2, 9, 2, 0, 1)
    cases.put(tmp_path, f"{object_keys.PAIRS}date=2026-11-22/new.jsonl", "\n".join(second).encode())
    cases.write_lines(tmp_path, [], deleted=["i8"])
    assert compacted(0) == (13, 3, 8, 3, 5, 1)
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == ["002.jsonl"]
    assert len(list(tmp_path.rglob("*.parquet"))) == 3
