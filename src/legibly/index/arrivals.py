"""Inserts images together with their readings, with the database driver's SQL.

Every small upload runs these few statements, and SQLAlchemy's overhead for an execution takes
longer than they do. SQLAlchemy only generates them, once for each dialect.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from legibly.index import database, schema
from legibly.index.schema import counters, deletions, images, readings
from legibly.iteration import batched
from legibly.records import Image

_STYLES = {"sqlite": "named", "postgresql": "pyformat"}
_IDS = 15
"""Most ids of one lookup: the largest group of the writer of small uploads."""
_LEASE = {"attempts": 0, "leased_until": 0.0}
Row = Mapping[str, Any]


def insert(
    connection: Connection, arrived: Sequence[Image], *, write: Callable[[Collection[str]], None]
) -> set[str]:
    """Insert the images that are new, and call `write` with their ids; return these.

    Raises the driver's errors and those of `write`.
    """
    cursor = connection.connection.cursor()
    text = functools.partial(_text, connection.dialect.name)
    try:
        # The counter's lock makes other writers wait, so new images stay new to the end.
        cursor.execute(text("advance"), {"count": len(arrived)})
        ((last,),) = cursor.fetchall()
        fresh = {image.id: image for image in arrived}
        for ids in batched(list(fresh), _IDS):
            padded = [*ids, *ids[:1] * (_IDS - len(ids))]
            cursor.execute(text("known"), {f"id{n}": known for n, known in enumerate(padded)})
            for (known,) in cursor.fetchall():
                fresh.pop(known, None)
        if fresh:
            first = last - len(arrived) + 1
            cursor.executemany(text("images"), _image_rows(fresh.values(), first))
            cursor.executemany(text("readings"), _reading_rows(fresh.values()))
            write(set(fresh))
        return set(fresh)
    finally:
        cursor.close()


def _image_rows(fresh: Collection[Image], first: int) -> list[Row]:
    return [
        {**schema.image_row(image), **_LEASE, "sequence": number}
        for number, image in enumerate(fresh, first)
    ]


def _reading_rows(fresh: Collection[Image]) -> list[Row]:
    return [schema.reading_row(image.id, image.reading) for image in fresh if image.reading]


@functools.cache
def _text(dialect: str, name: str) -> str:
    """A statement as text for the driver, with named parameters."""
    module = database.dialect(dialect)
    ids: list[Any] = [sa.bindparam(f"id{number}") for number in range(_IDS)]
    known = sa.select(images.c.id).where(images.c.id.in_(ids))
    deleted = sa.select(deletions.c.image).where(deletions.c.image.in_(ids))
    statements: Mapping[str, sa.ClauseElement] = {
        "advance": counters.update()
        .where(counters.c.name == sa.literal_column("'sequence'"))
        .values(value=counters.c.value + sa.bindparam("count"))
        .returning(counters.c.value),
        "known": known.union_all(deleted),
        "images": module.insert(images).on_conflict_do_nothing(),
        "readings": module.insert(readings).on_conflict_do_nothing(),
    }
    style = module.dialect(paramstyle=_STYLES[dialect])
    return str(statements[name].compile(dialect=style))
