"""Very many rows at once: into a table of their own first, then by one statement to their place.

SQLite takes them as parameters, PostgreSQL by COPY; the statements after that are the same text,
but for the readings of a rebuilt index, of which PostgreSQL chooses the newest all at once.
"""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, DropIndex

from legibly.index import schema
from legibly.index.record_rows import ReadingRow
from legibly.iteration import batched

Row = Sequence[Any]
_INDEXES = sorted(schema.images.indexes, key=lambda index: str(index.name))


_PARAMETERS = 10_000
"""Parameters of a statement: fewer than the 32,766 of SQLite."""
_READING = ("media_type", "width", "height", "verdict", "text", "confidence", "read_at", "reading")
NOT_DELETED = "WHERE NOT EXISTS (SELECT 1 FROM deletions WHERE deletions.image = loaded.id)"
_SHORT = ("at", "verdict", "text", "confidence")
_INSERT_READINGS = f"""
INSERT INTO readings (image, model, {", ".join(_SHORT)})
  SELECT id, model, read_at, verdict, text, confidence FROM loaded {NOT_DELETED}
  ON CONFLICT (image, model) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _SHORT)}
    WHERE excluded.at > readings.at"""  # noqa: S608


_OF_READING = (*_READING, "sequence")
_CONSTANTS = {"state": "'read'", "error": "NULL"}


def _source(name: str) -> str:
    return _CONSTANTS.get(name) or f"{'loaded' if name in _OF_READING else 'known'}.{name}"


_NAMES = [column.name for column in schema.images.columns]
_INSERT_READ = f"""
INSERT INTO images ({", ".join(_NAMES)})
  SELECT {", ".join(map(_source, _NAMES))}
  FROM loaded CROSS JOIN known WHERE known.id = loaded.id
  ON CONFLICT (id) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _OF_READING)}
    WHERE images.read_at <= excluded.read_at"""  # noqa: S608
_INSERT_REST = """
INSERT INTO images SELECT * FROM known
  WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.id = known.id)"""


def update(columns: Sequence[str], *, more: str = "", condition: str = "1 = 1") -> str:
    """Put columns of `loaded` into the rows of their images."""
    changes = ", ".join(f"{name} = loaded.{name}" for name in columns)
    where = f"images.id = loaded.id AND {condition}"
    return f"UPDATE images SET {changes}{more} FROM loaded WHERE {where}"  # noqa: S608


_ROW = ("id", *_READING, "key AS model", "sequence")
_COLUMNS = ", ".join(_ROW)
_NEWEST = """
INSERT INTO {table} ({columns})
  SELECT DISTINCT ON ({key}) {sources} FROM loaded {where}
  ORDER BY {key}, loaded.read_at DESC, loaded.sequence {latest}"""
_SET_ASIDE = {
    "sqlite": ("ALTER TABLE images RENAME TO known",),
    "postgresql": (
        "ALTER TABLE images RENAME TO known",
        "ALTER INDEX images_pkey RENAME TO known_pkey",
        "ALTER TABLE readings DROP CONSTRAINT readings_pkey",
        f"CREATE UNLOGGED TABLE loaded AS SELECT {_COLUMNS} FROM known WHERE false",  # noqa: S608
    ),
}
"""Statements that give the table of images another name, before it is created anew."""
_PUT_TOGETHER = {
    "sqlite": (),
    "postgresql": (
        "ANALYZE known, loaded",
        _NEWEST.format(
            table="images",
            columns=", ".join(_NAMES),
            key="loaded.id",
            sources=", ".join(map(_source, _NAMES)),
            where="JOIN known ON known.id = loaded.id",
            latest="DESC",
        ),
        _NEWEST.format(
            table="readings",
            columns=", ".join(("image", "model", *_SHORT)),
            key="loaded.id, loaded.model",
            sources="id, model, read_at, verdict, text, confidence",
            where=NOT_DELETED,
            latest="ASC",
        ),
        "DROP TABLE loaded",
        "ALTER TABLE images ADD PRIMARY KEY (id)",
        "ALTER TABLE readings ADD PRIMARY KEY (image, model)",
    ),
}
"""Statements that choose the newest of all readings, and the earliest record of equal ones."""
_UPDATE_READINGS = update(
    (*_READING, "sequence"),
    more=", state = 'read', error = NULL",
    condition="(images.read_at IS NULL OR images.read_at <= loaded.read_at)",
)


def add_readings(connection: Connection, rows: Sequence[ReadingRow], *, first: int) -> None:
    """Take in readings, their changes numbered from `first`; the newest of an image is its own."""
    _execute_readings(connection, rows, first=first, statement=_UPDATE_READINGS)


def _execute_readings(
    connection: Connection, rows: Sequence[ReadingRow], *, first: int, statement: str
) -> None:
    execute(
        connection,
        [(*row, number) for number, row in enumerate(rows, first)],
        columns=_ROW,
        statements=(statement, _INSERT_READINGS),
    )


def set_aside(connection: Connection) -> None:
    """Make room for complete rows: an image that gets its reading later is written twice."""
    for statement in _SET_ASIDE[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    schema.images.create(connection)
    drop_indexes(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE images DROP CONSTRAINT images_pkey")


def insert_readings(connection: Connection, rows: Sequence[ReadingRow], *, first: int) -> None:
    """Take in readings of images that were set aside; PostgreSQL chooses the newest at the end."""
    if connection.dialect.name == "sqlite":
        _execute_readings(connection, rows, first=first, statement=_INSERT_READ)
    else:
        _fill(connection, [(*row, number) for number, row in enumerate(rows, first)])


def add_rest(connection: Connection) -> int:
    """Add the images without a reading; returns the number of those with one."""
    for statement in _PUT_TOGETHER[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    read = int(connection.exec_driver_sql("SELECT count(*) FROM images").scalar_one())
    connection.exec_driver_sql(_INSERT_REST)
    connection.exec_driver_sql("DROP TABLE known")
    return read


def look_up(connection: Connection) -> None:
    """Find rows by their key in this transaction: without counts of a table that grows, PostgreSQL
    would rather read it from end to end for each few thousand rows.
    """
    for join in ("hashjoin", "mergejoin") if connection.dialect.name == "postgresql" else ():
        connection.exec_driver_sql(f"SET LOCAL enable_{join} = off")


def execute(
    connection: Connection,
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    statements: Sequence[str],
) -> None:
    """Execute statements over rows, of those of one image one after another."""
    for several in _rounds(rows):
        with loaded(connection, several, columns=", ".join(columns)):
            for statement in statements:
                connection.exec_driver_sql(statement)


def _rounds(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in as few lists as can be, none of which has two of one image."""
    later: Sequence[Row] = rows
    while later:
        first = {row[0]: row for row in reversed(later)}
        if len(first) == len(later):
            yield later
            return
        yield list(first.values())
        later = [row for row in later if first[row[0]] is not row]


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
    _fill(connection, rows)
    yield
    connection.exec_driver_sql("DROP TABLE loaded")


def _fill(connection: Connection, rows: Sequence[Row]) -> None:
    """Put rows into `loaded`."""
    with contextlib.closing(connection.connection.cursor()) as opened:
        cursor: Any = opened
        if connection.dialect.name == "sqlite":
            _insert(cursor, rows)
            return
        with cursor.copy("COPY loaded FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _insert(cursor: Any, rows: Sequence[Row]) -> None:
    """Insert many rows by each statement: between two, another thread may take Python's lock for
    long.
    """
    marks = f"({', '.join('?' * len(rows[0]))})"
    for several in batched(rows, _PARAMETERS // len(rows[0])):
        values = ", ".join([marks] * len(several))
        statement = f"INSERT INTO loaded VALUES {values}"  # noqa: S608
        cursor.execute(statement, list(chain.from_iterable(several)))


def drop_indexes(connection: Connection) -> None:
    """Remove what every insert would keep in order; keys stay."""
    connection.exec_driver_sql("DROP INDEX IF EXISTS images_name_parts")
    for index in _INDEXES:
        connection.execute(DropIndex(index, if_exists=True))


def create_indexes(connection: Connection) -> None:
    """Build the indexes that `drop_indexes` removed: to sort once is much less work."""
    for index in _INDEXES:
        connection.execute(CreateIndex(index))
    index_names(connection)


def index_names(connection: Connection) -> None:
    """Index the names of images for a search by a part of them.

    PostgreSQL looks up three letters at a time, if it has the extension or lets us create it;
    SQLite reads names in the order of a page until that is full.
    """
    index = "CREATE INDEX IF NOT EXISTS images_name_parts ON images"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"{index} (id, name)")
    elif schema_name := _trigrams(connection):
        connection.exec_driver_sql(f'{index} USING gin (name "{schema_name}".gin_trgm_ops)')


def _trigrams(connection: Connection) -> str | None:
    """The schema of PostgreSQL's extension pg_trgm; None if it may not be created."""
    query = (
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON extnamespace = pg_namespace.oid"
        " WHERE extname = 'pg_trgm'"
    )
    if connection.exec_driver_sql(query).first() is None:
        with contextlib.suppress(DBAPIError), connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION pg_trgm SCHEMA public")
    return connection.exec_driver_sql(query).scalar()
