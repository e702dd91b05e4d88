"""pairs.sql on DuckDB: JSON lines and Parquet, in folders and `s3://`, within a memory limit."""

import contextlib
import importlib.resources
import importlib.util
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from legibly.accuracy import bundles, canonical, cells, repeats
from legibly.accuracy.plan import Plan
from legibly.errors import Invalid, Unavailable

MEMORY_LIMIT = "1500MB"
"""DuckDB counts its buffers alone: the process stays below 2 GB with this."""
COLUMNS = (
    "image VARCHAR, model VARCHAR, source VARCHAR, predicted VARCHAR, actual VARCHAR, "
    "millionths BIGINT, us BIGINT, flaw VARCHAR"
)
SPLIT_FROM_ROWS = 1_000_000
"""From here on it pays to find the images that have several pairs by a hash first: see `_counted`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the job may use; `threads` 0: one a core. Spilled rows go to a temporary folder."""

    memory: str = MEMORY_LIMIT
    threads: int = 0


def sql(name: str) -> str:
    """The text of one of the shared queries."""
    return importlib.resources.files("legibly.accuracy").joinpath(name).read_text(encoding="utf-8")


def table(
    plan: Plan, *, base: str, environ: Mapping[str, str] = os.environ, limits: Limits = Limits(), reads: bool = True
) -> cells.Table:
    """Count the pairs of a plan whose keys lie under `base`, a folder or `s3://BUCKET[/PREFIX]`.

    `reads`: count the readings too. Raises Invalid for files that are not what their names say, Unavailable where
    the store does not answer.
    """
    with connected(base, environ=environ, limits=limits) as connection:
        put_deleted(connection, plan.deleted)
        rows = _counted(connection, plan, base)
        return cells.collect(rows, _reads(connection, plan, base) if reads else ())


@contextlib.contextmanager
def connected(base: str, *, environ: Mapping[str, str], limits: Limits) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory that spills to a folder of its own, with the S3 credentials where `base` needs them."""
    with tempfile.TemporaryDirectory(prefix="legibly-accuracy-") as folder:
        config: dict[str, Any] = {"memory_limit": limits.memory, "temp_directory": folder}
        config |= {"preserve_insertion_order": False, "autoinstall_known_extensions": False}
        # It would keep every settled pair in memory, because the query names them twice.
        config |= {"disabled_optimizers": "common_subplan"}
        if limits.threads:
            config["threads"] = limits.threads
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            if base.startswith("s3://"):
                _use_s3(connection, environ)
            yield connection


def paths(keys: Sequence[str], base: str) -> str:
    """A SQL list of the files at `keys`; a name is taken as it is, wildcards included."""
    quoted = (f"{base.rstrip('/')}/{key}" if base else key for key in keys)
    return "[" + ", ".join(_quote(_literal(path)) for path in quoted) + "]"


def from_parquet(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str, *, whole: bool = False) -> str:
    """A query for Parquet files of any schema in the columns of pairs.sql; `whole`: with all else and the file."""
    relation = _relation(keys, base, filename=whole)
    kinds = _kinds(connection, relation)
    extra = f"{canonical.kept(kinds)}, filename" if whole else ""
    return canonical.select(kinds, dialect="duckdb", relation=relation, extra=extra)


def from_lines(keys: Sequence[str], base: str, *, whole: bool = False) -> str:
    """A query for JSON lines in the columns of pairs.sql; `whole`: and everything else, and the file."""
    relation = _json(keys, base, canonical.TEXT_COLUMNS, filename=whole)
    extra = f"{canonical.kept(canonical.TEXT)}, filename" if whole else ""
    return canonical.select(canonical.TEXT, dialect="duckdb", relation=relation, extra=extra)


def from_bundles(found: Sequence[str]) -> str:
    """As `from_lines`, whole, for bundles; the file is a line's key, or the bundle if it is torn."""
    columns = canonical.TEXT_COLUMNS.replace("}", f", '{bundles.KEY}': 'VARCHAR'}}")
    extra = f"{canonical.kept(canonical.TEXT)}, coalesce({bundles.KEY}, filename) AS filename"
    return canonical.select(
        canonical.TEXT, dialect="duckdb", relation=_json(found, "", columns, filename=True), extra=extra
    )


def _json(keys: Sequence[str], base: str, columns: str, *, filename: bool = False) -> str:
    options = f"format = 'newline_delimited', ignore_errors = true, hive_partitioning = false, filename = {filename}"
    return f"read_json({paths(keys, base)}, columns = {columns}, {options})"


def _relation(keys: Sequence[str], base: str, *, filename: bool = False) -> str:
    options = f"union_by_name = true, hive_partitioning = false, filename = {filename}"
    return f"read_parquet({paths(keys, base)}, {options})"


def _kinds(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = run(connection, f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608  (paths are quoted)
    return {name.lower(): _kind(kind) for name, kind, *_ in described}


def _kind(kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return "time"
    return "text" if kind == "VARCHAR" else "number"


def _counted(connection: duckdb.DuckDBPyConnection, plan: Plan, base: str) -> Iterator[tuple[Any, ...]]:
    """The rows of pairs.sql. Where there is much Parquet, it counts without names, and then puts right what may repeat.

    Names are most of a file, and most images have one pair.
    """
    if plan.lines:
        run(connection, f"CREATE TEMP TABLE lines AS {from_lines(plan.lines, base)}")
    fresh = ["SELECT * FROM lines"] if plan.lines else []
    if plan.settled:
        fresh += [from_parquet(connection, plan.parquet, base)] if plan.parquet else []
        yield from _beside_settled(connection, fresh, _relation(plan.settled, base), deleted=bool(plan.deleted))
    elif plan.parquet:
        relation = _relation(plan.parquet, base)
        kinds, rows = _kinds(connection, relation), _rows(connection, plan.parquet, base)
        if rows >= SPLIT_FROM_ROWS and "image" in kinds:
            yield from _where_some_repeat(connection, fresh, relation, kinds, rows)
        else:
            yield from _pairs_sql(connection, fresh=[*fresh, _select(kinds, relation)])
    else:
        yield from _pairs_sql(connection, fresh=fresh)


def _beside_settled(
    connection: duckdb.DuckDBPyConnection, fresh: Sequence[str], relation: str, *, deleted: bool
) -> Iterator[tuple[Any, ...]]:
    """Settled pairs: what repeats is what has a fresh pair, or was deleted."""
    yield from _pairs_sql(connection, settled=[_settled(relation, named=False)])
    if fresh or deleted:
        images = [f"SELECT image FROM ({part}) WHERE flaw = ''" for part in fresh]  # noqa: S608  (queries of ours)
        _keep_again(connection, relation, ["SELECT image FROM deleted", *images])
        yield from _taken_back(_pairs_sql(connection, settled=[_settled("again", named=False)]))
        yield from _pairs_sql(connection, fresh=fresh, settled=[_settled("again", named=True)])


def _where_some_repeat(
    connection: duckdb.DuckDBPyConnection, fresh: Sequence[str], relation: str, kinds: Mapping[str, str], rows: int
) -> Iterator[tuple[Any, ...]]:
    """Pairs of which an image may have several: a hash that occurs once is an image that occurs once."""
    yield from _pairs_sql(connection, settled=[_select(kinds, relation, named=False)])
    with _told():
        connection.register("found", {"h": repeats.find(connection, relation, rows=rows)})
    images = ["SELECT image FROM deleted", "VALUES (NULL), ('')", *(f"SELECT image FROM ({part})" for part in fresh)]  # noqa: S608
    _keep_again(connection, relation, images, kinds=kinds, hashes="SELECT h FROM found")
    yield from _taken_back(_pairs_sql(connection, settled=[_select(kinds, "again", named=False)]))
    yield from _pairs_sql(connection, fresh=[*fresh, _select(kinds, "again")])


def _keep_again(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    images: Sequence[str],
    *,
    kinds: Collection[str] = canonical.COLUMNS,
    hashes: str | None = None,
) -> None:
    """Provide again: the rows of some images, and of whatever shares a hash with them."""
    every = [f"SELECT {repeats.HASH} FROM ({part}) AS t(image)" for part in images]  # noqa: S608  (queries of ours)
    every += [hashes] if hashes else []
    run(connection, f"CREATE TEMP TABLE several AS SELECT DISTINCT * FROM ({' UNION ALL '.join(every)}) AS t(h)")  # noqa: S608
    columns = ", ".join(name for name in canonical.COLUMNS if name in kinds)
    among = f"{repeats.HASH} IN (SELECT h FROM several)"  # noqa: S608
    run(connection, f"CREATE TEMP TABLE again AS SELECT {columns} FROM {relation} WHERE {among}")  # noqa: S608


def _taken_back(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for *what, n, millionths in rows:
        yield (*what, -n, -millionths)


def _pairs_sql(
    connection: duckdb.DuckDBPyConnection, *, fresh: Sequence[str] = (), settled: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    """Provide fresh, settled and touched, and run pairs.sql."""
    run(connection, f"CREATE TEMP TABLE IF NOT EXISTS nothing ({COLUMNS})")
    for name, parts in (("fresh", fresh), ("settled", settled)):
        query = " UNION ALL ".join(parts or ["SELECT * FROM nothing"])
        run(connection, f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")
    run(connection, "CREATE OR REPLACE TEMP TABLE touched (image VARCHAR, model VARCHAR)")
    if fresh and settled:
        run(connection, "INSERT INTO touched SELECT DISTINCT image, model FROM fresh WHERE flaw = ''")
    return run(connection, sql("pairs.sql"))


def _select(kinds: Mapping[str, str], relation: str, *, named: bool = True) -> str:
    return canonical.select(kinds, dialect="duckdb", relation=relation, named=named)


def _settled(relation: str, *, named: bool) -> str:
    return canonical.select_settled(dialect="duckdb", relation=relation, named=named)


def _rows(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str) -> int:
    found = run(connection, f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({paths(keys, base)})")  # noqa: S608
    return int(found[0][0])


def put_deleted(connection: duckdb.DuckDBPyConnection, images: Sequence[str]) -> None:
    """Provide the relation deleted."""
    run(connection, "CREATE TEMP TABLE deleted (image VARCHAR)")
    if images:
        connection.execute("INSERT INTO deleted SELECT unnest($images)", {"images": list(images)})


def _reads(connection: duckdb.DuckDBPyConnection, plan: Plan, base: str) -> list[cells.Read]:
    if not plan.readings:
        return []
    relation = _json(plan.readings, base, canonical.READING_COLUMNS)
    query = canonical.select_readings(dialect="duckdb", relation=relation)
    run(connection, f"CREATE TEMP VIEW readings AS {query}")
    return [cells.Read(cells.day_name(day), *rest) for day, *rest in run(connection, sql("readings.sql"))]


def _use_s3(connection: duckdb.DuckDBPyConnection, environ: Mapping[str, str]) -> None:
    """Load httpfs, from the package where it is installed (no download), and hand it the usual AWS settings."""
    shipped = _shipped(f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension")
    try:
        if shipped:
            connection.execute(f"LOAD {_quote(str(shipped))}")
        else:
            connection.execute("INSTALL httpfs; LOAD httpfs")
    except duckdb.Error as error:
        remedy = "Install the package duckdb-extension-httpfs, or let this machine reach extensions.duckdb.org."
        raise Unavailable("DuckDB cannot load its httpfs extension.", where="s3://", remedy=remedy) from error
    options = {"TYPE": "s3"} | {name: _quote(value) for name, value in _s3_options(environ).items()}
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {"ENDPOINT": _quote(parts.netloc), "URL_STYLE": "'path'", "USE_SSL": str(parts.scheme == "https")}
    connection.execute("CREATE SECRET (" + ", ".join(f"{name} {value}" for name, value in options.items()) + ")")


def _shipped(name: str) -> Path | None:
    spec = importlib.util.find_spec("duckdb_extension_httpfs")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((Path(folder) / name for folder in folders if (Path(folder) / name).is_file()), None)


def _s3_options(environ: Mapping[str, str]) -> dict[str, str]:
    """Key, secret, token and region from the environment, or else from wherever boto3 finds them (roles, profiles)."""
    options = {"REGION": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"}
    names = {"KEY_ID": "AWS_ACCESS_KEY_ID", "SECRET": "AWS_SECRET_ACCESS_KEY", "SESSION_TOKEN": "AWS_SESSION_TOKEN"}
    given = {name: environ[variable] for name, variable in names.items() if environ.get(variable)}
    if "KEY_ID" not in given and importlib.util.find_spec("boto3"):
        import boto3  # only where the environment has no keys: a role or a profile

        held = boto3.Session().get_credentials()
        if held:
            frozen = held.get_frozen_credentials()
            found = {"KEY_ID": frozen.access_key, "SECRET": frozen.secret_key, "SESSION_TOKEN": frozen.token}
            given = {name: value for name, value in found.items() if value}
    return options | given


def run(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """Run a query; DuckDB's errors as ours."""
    with _told():
        return connection.execute(query).fetchall()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (duckdb.HTTPException, duckdb.IOException) as error:
        brief = str(error).splitlines()[0]
        raise Unavailable(f"the pairs cannot be read: {brief}", where="accuracy") from error
    except duckdb.OutOfMemoryException as error:
        remedy = "Give the job more memory or disk (--memory), or run it on Spark."
        raise Unavailable("the job does not fit into its memory limit.", where="accuracy", remedy=remedy) from error
    except duckdb.Error as error:
        raise Invalid(f"the pairs cannot be read: {str(error).splitlines()[0]}", where="accuracy") from error


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(path: str) -> str:
    """A path whose wildcard characters stand for themselves."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
