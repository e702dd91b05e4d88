"""Opens the database of an index, and creates the tables that are missing."""

import logging

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.schema import CreateIndex

from legibly.errors import Invalid
from legibly.index import counting, database, loading, schema
from legibly.index.schema import counters
from legibly.index.tables import insert_new

_log = logging.getLogger(__name__)
_EARLIEST = 3
"""The oldest version that differs only by missing columns, indexes or tables."""
_COUNTED = "counted"
"""The counter that exists once triggers count."""


def open_tables(
    url: str, *, renew: bool = False, namespace: str | None = None, schema_name: str | None = None
) -> Engine:
    """Open the index at `sqlite:///PATH` or `postgresql://…`, and create missing tables.

    With `renew`, tables of another version are replaced by empty ones, since the object store has
    all their data. Raises Invalid for other URLs, a missing driver and tables of another version;
    Unavailable if the database does not answer. `schema_name` is a schema of PostgreSQL instead of
    that of the namespace.
    """
    if renew and (aside := database.set_aside_if_corrupt(url)):
        _log.warning("%s is corrupt; it has been renamed to %s", url, aside)
    engine = database.engine(url, namespace=namespace, schema_name=schema_name)
    schema.narrow_indexes(engine.dialect.name)
    where = engine.url.render_as_string(hide_password=True)
    with database.errors(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(7302)")
            )  # two servers may start at the same time
        if sa.inspect(connection).has_table(counters.name):
            _extend(connection, _version(connection) or 0)
            if renew and _version(connection) != schema.VERSION:
                schema.METADATA.drop_all(connection)
        schema.METADATA.create_all(connection)
        insert_new(
            connection,
            counters,
            [{"name": "sequence", "value": 0}, {"name": "schema", "value": schema.VERSION}],
        )
        version = _version(connection)
        if version == schema.VERSION:
            _count(connection)
            loading.index_names(connection)
    if version != schema.VERSION:
        engine.dispose()
        raise _other_version(version, where=where)
    return engine


def _extend(connection: Connection, version: int) -> None:
    """Add the missing parts to tables of `version`, and store the new version; ignores others.

    A running server of the earlier version is not disturbed, since it names its columns.
    """
    if not _EARLIEST <= version < schema.VERSION:
        return
    schema.METADATA.create_all(connection)
    inspector = sa.inspect(connection)
    for table in schema.METADATA.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.execute(
                    sa.text(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}')
                )
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    stored = counters.c.name == "schema"
    connection.execute(counters.update().where(stored).values(value=schema.VERSION))


def _count(connection: Connection) -> None:
    """Start the triggers, in tables that have none yet."""
    query = sa.select(counters.c.value).where(counters.c.name == _COUNTED)
    if connection.execute(query).first() is None:
        insert_new(connection, counters, [{"name": _COUNTED, "value": 1}])
        counting.start(connection)


def _version(connection: Connection) -> int | None:
    """The version of the existing tables."""
    return connection.execute(
        sa.select(counters.c.value).where(counters.c.name == "schema")
    ).scalar()


def _other_version(version: int | None, *, where: str) -> Invalid:
    remedy = "Run `legibly reindex`: it rebuilds them from the object store."
    if version is not None and version > schema.VERSION:
        remedy = (
            f"A newer Legibly wrote them: upgrade this one. Or: {remedy[0].lower()}{remedy[1:]}"
        )
    return Invalid(
        f"its tables have version {version}, not {schema.VERSION}.", where=where, remedy=remedy
    )
