"""Turns a filter and an order of images into conditions of a query."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from legibly import object_keys
from legibly.errors import Invalid
from legibly.index import labels
from legibly.index.port import Filter, Sort
from legibly.index.schema import LABELLED, WRONG, images
from legibly.records import stamp

_EXACT = {
    "verdict": "verdict",
    "text": "text",
    "label": "label_text",
    "writer": "writer",
    "owner": "owner",
    "review": "review",
    "state": "state",
    "batch": "batch",
}
_WIDE = frozenset({"verdict", "state", "review"})
_DAY_LENGTH = len("2026-11-22")
ANSWERS = ("text", "label_text")
_First = Callable[[sa.Select[Any], bool], sa.Select[Any]]
_MIN_NAME_LENGTH = 2
"""Shorter searches do not search file names: every other name holds a 7."""


def conditions(criteria: Filter, *, is_searched: bool = False) -> list[sa.ColumnElement[bool]]:
    """The conditions on the row of an image; `is_searched` if an answer is searched for as well."""
    fulfil = _exact(criteria, is_searched=is_searched)
    if criteria.classes is not None:
        fulfil.append(outside_other_classes(images.c.owner, criteria.classes))
    if criteria.wrong:
        fulfil.append(WRONG)
    if criteria.labelled is not None:
        fulfil.append(LABELLED if criteria.labelled else images.c.label_text.is_(None))
    if criteria.unsaid_by is not None:
        fulfil.append(labels.unsaid_by(criteria.unsaid_by))
    if criteria.since is not None:
        fulfil.append(images.c.received_at >= _bound(criteria.since, "since"))
    if criteria.until is not None:
        bound = _bound(criteria.until, "until")
        end = f"{bound}T24" if len(bound) == _DAY_LENGTH else bound
        fulfil.append(images.c.received_at <= end)
    fulfil += _within(criteria)
    if criteria.sort == "confidence":
        fulfil.append(images.c.confidence.is_not(None))
    if criteria.search:
        fulfil.append(_search(criteria.search))
    return fulfil


def _exact(criteria: Filter, *, is_searched: bool) -> list[sa.ColumnElement[bool]]:
    """The columns that have a value. A condition that few images meet comes before one that half of
    all may meet.
    """
    is_narrow = is_searched or criteria.wrong or criteria.labelled is True
    values = {name: getattr(criteria, name) for name in _EXACT}
    present = [name for name, value in values.items() if value is not None]
    is_narrow = is_narrow or not _WIDE.issuperset(present)
    columns = {name: images.c[_EXACT[name]] for name in present}
    wide = {name: _Unindexed(columns[name]) for name in _WIDE.intersection(present) if is_narrow}
    return [{**columns, **wide}[name] == values[name] for name in present]


class _Unindexed(FunctionElement[str]):
    """A column whose index is not to be used by SQLite, which knows nothing of the values."""

    type = sa.String()
    inherit_cache = True


@compiles(_Unindexed)
def _unindexed(element: Any, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(_Unindexed, "postgresql")
def _column(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


def outside_other_classes(owner: sa.Column[Any], classes: frozenset[str]) -> sa.ColumnElement[bool]:
    """Whether an owner is not a pupil, or is a pupil of these school classes."""
    # A range instead of LIKE, whose case sensitivity depends on the database.
    ends = [f"{object_keys.PUPIL_OWNER}{class_id}:" for class_id in sorted(classes)]
    theirs = [(owner >= end) & (owner < f"{end[:-1]};") for end in ends]
    is_pupil = (owner >= object_keys.PUPIL_OWNER) & (owner < f"{object_keys.PUPIL_OWNER[:-1]};")
    return sa.or_(owner.is_(None), ~is_pupil, *theirs)


def _bound(text: str, field: str) -> str:
    """A day unchanged, a time with an offset as it is stored. Raises Invalid."""
    # In a query string an unencoded plus of an offset arrives as a blank.
    present = text.strip().replace(" ", "+" if "T" in text.upper() else "T")
    try:
        if len(present) == _DAY_LENGTH:
            return date.fromisoformat(present).isoformat()
        moment = datetime.fromisoformat(present)
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Invalid(
            "{field} is not a date: {text}.",
            code="date-invalid",
            remedy="Write 2026-11-22, or 2026-11-22T14:00:00+02:00.",
            field=field,
            text=text[:80],
        ) from None


class _Like(FunctionElement[bool]):
    """LIKE that ignores case; `~` escapes."""

    name = "like"
    type = sa.Boolean()
    inherit_cache = True


@compiles(_Like)
def _like(element: Any, compiler: Any, **options: Any) -> str:
    column, pattern = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} LIKE {pattern} ESCAPE '~'"  # SQLite's LIKE ignores case already


@compiles(_Like, "postgresql")
def _ilike(element: Any, compiler: Any, **options: Any) -> str:
    column, pattern = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} ILIKE {pattern} ESCAPE '~'"


def _within(criteria: Filter) -> list[sa.ColumnElement[bool]]:
    """The range of confidences; in other orders its index only gives the ids, since a scan of the
    rows takes ten times as long.
    """
    bounds: list[sa.ColumnElement[bool]] = []
    if criteria.confidence_from is not None:
        bounds.append(images.c.confidence >= criteria.confidence_from)
    if criteria.confidence_to is not None:
        bounds.append(images.c.confidence <= criteria.confidence_to)
    if not bounds or criteria.sort == "confidence":
        return bounds
    return [images.c.id.in_(sa.select(images.c.id).where(*bounds))]


def _search(text: str, first: _First = lambda part, _is_answer: part) -> sa.ColumnElement[bool]:
    """Search each column with its index. `first` may limit the images to those that come first."""
    ids = sa.select(images.c.id)
    parts = [first(ids.where(images.c[name] == text), True) for name in ANSWERS]
    if len(text) >= _MIN_NAME_LENGTH:
        # PostgreSQL would look for two letters in its index of three, and read all of that.
        name = images.c.name if len(text) > _MIN_NAME_LENGTH else images.c.name.concat("")
        escaped = text.replace("~", "~~").replace("%", "~%").replace("_", "~_")
        parts.append(first(ids.where(_Like(name, sa.literal(f"%{escaped}%"))), False))
    return images.c.id.in_(sa.union(*(sa.select(part.subquery().c.id) for part in parts)))


def page(
    query: sa.Select[Any], criteria: Filter, *, limit: int, after: str | None = None
) -> sa.Select[Any]:
    """The first `limit` images of a filter after a cursor. Raises Invalid.

    Each part of a search is limited too: an answer or a word that a tenth of all images have would
    otherwise be collected completely.
    """
    others = replace(criteria, search=None)

    def first(part: sa.Select[Any], is_answer: bool = False) -> sa.Select[Any]:
        rest = conditions(others, is_searched=is_answer)
        return ordered(part.where(*rest), criteria.sort, after).limit(limit)

    if criteria.search:
        query = query.where(_search(criteria.search, first))
    return first(query)


def ordered(query: sa.Select[Any], sort: Sort, after: str | None) -> sa.Select[Any]:
    """Order a query, and start it after a cursor of `port.cursor_of`. Raises Invalid."""
    if sort in ("newest", "oldest"):
        column = images.c.id
        query = query.order_by(column.desc() if sort == "newest" else column)
        if after is None:
            return query
        if not object_keys.is_id(after):
            raise Invalid("this is no cursor of a page in this order.", where=after[:80])
        return query.where(column < after if sort == "newest" else column > after)
    value = images.c.name if sort == "name" else images.c.confidence
    query = query.order_by(value, images.c.id)
    if after is None:
        return query
    image_id, _, text = after.partition(":")
    try:
        reached = text if sort == "name" else float(text)
    except ValueError:
        raise Invalid("this is no cursor of a page in this order.", where=after[:80]) from None
    return query.where(sa.tuple_(value, images.c.id) > sa.tuple_(reached, image_id))
