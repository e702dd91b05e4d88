"""Triggers that count images by state and readings by day, model, verdict, text and confidence.

A page that shows such numbers would otherwise read millions of rows. Triggers count for every
writer, servers of an earlier version included. The same statements serve SQLite, which runs them
for each row, and PostgreSQL, which runs them once for all rows of a statement.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from legibly.index import schema
from legibly.statistics import aggregates

_CASES = " ".join(
    f"WHEN confidence * 1000000.0 + 0.5 >= {edge} THEN {edge}"
    for edge in reversed(aggregates.EDGES)
)
_BIN = f"CASE WHEN confidence BETWEEN 0 AND 1 THEN CASE {_CASES} END ELSE -1 END"
TABLES = (schema.image_counts, schema.reading_counts)


@dataclass(frozen=True, slots=True)
class _Count:
    """A table of numbers, what it counts, and the expressions of its key."""

    counts: sa.Table
    rows: sa.Table
    keys: tuple[str, ...]
    columns: tuple[str, ...]

    def add(self, rows: str, number: str, group: str = "") -> str:
        """Add a number for each key of `rows`."""
        names = [column.name for column in self.counts.primary_key]
        name = self.counts.name
        return (
            f"INSERT INTO {name} ({', '.join(names)}, n)"  # noqa: S608
            f" SELECT {', '.join(self.keys)}, {number} FROM {rows} WHERE 1 = 1 {group}"
            f" ON CONFLICT ({', '.join(names)}) DO UPDATE SET n = {name}.n + excluded.n"
        )

    def add_groups(self, rows: str, number: str) -> str:
        """Add a sum of numbers for each key of many rows, in the order of the keys: of two writers
        one waits for the other.
        """
        places = ", ".join(str(place + 1) for place in range(len(self.keys)))
        group = f"GROUP BY {places} HAVING {number} <> 0 ORDER BY {places}"
        return self.add(rows, number, group)


_COUNTS = (
    _Count(schema.image_counts, schema.images, ("state",), ("state",)),
    _Count(
        schema.reading_counts,
        schema.readings,
        ("substr(at, 1, 10)", "model", "verdict", "text", _BIN),
        ("at", "model", "verdict", "text", "confidence"),
    ),
)
_EVENTS = {"INSERT": ("new",), "DELETE": ("old",), "UPDATE": ("old", "new")}


def start(connection: Connection) -> None:
    """Count what is there, and from now on what changes."""
    create_triggers(connection)  # first, since PostgreSQL lets nobody write from here on
    for count in _COUNTS:
        connection.execute(count.counts.delete())
        connection.exec_driver_sql(count.add_groups(count.rows.name, "count(*)"))


def create_triggers(connection: Connection) -> None:
    """Count what changes from now on."""
    statements = _sqlite if connection.dialect.name == "sqlite" else _postgresql
    for count in _COUNTS:
        for event in _EVENTS:
            for statement in statements(count, event):
                connection.exec_driver_sql(statement)


def drop_triggers(connection: Connection) -> None:
    """Count no longer."""
    for count in _COUNTS:
        for event in _EVENTS:
            name = _name(count, event)
            on = "" if connection.dialect.name == "sqlite" else f" ON {count.rows.name}"
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")


def _name(count: _Count, event: str) -> str:
    return f"count_{count.rows.name}_{event.lower()}"


def _sqlite(count: _Count, event: str) -> Iterable[str]:
    """One statement for each of the old and the new row."""
    of = f" OF {', '.join(count.columns)}" if event == "UPDATE" else ""
    body = ""
    for row in _EVENTS[event]:
        columns = ", ".join(f"{row}.{name} AS {name}" for name in count.columns)
        body += count.add(f"(SELECT {columns})", "1" if row == "new" else "-1") + ";"
    name = _name(count, event)
    yield f"CREATE TRIGGER {name} AFTER {event}{of} ON {count.rows.name} BEGIN {body} END"


def _postgresql(count: _Count, event: str) -> Iterable[str]:
    """A function that adds what all old and new rows of a statement come to."""
    names = ", ".join(count.columns)
    parts = [
        f"SELECT {names}, {1 if row == 'new' else -1} AS change FROM {row}_rows"  # noqa: S608
        for row in _EVENTS[event]
    ]
    body = count.add_groups(f"({' UNION ALL '.join(parts)}) AS changed", "sum(change)")
    name = _name(count, event)
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {body}; RETURN NULL; END $$"
    )
    tables = " ".join(f"{row.upper()} TABLE AS {row}_rows" for row in _EVENTS[event])
    yield (
        f"CREATE TRIGGER {name} AFTER {event} ON {count.rows.name} REFERENCING {tables}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )
