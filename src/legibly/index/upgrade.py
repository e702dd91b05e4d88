"""Upgrades the tables of an earlier version if only columns and indexes are new."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex

from legibly.index import schema

EARLIEST = 3
"""The oldest version that differs only by missing columns, indexes or tables."""


def extend(connection: Connection, version: int) -> None:
    """Add the missing parts to tables of `version`, and store the new version; ignores others.

    A running server of the earlier version is not disturbed, since it names its columns.
    """
    if not EARLIEST <= version < schema.VERSION:
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
    connection.execute(
        schema.counters.update()
        .where(schema.counters.c.name == "schema")
        .values(value=schema.VERSION)
    )
