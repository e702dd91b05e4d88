"""Small pair files into partitioned Parquet with one row an image and model, safely beside writers.

A run reads what is fresh, and the settled files that it touches; writes new Parquet files under fresh names; and
commits by creating the next manifest (see plan.py), which only one of several runs can. Whatever it replaces is removed
by a later run, once every job that may have listed it is over. So at any point a crash leaves pairs that count as
before: files that no manifest names are pairs like any others, and the newest label counts however often it is there.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from legibly import keys, records
from legibly.accuracy import bundles, cells, duckdb_engine, sources
from legibly.accuracy import plan as plans
from legibly.accuracy.done import Done
from legibly.errors import Conflict
from legibly.store import Stat, Store

GRACE = timedelta(hours=1)
"""A job that listed files before a run committed has this long to read them."""
MOST_FILES_A_DAY = 8
"""A day with more settled files is written anew as a whole when something joins it."""

_NEWEST = """
WITH newest AS (
  SELECT * EXCLUDE (place) FROM (
    SELECT *, ROW_NUMBER() OVER (
      PARTITION BY image, model
      ORDER BY us DESC, actual DESC NULLS LAST, predicted DESC, millionths DESC, source DESC
    ) AS place
    FROM taken WHERE hash(image) IN (SELECT h FROM several)
  ) AS ranked WHERE place = 1
  UNION ALL
  SELECT * FROM taken WHERE hash(image) NOT IN (SELECT h FROM several)
)
SELECT image, predicted, actual, exact AS confidence, model, writer, source,
  CASE WHEN us >= 0 THEN make_timestamp(us) END AS labelled_at,
  CASE WHEN us >= 0 THEN strftime(make_timestamp(us), '%Y-%m-%d') ELSE 'unknown' END AS date
FROM newest ANTI JOIN deleted ON newest.image = deleted.image
"""
_SEVERAL = "SELECT h FROM (SELECT hash(image) AS h FROM taken) GROUP BY h HAVING count(*) > 1"


def compact(
    store: Store,
    *,
    environ: Mapping[str, str],
    now: datetime,
    grace: timedelta = GRACE,
    limits: duckdb_engine.Limits | None = None,
) -> Done:
    """Settle what is fresh. Raises Conflict where another run committed first: nothing is lost, run it again.

    Files with a line that is no pair stay as they are, so that no line goes uncounted.
    """
    stats = {stat.key: stat for prefix in plans.PREFIXES for stat in store.list(prefix)}
    plan = plans.make(stats, read=store.read)
    removed = _sweep(store, stats, plan, now=now, grace=grace)
    base = sources.base_of(store.url)
    with (
        duckdb_engine.connected(base, environ=environ, limits=limits or duckdb_engine.Limits()) as connection,
        tempfile.TemporaryDirectory(prefix="legibly-compact-") as folder,
    ):
        duckdb_engine.put_deleted(connection, plan.deleted)
        flawed = _take_fresh(connection, plan, base, store=store, stats=stats)
        fresh = [key for key in (*plan.lines, *plan.parquet) if key not in flawed]
        reopened = _take_settled(connection, plan, base)
        if not fresh and not reopened:
            return Done(files_removed=len(removed), files_flawed=len(flawed))
        read = _count(connection, "taken")
        _write(connection, Path(folder))
        written = _rows_written(connection, Path(folder))
        created = list(_upload(store, Path(folder)))
    gone = dict.fromkeys((*fresh, *reopened), records.stamp(now))
    waiting = {key: at for key, at in plan.manifest.retired.items() if key in stats and key not in removed}
    files = sorted([*(key for key in plan.settled if key not in reopened), *created])
    _commit(store, plans.Manifest(plan.manifest.number + 1, tuple(files), waiting | gone), created)
    if not grace:
        store.remove(gone)
        removed |= set(gone)
    return Done(read, len(gone), written, len(created), len(removed), len(flawed))


def pairs(store: Store) -> Iterator[records.Pair]:
    """The pairs that a store holds in Parquet, as records: with those in lines, all there are.

    For `legibly reindex`, through the store alone. Pairs of deleted images and rows that are no pairs are left out.
    """
    plan = sources.of_store(store)
    deleted = set(plan.deleted)
    columns = "image, predicted, actual, exact, model, writer, source, us"
    with tempfile.TemporaryDirectory(prefix="legibly-pairs-") as folder, duckdb.connect() as connection:
        path = Path(folder) / "part.parquet"
        for key in (*plan.parquet, *plan.settled):
            path.write_bytes(store.read(key))
            query = duckdb_engine.from_parquet(connection, [str(path)], "", whole=True)
            cursor = connection.execute(f"SELECT {columns} FROM ({query}) WHERE flaw = '' AND us >= 0")  # noqa: S608
            while batch := cursor.fetchmany(10_000):
                for image, predicted, actual, exact, model, writer, source, us in batch:
                    if image not in deleted:
                        at = cells.EPOCH + timedelta(microseconds=us)
                        yield records.Pair(image, predicted, actual, exact or 0.0, model, writer, source, at)


def _sweep(store: Store, stats: Mapping[str, Stat], plan: plans.Plan, *, now: datetime, grace: timedelta) -> set[str]:
    """Remove what was retired longer ago than `grace`, and manifests that newer ones replaced; returns the former."""
    before = now - grace
    retired = {key for key, at in plan.manifest.retired.items() if key in stats and records.moment(at) <= before}
    manifests = [key for key in stats if key.startswith(plans.SETTLED) and key != plan.manifest.key]
    # A retired file counts as fresh unless a manifest names it, so the newest manifest stays whatever its age.
    store.remove([*sorted(retired), *(key for key in manifests if stats[key].modified_at <= before)])
    return retired


def _take_fresh(
    connection: duckdb.DuckDBPyConnection, plan: plans.Plan, base: str, *, store: Store, stats: Mapping[str, Stat]
) -> set[str]:
    """Provide the view `fresh`; returns the keys of files that have to stay, whose pairs are left out of it."""
    columns = f"{duckdb_engine.COLUMNS}, exact DOUBLE, writer VARCHAR, filename VARCHAR"
    duckdb_engine.run(connection, f"CREATE TEMP TABLE lines ({columns})")
    duckdb_engine.run(connection, "CREATE TEMP TABLE flawed (filename VARCHAR)")
    small = [key for key in plan.lines if stats[key].size <= bundles.SMALL_BYTES]
    bundled = set(small) if len(small) >= bundles.FEWEST else set()
    large = [key for key in plan.lines if key not in bundled]
    if large:
        duckdb_engine.run(connection, f"INSERT INTO lines {duckdb_engine.from_lines(large, base, whole=True)}")
    if bundled:
        _take_bundles(connection, small, store=store)
    every = "SELECT * FROM lines"
    if plan.parquet:
        every += f" UNION ALL {duckdb_engine.from_parquet(connection, plan.parquet, base, whole=True)}"
    query = f"INSERT INTO flawed SELECT DISTINCT filename FROM ({every}) WHERE flaw <> ''"  # noqa: S608  (of ours)
    duckdb_engine.run(connection, query)
    whole = f"SELECT * FROM ({every}) WHERE filename NOT IN (SELECT filename FROM flawed)"  # noqa: S608
    duckdb_engine.run(connection, f"CREATE TEMP VIEW fresh AS {whole}")
    found = _keys((row[0] for row in duckdb_engine.run(connection, "SELECT filename FROM flawed")), base)
    return found & {*plan.lines, *plan.parquet}  # less the bundles


def _take_bundles(connection: duckdb.DuckDBPyConnection, small: Sequence[str], *, store: Store) -> None:
    """Add small files to `lines`; the files of a bundle with a torn line are looked at one by one."""
    with tempfile.TemporaryDirectory(prefix="legibly-bundles-") as folder:
        found = bundles.write(store, small, Path(folder))
        duckdb_engine.run(connection, f"INSERT INTO lines {duckdb_engine.from_bundles(list(found))}")
    torn = duckdb_engine.run(connection, "SELECT DISTINCT filename FROM lines WHERE flaw = 'malformed'")
    doubtful = [key for (name,) in torn for key in found.get(name, ())]
    if doubtful:
        rows = [(key,) for key in bundles.flawed(store, doubtful)]
        connection.executemany("INSERT INTO flawed VALUES (?)", rows)


def _take_settled(connection: duckdb.DuckDBPyConnection, plan: plans.Plan, base: str) -> list[str]:
    """Provide the view `taken`: fresh, and the settled files that share an image with it or hold a deleted one."""
    reopened = _reopened(connection, plan, base) if plan.settled else []
    again = [duckdb_engine.from_parquet(connection, reopened, base, whole=True)] if reopened else []
    parts = " UNION ALL ".join(["SELECT * FROM fresh", *again])
    duckdb_engine.run(connection, f"CREATE TEMP VIEW taken AS {parts}")
    return reopened


def _reopened(connection: duckdb.DuckDBPyConnection, plan: plans.Plan, base: str) -> list[str]:
    query = duckdb_engine.from_parquet(connection, plan.settled, base, whole=True)
    duckdb_engine.run(connection, f"CREATE TEMP VIEW settled AS {query}")
    found = duckdb_engine.run(
        connection,
        """SELECT DISTINCT filename FROM settled SEMI JOIN fresh
             ON settled.image = fresh.image AND settled.model = fresh.model
           UNION SELECT DISTINCT filename FROM settled SEMI JOIN deleted ON settled.image = deleted.image""",
    )
    reopened = _keys((row[0] for row in found), base)
    query = "SELECT DISTINCT strftime(make_timestamp(us), '%Y-%m-%d') FROM fresh WHERE us >= 0"
    for (day,) in duckdb_engine.run(connection, query):
        folder = f"{keys.PAIRS}date={day}/"
        crowd = [key for key in plan.settled if key.startswith(folder)]
        reopened |= set(crowd) if len(crowd) >= MOST_FILES_A_DAY else set()
    return sorted(reopened)


def _write(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    duckdb_engine.run(connection, f"CREATE TEMP TABLE several AS {_SEVERAL}")
    # Few rows a flush, or hundreds of open days would fill the memory.
    duckdb_engine.run(connection, "SET partitioned_write_flush_threshold = 65536")
    options = "FORMAT parquet, COMPRESSION zstd, PARTITION_BY (date), OVERWRITE_OR_IGNORE"
    duckdb_engine.run(connection, f"COPY ({_NEWEST}) TO '{folder}' ({options})")


def _rows_written(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    if not any(folder.rglob("*.parquet")):
        return 0
    query = f"SELECT sum(num_rows) FROM parquet_file_metadata('{folder}/*/*.parquet')"  # noqa: S608  (our own folder)
    return int(duckdb_engine.run(connection, query)[0][0])


def _upload(store: Store, folder: Path) -> Iterator[str]:
    """Put the new files into the store under names that no other run has; yields their keys."""
    run = secrets.token_hex(8)
    for number, path in enumerate(sorted(folder.rglob("*.parquet"))):
        key = f"{keys.PAIRS}{path.parent.name}/settled-{run}-{number}.parquet"
        store.create(key, path.read_bytes())
        yield key
    shutil.rmtree(folder, ignore_errors=True)


def _commit(store: Store, manifest: plans.Manifest, created: Iterable[str]) -> None:
    if not store.create(manifest.key, manifest.encode(), media_type="application/json"):
        store.remove(created)
        remedy = "Nothing is lost; run it again."
        raise Conflict("another compaction finished meanwhile.", where=manifest.key, remedy=remedy)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(duckdb_engine.run(connection, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  (a name of ours)


def _keys(paths: Iterable[str], base: str) -> set[str]:
    return {path.removeprefix(f"{base.rstrip('/')}/") for path in paths}
