"""Reads and writes all labels of images in the index: who gave them, and whether they agree."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from legibly.index.schema import images, label_columns, label_of, label_row, labels
from legibly.iteration import padded
from legibly.labels.agreement import agreement
from legibly.records import Label


def read(connection: Connection, ids: Sequence[str]) -> dict[str, list[Label]]:
    """The labels of each of these images, oldest first."""
    by_image: dict[str, list[Label]] = defaultdict(list)
    matches = labels.c.image.in_(padded(ids))
    query = sa.select(labels).where(matches).order_by(labels.c.image, labels.c.at)
    for row in connection.execute(query):
        by_image[row.image].append(label_of(row))
    return dict(by_image)


def columns(several: Sequence[Label]) -> dict[str, Any]:
    """The columns of an image's row that depend on its labels, oldest first."""
    return {**label_columns(several[-1] if several else None), "review": agreement(several)}


def rows(by_image: Mapping[str, Sequence[Label]]) -> list[dict[str, Any]]:
    """The rows of `labels`."""
    return [label_row(image, label) for image, several in by_image.items() for label in several]


def unsaid_by(person: str) -> sa.ColumnElement[bool]:
    """Images without a label of a person, or whose label they retracted."""
    later = labels.alias()
    withdrawn = sa.exists().where(
        later.c.image == labels.c.image,
        later.c.by == labels.c.by,
        later.c.at > labels.c.at,
        later.c.text.is_(None),
    )
    judgement = sa.exists().where(
        labels.c.image == images.c.id, labels.c.by == person, labels.c.text.is_not(None)
    )
    return ~judgement.where(~withdrawn)
