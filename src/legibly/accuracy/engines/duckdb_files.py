"""Files of pairs and readings as DuckDB relations: JSON lines and Parquet, folders and `s3://`."""

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from legibly.accuracy.engines import bundles, canonical
from legibly.errors import Invalid, Unavailable

MEMORY_LIMIT = "1500MB"
"""DuckDB only counts its buffers: with this the process stays below 2 GB."""
COLUMNS = (
    "image VARCHAR, model VARCHAR, source VARCHAR, predicted VARCHAR, actual VARCHAR, millionths"
    " BIGINT, us BIGINT"
)
_SHARES = 32
"""The image ids of many files are read in this many parts, to limit the memory held twice."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Resources of the job; `threads` 0: one per core. Rows spill to a temporary folder."""

    memory: str = MEMORY_LIMIT
    threads: int = 0


@contextlib.contextmanager
def connected(
    base: str, *, environ: Mapping[str, str], limits: Limits | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect to an in-memory database that spills to disk, with credentials if `base` is S3."""
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="legibly-accuracy-") as folder:
        config: dict[str, Any] = {"memory_limit": limits.memory, "temp_directory": folder}
        config |= {"preserve_insertion_order": False, "autoinstall_known_extensions": False}
        # Otherwise every settled pair stays in memory, because the query uses them twice.
        config |= {"disabled_optimizers": "common_subplan"}
        if limits.threads:
            config["threads"] = limits.threads
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
            if base.startswith("s3://"):
                _use_s3(connection, environ)
            yield connection


def paths(keys: Sequence[str], base: str) -> str:
    """Return a SQL list of the files at `keys`; wildcard characters in names are literal."""
    quoted = (f"{base.rstrip('/')}/{key}" if base else key for key in keys)
    return "[" + ", ".join(quote(literal(path)) for path in quoted) + "]"


def parquet(keys: Sequence[str], base: str, *, filename: bool = False) -> str:
    """Parquet files of any schema as one relation; with `filename`, the column of that name."""
    options = f"union_by_name = true, hive_partitioning = false, filename = {filename}"
    return f"read_parquet({paths(keys, base)}, {options})"


def json_lines(keys: Sequence[str], base: str, columns: str, *, filename: bool = False) -> str:
    """JSON lines with given columns; a line that is not an object has only nulls."""
    options = (
        "format = 'newline_delimited', ignore_errors = true, hive_partitioning = false, filename ="
        f" {filename}"
    )
    return f"read_json({paths(keys, base)}, columns = {columns}, {options})"


def pairs_of_parquet(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str) -> str:
    """Return a query for Parquet files: columns of pairs.sql, others of a pair, the file."""
    relation = parquet(keys, base, filename=True)
    return _pairs(kinds_of(connection, relation), relation, "filename")


def pairs_of_lines(keys: Sequence[str], base: str) -> str:
    """The same for JSON lines."""
    return _pairs(
        canonical.TEXT, json_lines(keys, base, canonical.TEXT_COLUMNS, filename=True), "filename"
    )


def pairs_of_bundles(paths_of_bundles: Sequence[str]) -> str:
    """The same for bundles; the file is the line's key, or the bundle if the line is torn."""
    columns = canonical.TEXT_COLUMNS.replace("}", f", '{bundles.KEY}': 'VARCHAR'}}")
    relation = json_lines(paths_of_bundles, "", columns, filename=True)
    return _pairs(canonical.TEXT, relation, f"coalesce({bundles.KEY}, filename) AS filename")


def _pairs(kinds: Mapping[str, str], relation: str, filename: str) -> str:
    return canonical.select(
        kinds,
        dialect="duckdb",
        relation=relation,
        extra=f"{canonical.extra_columns(kinds)}, {filename}",
    )


def kinds_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return the column kinds of a relation for `canonical.select`."""
    return {name: _kind(kind) for name, kind in _types(connection, relation).items()}


def _types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    described = run(connection, f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608
    return {name.lower(): kind for name, kind, *_ in described}


def _kind(kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return "time"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "float"
    return "text" if kind == "VARCHAR" else "number"


def images(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str) -> list[str]:
    """Return relations with the image ids of Parquet files, a part of them each; some lack them."""
    kind = _types(connection, parquet(keys, base)).get("image")
    if kind is None:
        return []
    # The text of a number depends on its type, which must be common to all files.
    image = f"CAST(image AS {kind}) AS image"
    shares = min(len(keys), _SHARES)
    return [
        f"(SELECT {image} FROM {parquet(keys[share::shares], base)})"  # noqa: S608
        for share in range(shares)
    ]


def rows(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], base: str) -> int:
    """Count the rows of Parquet files by their footers."""
    counts = run(
        connection,
        f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({paths(keys, base)})",  # noqa: S608
    )
    return int(counts[0][0])


def put_deleted(connection: duckdb.DuckDBPyConnection, images: Sequence[str]) -> None:
    """Create the table `deleted`."""
    run(connection, "CREATE TEMP TABLE deleted (image VARCHAR)")
    if images:
        connection.execute("INSERT INTO deleted SELECT unnest($images)", {"images": list(images)})


def run(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """Run a query, translating DuckDB's errors."""
    with translated_errors():
        return connection.execute(query).fetchall()


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Translate DuckDB's errors into ours."""
    try:
        yield
    except (duckdb.HTTPException, duckdb.IOException) as error:
        brief = str(error).splitlines()[0]
        raise Unavailable(f"the pairs cannot be read: {brief}", where="accuracy") from error
    except duckdb.OutOfMemoryException as error:
        remedy = "Give the job more memory or disk (--memory), or run it on Spark."
        raise Unavailable(
            "the job does not fit into its memory limit.", where="accuracy", remedy=remedy
        ) from error
    except duckdb.Error as error:
        raise Invalid(
            f"the pairs cannot be read: {str(error).splitlines()[0]}", where="accuracy"
        ) from error


def quote(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def literal(path: str) -> str:
    """Escape the wildcard characters of a path."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def _use_s3(connection: duckdb.DuckDBPyConnection, environ: Mapping[str, str]) -> None:
    """Load httpfs, without a download if its package is installed, and pass it the AWS settings."""
    shipped = _shipped(f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension")
    try:
        if shipped:
            connection.execute(f"LOAD {quote(str(shipped))}")
        else:
            connection.execute("INSTALL httpfs; LOAD httpfs")
    except duckdb.Error as error:
        remedy = (
            "Install the package duckdb-extension-httpfs, or let this machine reach"
            " extensions.duckdb.org."
        )
        raise Unavailable(
            "DuckDB cannot load its httpfs extension.", where="s3://", remedy=remedy
        ) from error
    authorities = environ.get("SSL_CERT_FILE") or environ.get("AWS_CA_BUNDLE")
    if authorities:
        connection.execute(f"SET ca_cert_file = {quote(authorities)}")
    options = {"TYPE": "s3"} | {name: quote(value) for name, value in _s3_options(environ).items()}
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {
            "ENDPOINT": quote(parts.netloc),
            "URL_STYLE": "'path'",
            "USE_SSL": str(parts.scheme == "https"),
        }
    connection.execute(
        "CREATE SECRET (" + ", ".join(f"{name} {value}" for name, value in options.items()) + ")"
    )


def _shipped(name: str) -> Path | None:
    spec = importlib.util.find_spec("duckdb_extension_httpfs")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next(filter(Path.is_file, (Path(folder) / name for folder in folders)), None)


def _s3_options(environ: Mapping[str, str]) -> dict[str, str]:
    """Key, secret, token and region from the environment, or else from boto3 (roles, profiles)."""
    options = {
        "REGION": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    keys = [environ.get(variable) for variable in variables]
    if not keys[0] and importlib.util.find_spec("boto3"):
        import boto3  # only if the environment has no keys: a role or a profile

        credentials = boto3.Session().get_credentials()
        if credentials:
            frozen = credentials.get_frozen_credentials()
            keys = [frozen.access_key, frozen.secret_key, frozen.token]
    names = ("KEY_ID", "SECRET", "SESSION_TOKEN")
    return options | {name: key for name, key in zip(names, keys, strict=True) if key}
