"""pairs.sql on DuckDB, within a memory limit.

Large stores are first counted without image ids; then the count is corrected for the images that
may have several pairs: ids are most of a file, and most images have one pair.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from legibly import store as stores
from legibly.accuracy.compaction import repeats
from legibly.accuracy.engines import bundles, canonical
from legibly.accuracy.engines import duckdb_files as files
from legibly.accuracy.plan import Plan
from legibly.statistics import aggregates

SPLIT_FROM_ROWS = 1_000_000
"""From this many rows on it pays to find the images with several pairs first."""
_COUNTED = (
    "day_us BIGINT, model VARCHAR, source VARCHAR, predicted VARCHAR, actual VARCHAR, "
    "bin BIGINT, n BIGINT, millionths BIGINT"
)
_TOGETHER = f"""
SELECT * REPLACE ({canonical.known("model")} AS model, {canonical.known("source")} AS source,
  CAST(sum(n) AS BIGINT) AS n, CAST(sum(millionths) AS BIGINT) AS millionths)
FROM counted GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL
"""  # noqa: S608


def table(
    plan: Plan,
    *,
    base: str,
    environ: Mapping[str, str] = os.environ,
    limits: files.Limits | None = None,
    reads: bool = True,
) -> aggregates.Table:
    """Count the pairs of a plan whose keys are under `base`, a folder or `s3://BUCKET[/PREFIX]`.

    `reads`: count the readings too. Raises Invalid for files that do not match their extension,
    Unavailable if the store does not answer.
    """
    with (
        files.connected(base, environ=environ, limits=limits) as connection,
        tempfile.TemporaryDirectory(prefix="legibly-small-") as folder,
    ):
        line_reader = _LineReader(plan.small if base else frozenset(), base, environ, Path(folder))
        files.put_deleted(connection, plan.deleted)
        _start(connection)
        _count_plan(connection, plan, base, line_reader)
        rows = files.run(connection, _TOGETHER)
        return aggregates.collect(rows, _reads(connection, plan, line_reader) if reads else ())


@dataclass(frozen=True, slots=True)
class _LineReader:
    """Reads files of JSON lines; small ones are copied to `folder`, since they may be deleted."""

    small: frozenset[str]
    base: str
    environ: Mapping[str, str]
    folder: Path

    def lines(self, keys: Sequence[str], columns: str) -> str:
        """Return a query for JSON lines with these columns."""
        small = [key for key in keys if key in self.small]
        large = [key for key in keys if key not in self.small]
        parts = [files.json_lines(large, self.base, columns)] if large else []
        if small:
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            url = self.base if "://" in self.base else f"file://{Path(self.base).absolute()}"
            store = stores.open_store(url, environ=self.environ)
            bundled = list(bundles.write(store, small, folder))
            parts.append(files.json_lines(bundled, "", columns))
        return " UNION ALL ".join(f"SELECT * FROM {part}" for part in parts)  # noqa: S608


def write_counts(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    base: str,
    *,
    without: Sequence[str],
    new: Sequence[str],
    to: Path,
) -> None:
    """Write the count rows of a plan's settled files, less `without` and plus `new`, to a file."""
    _start(connection)
    if plan.counts:
        _load_counts(connection, plan, base)
        _count_settled(connection, without, base, sign=-1)
    else:
        _count_settled(connection, [key for key in plan.settled if key not in without], base)
    _count_settled(connection, new, "")
    files.run(connection, f"COPY ({_TOGETHER}) TO {files.quote(str(to))} (FORMAT parquet)")


def _load_counts(connection: duckdb.DuckDBPyConnection, plan: Plan, base: str) -> None:
    files.run(connection, f"INSERT INTO counted SELECT * FROM {files.parquet([plan.counts], base)}")  # noqa: S608


def _count_settled(
    connection: duckdb.DuckDBPyConnection, settled: Sequence[str], base: str, *, sign: int = 1
) -> None:
    queries = [_settled(connection, settled, base).unnamed()] if settled else []
    _count(connection, settled=queries, sign=sign)


@dataclass(frozen=True, slots=True)
class _Source:
    """A relation of pairs, its column kinds for `canonical.select`, and any Parquet files."""

    relation: str
    kinds: Mapping[str, str]
    keys: Sequence[str] = ()

    @property
    def named(self) -> bool:
        """Whether the relation has image ids."""
        return "image" in self.kinds

    @property
    def columns(self) -> str:
        return ", ".join(name for name in canonical.READ_COLUMNS if name in self.kinds)

    def rows(self, connection: duckdb.DuckDBPyConnection, base: str) -> int:
        if self.keys:
            return files.rows(connection, self.keys, base)
        return int(files.run(connection, f"SELECT count(*) FROM {self.relation}")[0][0])  # noqa: S608

    def images(self, connection: duckdb.DuckDBPyConnection, base: str) -> list[str]:
        return files.images(connection, self.keys, base) if self.keys else [self.relation]

    def pairs(self, relation: str = "") -> str:
        """Return a query for the rows, or for those of a relation with the same columns."""
        return canonical.select(self.kinds, dialect="duckdb", relation=relation or self.relation)

    def unnamed(self, relation: str = "") -> str:
        """As `pairs` without image ids; rows where that matters are corrected afterwards."""
        if not self.named:
            return self.pairs(relation)
        return canonical.select_unnamed(
            self.kinds, dialect="duckdb", relation=relation or self.relation
        )


def _start(connection: duckdb.DuckDBPyConnection) -> None:
    files.run(connection, f"CREATE TEMP TABLE nothing ({files.COLUMNS})")
    files.run(connection, "CREATE TEMP TABLE touched (image VARCHAR, model VARCHAR)")
    files.run(connection, f"CREATE TEMP TABLE counted ({_COUNTED})")


def _count_plan(
    connection: duckdb.DuckDBPyConnection, plan: Plan, base: str, line_reader: _LineReader
) -> None:
    """Count the pairs of a plan into `counted`."""
    fresh = []
    if plan.lines:  # not temporary: see repeats.repeated_hashes
        text = line_reader.lines(plan.lines, canonical.TEXT_COLUMNS)
        files.run(connection, f"CREATE TABLE lines AS {text}")
        fresh.append(_Source("lines", canonical.TEXT))
    if plan.parquet:
        relation = files.parquet(plan.parquet, base)
        fresh.append(_Source(relation, files.kinds_of(connection, relation), plan.parquet))
    # Settled files that are already counted matter only if something may change their counts.
    is_needed = plan.settled and (fresh or plan.deleted or not plan.counts)
    settled = [_settled(connection, plan.settled, base)] if is_needed else []
    uncounted = [*fresh, *settled]
    if plan.counts:
        _load_counts(connection, plan, base)
        uncounted = fresh
    rows = sum(source.rows(connection, base) for source in fresh)
    if rows >= SPLIT_FROM_ROWS or (settled and (fresh or plan.deleted)):
        _count_and_correct(connection, uncounted, fresh, settled, base, rows=rows)
    elif settled:
        _count(connection, settled=[source.unnamed() for source in uncounted])
    else:
        _count(connection, fresh=[source.pairs() for source in fresh])


def _settled(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str) -> _Source:
    relation = files.parquet(keys, base)
    kinds = canonical.settled_kinds(files.kinds_of(connection, relation))
    return _Source(relation, kinds, keys)


def _count_and_correct(
    connection: duckdb.DuckDBPyConnection,
    uncounted: Sequence[_Source],
    fresh: Sequence[_Source],
    settled: Sequence[_Source],
    base: str,
    *,
    rows: int,
) -> None:
    """Count as if no image had two pairs, then correct images that may have several or are deleted.

    With many new `rows` the images that may have several pairs are looked up; otherwise these are
    all images with a new pair.
    """
    large = rows >= SPLIT_FROM_ROWS
    named = [source for source in (*fresh, *settled) if source.named]
    with ThreadPoolExecutor(1) as pool, connection.cursor() as beside:
        finding = None
        if large:  # Only one thread can convert results to NumPy: DuckDB counts in the meantime.
            rows += sum(source.rows(connection, base) for source in settled)
            images = [image for source in named for image in source.images(connection, base)]
            finding = pool.submit(repeats.repeated_hashes, beside, images, rows=rows)
        _count(connection, settled=[source.unnamed() for source in uncounted])
        with files.translated_errors():
            hashes = finding.result() if finding else None
    others = ["(SELECT image FROM deleted UNION ALL VALUES (NULL), (''))"]
    others += [] if large else [source.relation for source in fresh if source.named]
    with tempfile.TemporaryDirectory(prefix="legibly-again-") as folder:
        places = [(source, Path(folder, str(number))) for number, source in enumerate(named)]
        slices = repeats.create_several(connection, others, hashes)
        for source, place in places:
            repeats.copy(connection, source.relation, source.columns, place, slices=slices)
        for number in range(slices):
            again = [
                (source, part)
                for source, place in places
                if (part := repeats.slice_relation(place, number))
            ]
            _count(connection, settled=[source.unnamed(part) for source, part in again], sign=-1)
            _count(connection, fresh=[source.pairs(part) for source, part in again])


def _count(
    connection: duckdb.DuckDBPyConnection,
    *,
    fresh: Sequence[str] = (),
    settled: Sequence[str] = (),
    sign: int = 1,
) -> None:
    """Add the count rows of some queries to `counted`; with `sign` -1 subtract them."""
    for name, parts in (("fresh", fresh), ("settled", settled)):
        query = " UNION ALL ".join(parts or ["SELECT * FROM nothing"])
        files.run(connection, f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")
    signed = f"* REPLACE ({sign} * n AS n, {sign} * millionths AS millionths)"
    query = canonical.sql("pairs.sql")
    files.run(connection, f"INSERT INTO counted SELECT {signed} FROM ({query})")  # noqa: S608


def _reads(
    connection: duckdb.DuckDBPyConnection, plan: Plan, line_reader: _LineReader
) -> list[aggregates.Read]:
    if not plan.readings:
        return []
    relation = f"({line_reader.lines(plan.readings, canonical.READING_COLUMNS)}) AS lines"
    query = canonical.select_readings(dialect="duckdb", relation=relation)
    files.run(connection, f"CREATE TEMP VIEW readings AS {query}")
    rows = files.run(connection, canonical.sql("readings.sql"))
    return aggregates.reads(rows)
