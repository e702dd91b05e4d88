"""Builds an index beside the one in use, and swaps the two in one transaction.

Until then, and wherever it fails, the index in use stays as it is. What changes in it meanwhile is
carried over. SQLite builds in a second file, PostgreSQL in a second schema.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from legibly import object_keys, text_rules
from legibly.index import database, schema
from legibly.index.opening import open_tables
from legibly.index.schema import counters, deletions, images
from legibly.index.tables import SqlTables, insert_new
from legibly.records import FailureRecord, UploadRecord, now

_OF_IMAGES = (schema.labels, schema.pairs, schema.readings)
_TABLES = (images, *_OF_IMAGES, schema.batches, deletions)
_UPLOADED = ("name", "writer", "owner", "batch")
_FAILED = ("error", "width", "height")
_PREPARE_UPLOAD = (
    images.update()
    .where(images.c.id == sa.bindparam("image"))
    .values({name: sa.bindparam(f"new_{name}") for name in _UPLOADED})
)
_PREPARE_FAILURE = (
    images.update()
    .where(images.c.id == sa.bindparam("image"))
    .values(state="failed", **{name: sa.bindparam(f"new_{name}") for name in _FAILED})
)


class Rebuild(SqlTables):
    """An index that is being filled, with what only that needs."""

    def add_deletions(self, ids: Sequence[str]) -> None:
        with self._write() as connection:
            insert_new(connection, deletions, [{"image": image} for image in ids])

    def apply_uploads(self, records: Sequence[UploadRecord]) -> None:
        rows = []
        for record in records:
            name = text_rules.clean(record.name) or ""
            values = {"name": name, "writer": text_rules.clean(record.writer)}
            values |= {"owner": record.owner, "batch": record.batch}
            rows.append({"image": record.image} | _bound(values))
        with self._write() as connection:
            connection.execute(_PREPARE_UPLOAD, rows)

    def apply_failures(self, records: Sequence[FailureRecord]) -> None:
        rows = [
            {"image": record.image} | _bound({name: getattr(record, name) for name in _FAILED})
            for record in records
        ]
        with self._write() as connection:
            connection.execute(_PREPARE_FAILURE, rows)

    def count_labelled(self) -> int:
        query = sa.select(sa.func.count()).where(images.c.label_at.is_not(None))
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())


def _bound(values: Mapping[str, object]) -> dict[str, object]:
    return {f"new_{name}": value for name, value in values.items()}


@contextlib.contextmanager
def beside(engine: Engine) -> Iterator[Rebuild]:
    """An empty index to fill, which replaces that of `engine` when the block ends well."""
    index = Rebuild(engine)
    if engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:"):
        index.begin_rebuild()
        index.clear()
        yield index
        index.end_rebuild()
        return
    sequence = index.sequence()
    begun = object_keys.new_id(now())
    with _opened(engine) as fresh:
        yield fresh
        with database.errors(engine), _transaction(engine, fresh) as (connection, new, old):
            _carry_over(connection, new, old, sequence=sequence, begun=begun)
            _replace(connection, new, old)


@contextlib.contextmanager
def _opened(engine: Engine) -> Iterator[Rebuild]:
    """An empty index of the same kind, dropped at the end; one that a crash left is dropped too."""
    url = engine.url.render_as_string(hide_password=False)
    if engine.dialect.name == "sqlite":
        path = Path(f"{engine.url.database}.rebuild")
        _remove(path)
        opened = open_tables(f"sqlite:///{path}")
    else:
        url = url.replace("postgresql+psycopg:", "postgresql:")
        with engine.begin() as connection:
            name = _schema(connection)
            connection.execute(sa.text(f'DROP SCHEMA IF EXISTS "{name}__rebuild" CASCADE'))
        opened = open_tables(url, schema_name=f"{name}__rebuild")
    try:
        yield Rebuild(opened)
    finally:
        opened.dispose()
        if engine.dialect.name == "sqlite":
            _remove(path)
        else:
            with database.errors(engine), engine.begin() as connection:
                connection.execute(sa.text(f'DROP SCHEMA IF EXISTS "{name}__rebuild" CASCADE'))


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _schema(connection: Connection) -> str:
    return str(connection.execute(sa.text("SELECT current_schema()")).scalar_one())


@contextlib.contextmanager
def _transaction(engine: Engine, fresh: Rebuild) -> Iterator[tuple[Connection, str, str]]:
    """A transaction that sees both indexes and keeps other writers out; with their prefixes."""
    if engine.dialect.name != "sqlite":
        fresh.close()
        with engine.begin() as connection:
            name = _schema(connection)
            connection.execute(sa.text(f'LOCK TABLE "{name}".counters IN ACCESS EXCLUSIVE MODE'))
            yield connection, f'"{name}__rebuild"', f'"{name}"'
        return
    path = fresh.engine.url.database
    with engine.connect() as raw:
        connection = raw.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("ATTACH :path AS fresh"), {"path": path})
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection, "fresh", "main"
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
        finally:
            connection.exec_driver_sql("DETACH fresh")


def _carry_over(connection: Connection, new: str, old: str, *, sequence: int, begun: str) -> None:
    """Take into the new index what changed in the old one since it had this sequence number."""
    values = {"sequence": sequence, "begun": begun}
    changed = f"SELECT id FROM {old}.images WHERE sequence > :sequence"

    def run(statement: str) -> None:
        connection.execute(sa.text(statement), values if ":" in statement else {})

    run(f"DELETE FROM {new}.images WHERE id IN ({changed})")
    run(_copy(images, new, old, "sequence > :sequence"))
    for table in _OF_IMAGES:
        run(_copy(table, new, old, f"image IN ({changed})"))
    run(_copy(schema.batches, new, old, "id >= :begun"))
    run(_copy(deletions, new, old, "true"))
    run(f"DELETE FROM {new}.images WHERE id IN (SELECT image FROM {old}.deletions)")
    for table in _OF_IMAGES:
        run(f"DELETE FROM {new}.{table.name} WHERE image IN (SELECT image FROM {old}.deletions)")


def _copy(table: sa.Table, new: str, old: str, condition: str) -> str:
    """Rows of the old table that are not in the new one."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return (
        f"INSERT INTO {new}.{table.name} ({names}) SELECT {names} FROM {old}.{table.name}"
        f" WHERE {condition} ON CONFLICT DO NOTHING"
    )


def _replace(connection: Connection, new: str, old: str) -> None:
    """Put the new tables in the place of the old ones; numbers of changes go on rising."""
    for table in _TABLES:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"DELETE FROM {old}.{table.name}")
            connection.exec_driver_sql(_copy(table, old, new, "true"))
        else:
            connection.exec_driver_sql(f"DROP TABLE {old}.{table.name}")
            connection.exec_driver_sql(f"ALTER TABLE {new}.{table.name} SET SCHEMA {old}")
    added = f"(SELECT value FROM {new}.counters WHERE name = 'sequence')"
    connection.exec_driver_sql(
        f"UPDATE {old}.counters SET value = value + {added} + 1 WHERE name = 'sequence'"
    )
    connection.execute(counters.delete().where(counters.c.name == "rebuild"))
