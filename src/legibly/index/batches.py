"""Batches of uploads in the index's database."""

from typing import Any

import sqlalchemy as sa

from legibly.index import filters
from legibly.index.port import BatchCount
from legibly.index.schema import WRONG, batches, images
from legibly.records import Batch


def counts(
    *, owner: str | None, classes: frozenset[str] | None, limit: int, batch_id: str | None
) -> sa.Select[Any]:
    """Select batches, newest first, with the counts of their images."""
    chosen = sa.select(batches).order_by(batches.c.id.desc()).limit(limit)
    if owner is not None:
        chosen = chosen.where(batches.c.owner == owner)
    if classes is not None:
        chosen = chosen.where(filters.outside_other_classes(batches.c.owner, classes))
    if batch_id is not None:
        chosen = chosen.where(batches.c.id == batch_id)
    newest = chosen.subquery()

    def number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    return (
        sa.select(
            *newest.c,
            sa.func.count(images.c.id).label("images"),
            number(images.c.state == "read").label("read"),
            number(images.c.verdict == "unsure").label("unsure"),
            number(images.c.label_text.is_not(None)).label("labelled"),
            number(WRONG).label("wrong"),
        )
        .select_from(newest.outerjoin(images, images.c.batch == newest.c.id))
        .group_by(*newest.c)
        .order_by(newest.c.id.desc())
    )


def batch_of(row: Any) -> Batch:
    """The batch of a row."""
    return Batch(row.id, row.name, row.owner)


def count_of(row: Any) -> BatchCount:
    """The counts of a row of `counts`."""
    numbers = (row.images, row.read, row.unsure, row.labelled, row.wrong)
    return BatchCount(batch_of(row), *(int(number or 0) for number in numbers))
