"""Every label that images were given, in the index's database: who said what, and whether they
agree.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from legibly.agreement import agreement
from legibly.index.schema import images, label_columns, label_of, label_row, labels
from legibly.records import Label


def read(connection: Connection, ids: Sequence[str]) -> dict[str, list[Label]]:
    """The labels of each of these images, oldest first."""
    found: dict[str, list[Label]] = defaultdict(list)
    query = sa.select(labels).where(labels.c.image.in_(ids)).order_by(labels.c.image, labels.c.at)
    for row in connection.execute(query):
        found[row.image].append(label_of(row))
    return dict(found)


def columns(given: Sequence[Label]) -> dict[str, Any]:
    """What stands of an image's labels, oldest first, in its own row."""
    return {**label_columns(given[-1] if given else None), "review": agreement(given)}


def rows(given: Mapping[str, Sequence[Label]]) -> list[dict[str, Any]]:
    """The rows of `labels`."""
    return [label_row(image, label) for image, several in given.items() for label in several]


def unsaid_by(person: str) -> sa.ColumnElement[bool]:
    """Images to which a person gave no label, or took it back."""
    later = labels.alias()
    withdrawn = sa.exists().where(
        later.c.image == labels.c.image,
        later.c.by == labels.c.by,
        later.c.at > labels.c.at,
        later.c.text.is_(None),
    )
    said = sa.exists().where(
        labels.c.image == images.c.id, labels.c.by == person, labels.c.text.is_not(None)
    )
    return ~said.where(~withdrawn)
