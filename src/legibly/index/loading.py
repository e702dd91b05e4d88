"""Very many rows at once: into a table of their own first, then by one statement to their place.

SQLite takes them as parameters, PostgreSQL by COPY; the statements after that are the same text.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, DropIndex

from legibly.index import schema

_INDEXES = sorted(schema.images.indexes, key=lambda index: str(index.name))


@contextlib.contextmanager
def loaded(
    connection: Connection, rows: Sequence[Sequence[Any]], *, columns: str
) -> Iterator[None]:
    """Rows as the table `loaded`, for as long as the block runs.

    `columns` are the expressions over `images` whose types its columns have.
    """
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE loaded AS SELECT {columns} FROM images WHERE 1 = 0"  # noqa: S608
    )
    marks = ", ".join("?" * len(rows[0]))
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            cursor.executemany(f"INSERT INTO loaded VALUES ({marks})", rows)  # noqa: S608
        else:
            with cursor.copy("COPY loaded FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    finally:
        cursor.close()
    yield
    connection.exec_driver_sql("DROP TABLE loaded")


def drop_indexes(connection: Connection) -> None:
    """Remove what every insert would keep in order; keys stay."""
    for index in _INDEXES:
        connection.execute(DropIndex(index, if_exists=True))


def create_indexes(connection: Connection) -> None:
    """Build the indexes that `drop_indexes` removed: to sort once is much less work."""
    for index in _INDEXES:
        connection.execute(CreateIndex(index))
