"""Merges small pair files into partitioned Parquet, one row per image and model.

Safe while others write. A run reads new pairs and the settled files they affect, writes new Parquet
files under unused names, and commits by creating the next manifest (see plan.py), which only one of
several runs can. Replaced files are removed by a later run, after all jobs that may have listed
them. A crash at any point leaves the counts unchanged: files that no manifest names are read as
pairs, and only the newest label of an image counts.
"""

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from legibly import records
from legibly.accuracy import plan as plans
from legibly.accuracy import sources
from legibly.accuracy.compaction import repeats
from legibly.accuracy.compaction.summary import Done
from legibly.accuracy.engines import bundles, canonical, duckdb_engine
from legibly.accuracy.engines import duckdb_files as files
from legibly.errors import Conflict, Invalid
from legibly.statistics import aggregates
from legibly.store import Stat, Store

GRACE = timedelta(hours=1)
"""A job that listed files before a run committed has this long to read them."""
MAX_FILES_PER_DAY = 8
"""A day with at least this many settled files is rewritten completely when a pair is added."""

_COLUMNS = "image, model, source, predicted, actual, millionths, us, exact, writer, verdict"
_NEWEST = f"""
SELECT * EXCLUDE (place) FROM (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY image, model ORDER BY {canonical.NEWEST_FIRST}) AS place
    FROM {{}}
) AS ranked WHERE place = 1
"""  # noqa: S608
_RECORDS = f"""
SELECT image, predicted, {canonical.stored_actual()} AS actual, exact AS confidence, model, writer,
  source, verdict,
  CASE WHEN us >= 0 THEN make_timestamp(us) END AS labelled_at,
  CASE WHEN us >= 0 THEN us END AS labelled_us,
  CASE WHEN us >= 0 THEN strftime(make_timestamp(us), '%Y-%m-%d') ELSE 'unknown' END AS date
FROM (
  SELECT {_COLUMNS} FROM taken ANTI JOIN several ON {repeats.HASH} = several.h
  UNION ALL
  SELECT {_COLUMNS} FROM newest
) AS settled ANTI JOIN deleted ON settled.image = deleted.image
"""  # noqa: S608


def compact(
    store: Store,
    *,
    environ: Mapping[str, str],
    now: datetime,
    grace: timedelta = GRACE,
    limits: files.Limits | None = None,
) -> Done:
    """Merge the new pairs of a store into its settled files.

    Files with a malformed line are left alone, so that every line is counted. Raises Conflict if
    another run committed first: nothing is lost, run it again.
    """
    stats = {stat.key: stat for prefix in plans.PREFIXES for stat in store.list(prefix)}
    plan = plans.make(stats, read=store.read)
    removed = _sweep(store, stats, plan, now=now, grace=grace)
    base = sources.base_of(store.url)
    with (
        files.connected(base, environ=environ, limits=limits) as connection,
        tempfile.TemporaryDirectory(prefix="legibly-compact-") as folder,
    ):
        files.put_deleted(connection, plan.deleted)
        flawed = _take_fresh(connection, plan, base, store=store, stats=stats)
        fresh = [key for key in (*plan.lines, *plan.parquet) if key not in flawed]
        reopened = _take_settled(connection, plan, base)
        if not fresh and not reopened:
            return Done(files_removed=len(removed), files_flawed=len(flawed))
        read = _count(connection, "taken")
        slices = _find_several(connection, [*plan.parquet, *reopened], base)
        new_files = _write(connection, Path(folder), slices=slices)
        written = files.rows(connection, new_files, "") if new_files else 0
        totals = Path(folder, "counts")
        duckdb_engine.write_counts(
            connection, plan, base, without=reopened, new=new_files, to=totals
        )
        created, counts = _upload(store, new_files, totals, folder=plan.folder)
    gone = [*fresh, *reopened, *([plan.counts] if plan.counts else [])]
    retired = {
        key: at for key, at in plan.manifest.retired.items() if key in stats and key not in removed
    } | dict.fromkeys(gone, records.stamp(now))
    settled = sorted([*(key for key in plan.settled if key not in reopened), *created])
    manifest = plans.Manifest(plan.manifest.number + 1, tuple(settled), retired, counts)
    _commit(store, manifest, [*created, counts])
    if not grace:
        store.remove(gone)
        removed |= set(gone)
    return Done(read, len(fresh) + len(reopened), written, len(created), len(removed), len(flawed))


def pairs(store: Store, *, skipped: Callable[[str], None]) -> Iterator[records.Pair]:
    """Yield the pairs in a store's Parquet files; the rest are in its files of JSON lines.

    For `legibly reindex`, which reads the store only. Skips pairs of deleted images and malformed
    rows; `skipped` gets the keys of files that are no Parquet.
    """
    plan = sources.of_store(store)
    deleted = set(plan.deleted)
    with (
        tempfile.TemporaryDirectory(prefix="legibly-pairs-") as folder,
        duckdb.connect() as connection,
    ):
        path = Path(folder) / "part.parquet"
        for key in (*plan.parquet, *plan.settled):
            path.write_bytes(store.read(key))
            try:
                yield from _pairs_of_file(connection, path, deleted)
            except (duckdb.Error, Invalid):
                skipped(key)


def _pairs_of_file(
    connection: duckdb.DuckDBPyConnection, path: Path, deleted: Set[str]
) -> Iterator[records.Pair]:
    actual = canonical.stored_actual()
    columns = f"image, predicted, {actual}, exact, model, writer, source, us, verdict"
    query = files.pairs_of_parquet(connection, [str(path)], "")
    cursor = connection.execute(
        f"SELECT {columns} FROM ({query}) WHERE predicted IS NOT NULL AND us >= 0"  # noqa: S608
    )
    while batch := cursor.fetchmany(10_000):
        for image, predicted, text, exact, model, writer, source, us, verdict in batch:
            if image not in deleted:
                at = aggregates.EPOCH + timedelta(microseconds=us)
                facts = (exact or 0.0, model, writer, source, at, verdict)
                yield records.Pair(image, predicted, text, *facts)


def _sweep(
    store: Store, stats: Mapping[str, Stat], plan: plans.Plan, *, now: datetime, grace: timedelta
) -> set[str]:
    """Remove old manifests and the files retired before `grace`; return the keys of the latter."""
    before = now - grace
    retired = {
        key
        for key, at in plan.manifest.retired.items()
        if key in stats and records.moment(at) <= before
    }
    current = {plan.manifest.key, plan.manifest.counts, *plan.manifest.retired}
    manifests = [key for key in stats if key.startswith(plans.SETTLED) and key not in current]
    # A retired file counts as fresh unless a manifest names it, so the newest manifest stays
    # whatever its age.
    store.remove(
        [*sorted(retired), *(key for key in manifests if stats[key].modified_at <= before)]
    )
    return retired


def _take_fresh(
    connection: duckdb.DuckDBPyConnection,
    plan: plans.Plan,
    base: str,
    *,
    store: Store,
    stats: Mapping[str, Stat],
) -> set[str]:
    """Create the view `fresh` of new pairs; return the keys of files with malformed lines."""
    columns = f"{files.COLUMNS}, exact DOUBLE, writer VARCHAR, verdict VARCHAR, filename VARCHAR"
    files.run(connection, f"CREATE TABLE lines ({columns})")  # not temporary: see repeats
    files.run(connection, "CREATE TEMP TABLE flawed (filename VARCHAR)")
    small = [key for key in plan.lines if stats[key].size <= plans.SMALL_BYTES]
    large = [key for key in plan.lines if stats[key].size > plans.SMALL_BYTES]
    if large:
        files.run(connection, f"INSERT INTO lines {files.pairs_of_lines(large, base)}")
    if small:
        _take_bundles(connection, small, store=store)
    every = "SELECT * FROM lines"
    if plan.parquet:
        every += f" UNION ALL {files.pairs_of_parquet(connection, plan.parquet, base)}"
    query = f"INSERT INTO flawed SELECT DISTINCT filename FROM ({every}) WHERE predicted IS NULL"  # noqa: S608
    files.run(connection, query)
    flawless = f"SELECT * FROM ({every}) WHERE filename NOT IN (SELECT filename FROM flawed)"  # noqa: S608
    files.run(connection, f"CREATE TEMP VIEW fresh AS {flawless}")
    flawed_keys = _keys(
        (row[0] for row in files.run(connection, "SELECT filename FROM flawed")), base
    )
    return flawed_keys & {*plan.lines, *plan.parquet}  # without the bundles


def _take_bundles(
    connection: duckdb.DuckDBPyConnection, small: Sequence[str], *, store: Store
) -> None:
    """Load small files into `lines`; check the files of a bundle with a torn line one by one."""
    with tempfile.TemporaryDirectory(prefix="legibly-bundles-") as folder:
        keys_of_bundle = bundles.write(store, small, Path(folder))
        files.run(connection, f"INSERT INTO lines {files.pairs_of_bundles(list(keys_of_bundle))}")
    torn = files.run(
        connection,
        "SELECT DISTINCT filename FROM lines WHERE predicted IS NULL AND source = 'malformed'",
    )
    doubtful = [key for (name,) in torn for key in keys_of_bundle.get(name, ())]
    if doubtful:
        rows = [(key,) for key in bundles.flawed(store, doubtful)]
        connection.executemany("INSERT INTO flawed VALUES (?)", rows)


def _take_settled(connection: duckdb.DuckDBPyConnection, plan: plans.Plan, base: str) -> list[str]:
    """Create the view `taken`: `fresh` and the settled files to rewrite; return the latter."""
    reopened = _reopened(connection, plan, base) if plan.settled else []
    again = [files.pairs_of_parquet(connection, reopened, base)] if reopened else []
    parts = " UNION ALL ".join(["SELECT * FROM fresh", *again])
    files.run(connection, f"CREATE TEMP VIEW taken AS {parts}")
    return reopened


def _reopened(connection: duckdb.DuckDBPyConnection, plan: plans.Plan, base: str) -> list[str]:
    query = files.pairs_of_parquet(connection, plan.settled, base)
    files.run(connection, f"CREATE TEMP VIEW settled AS {query}")
    touched = files.run(
        connection,
        """SELECT DISTINCT filename FROM settled SEMI JOIN fresh
             ON settled.image = fresh.image AND settled.model = fresh.model
           UNION SELECT DISTINCT filename
            FROM settled SEMI JOIN deleted ON settled.image = deleted.image""",
    )
    reopened = _keys((row[0] for row in touched), base) | set(plan.misplaced)
    query = "SELECT DISTINCT strftime(make_timestamp(us), '%Y-%m-%d') FROM fresh WHERE us >= 0"
    for (day,) in files.run(connection, query):
        folder = f"{plan.folder}date={day}/"
        crowd = [key for key in plan.settled if key.startswith(folder)]
        reopened |= set(crowd) if len(crowd) >= MAX_FILES_PER_DAY else set()
    return sorted(reopened)


def _find_several(connection: duckdb.DuckDBPyConnection, parquet: Sequence[str], base: str) -> int:
    """Create the table `several` of images that may have more than one pair; see repeats.py."""
    rows = _count(connection, "lines") + (files.rows(connection, parquet, base) if parquet else 0)
    images = files.images(connection, parquet, base) if parquet else []
    with files.translated_errors():
        hashes = repeats.repeated_hashes(connection, [*images, "lines"], rows=rows)
    return repeats.create_several(connection, (), hashes)


def _write(connection: duckdb.DuckDBPyConnection, folder: Path, *, slices: int) -> list[str]:
    """Write the newest pair of each image and model into a folder, by day; returns the files."""
    with tempfile.TemporaryDirectory(prefix="legibly-again-") as name:
        repeats.copy(connection, "taken", _COLUMNS, Path(name, "again"), slices=slices)
        for number in range(slices):
            part = repeats.slice_relation(Path(name, "again"), number)
            if part:
                files.run(
                    connection,
                    f"COPY ({_NEWEST.format(part)}) TO '{name}/{number}.parquet' (FORMAT parquet)",
                )
        newest = [str(path) for path in sorted(Path(name).glob("*.parquet"))]
        none = f"(SELECT {_COLUMNS} FROM taken WHERE FALSE)"  # noqa: S608
        files.run(
            connection,
            f"CREATE TEMP VIEW newest AS FROM {files.parquet(newest, '') if newest else none}",
        )
        # Small flushes and row groups, or hundreds of open days would fill the memory.
        files.run(connection, "SET partitioned_write_flush_threshold = 65536")
        options = (
            "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480, PARTITION_BY (date),"
            " OVERWRITE_OR_IGNORE"
        )
        files.run(connection, f"COPY ({_RECORDS}) TO '{folder}' ({options})")
    return [str(path) for path in sorted(folder.rglob("*.parquet"))]


def _upload(
    store: Store, new_files: Sequence[str], totals: Path, *, folder: str
) -> tuple[list[str], str]:
    """Store new files and their counts under unique names; return the keys."""
    run = secrets.token_hex(8)
    keys = []
    for number, path in enumerate(map(Path, new_files)):
        keys.append(f"{folder}{path.parent.name}/settled-{run}-{number}.parquet")
        store.create(keys[-1], path.read_bytes())
    counts = f"{plans.SETTLED}counts-{run}.parquet"
    store.create(counts, totals.read_bytes())
    return keys, counts


def _commit(store: Store, manifest: plans.Manifest, created: Iterable[str]) -> None:
    if not store.create(manifest.key, manifest.encode(), media_type="application/json"):
        store.remove(created)
        remedy = "Nothing is lost; run it again."
        raise Conflict("another compaction finished first.", where=manifest.key, remedy=remedy)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(files.run(connection, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608


def _keys(paths: Iterable[str], base: str) -> set[str]:
    return {path.removeprefix(f"{base.rstrip('/')}/") for path in paths}
