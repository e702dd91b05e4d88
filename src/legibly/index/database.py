"""Opens databases by URL, configures SQLite, and translates errors."""

import contextlib
import functools
import importlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from legibly import private_files
from legibly.errors import Invalid, Unavailable
from legibly.telemetry.measures import measure

_CHECKED_BYTES = 200_000_000
"""Up to this size all pages are checked, which takes a second or two."""
_URLS = "Use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME."


@functools.cache
def dialect(name: str) -> Any:
    """SQLAlchemy's module of a dialect, imported when needed: PostgreSQL's takes long."""
    return importlib.import_module(f"sqlalchemy.dialects.{name}")


@contextlib.contextmanager
def errors(engine: Engine) -> Iterator[None]:
    """Translate database errors into Unavailable, without passwords."""
    try:
        yield
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        where = engine.url.render_as_string(hide_password=True)
        measure("database_errors")
        raise Unavailable(f"the database does not answer: {cause}.", where=where) from error


def engine(url: str, *, namespace: str | None = None, schema_name: str | None = None) -> Engine:
    """The engine of a database URL. Raises Invalid for other URLs and a missing driver.

    A namespace is a schema in PostgreSQL, and in SQLite another file beside the named one.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise Invalid(
            "this is not a database URL.", where=url.partition("@")[2] or url, remedy=_URLS
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if namespace and parsed.database and parsed.database != ":memory:":
            parsed = parsed.set(database=f"{parsed.database.removesuffix('.db')}.{namespace}.db")
        return _sqlite(parsed)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        try:
            schema_name = schema_name or (namespace and _project_schema(namespace))
            return _postgres(parsed, schema_name)
        except (ImportError, NoSuchModuleError):
            remedy = "Install it: pip install 'legibly[postgres]'."
            raise Invalid(
                "the PostgreSQL driver is missing.", where="LEGIBLY_DATABASE", remedy=remedy
            ) from None
    raise Invalid(
        f"there is no index for {parsed.get_backend_name()}.",
        where="LEGIBLY_DATABASE",
        remedy=_URLS,
    )


def _project_schema(namespace: str) -> str:
    return f"project_{namespace.replace('-', '_')}"


def _postgres(url: sa.URL, schema: str | None) -> Engine:
    url = url.set(drivername="postgresql+psycopg")
    if not schema:
        return sa.create_engine(url, pool_size=10, pool_pre_ping=True)
    options = {"options": f"-csearch_path={schema}"}
    engine = sa.create_engine(url, pool_size=5, pool_pre_ping=True, connect_args=options)

    @event.listens_for(engine, "first_connect")
    def _create_schema(connection: Any, _record: object) -> None:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.commit()

    return engine


def set_aside_if_corrupt(url: str) -> Path | None:
    """Rename a corrupt SQLite file and return its new path, else None."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    path = Path(str(parsed.database))
    if not path.is_file() or not _is_corrupt(path):
        return None
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(aside)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return aside


def _is_corrupt(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if path.stat().st_size > _CHECKED_BYTES:
                return False
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:  # locked, or without permission
        return False
    except sqlite3.DatabaseError:
        return True


def _sqlite(url: sa.URL) -> Engine:
    if url.database and url.database != ":memory:":
        try:
            private_files.make_folder(Path(url.database).parent)
            private_files.make_file(Path(url.database))
        except OSError as error:
            raise Unavailable(
                f"this folder cannot be created: {error.strerror}.", where=str(url.database)
            ) from error
        # Each connection caches pages in memory. With the last used one first, a burst of threads
        # does not fill the caches of all connections for good.
        engine = sa.create_engine(
            url, connect_args={"timeout": 30}, pool_size=20, pool_use_lifo=True
        )
    else:
        engine = sa.create_engine(
            url, connect_args={"check_same_thread": False}, poolclass=sa.pool.StaticPool
        )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions itself
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "temp_store=MEMORY",
            "cache_size=-512",  # kilobytes per connection; the system caches the file anyway
            "wal_autocheckpoint=4000",  # 16 MB: the same pages are written repeatedly
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            # A transaction that starts by reading could not wait to write. The driver is called
            # directly, since SQLAlchemy's overhead is a sixth of a small upload's transaction.
            connection.connection.cursor().execute("BEGIN IMMEDIATE")

    return engine
