"""Counts pairs and readings in the database, so that a report over millions fetches a few thousand
rows.

The same as `accuracy/pairs.sql` and `accuracy/readings.sql` on files; tests compare the reports.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from legibly.index import filters
from legibly.index.port import PairCount, ReadingCount, Selection, Slice, SliceCount, Tally
from legibly.index.schema import images, pairs, reading_counts, readings
from legibly.statistics import aggregates

_DATE = 10
"""Length of the date at the start of a time."""


def count(connection: Connection, edges: Sequence[int], selection: Selection) -> Tally:
    """The result of `Index.tally`."""
    floor = _truncated if connection.dialect.name == "sqlite" else sa.func.floor
    pair_rows = connection.execute(_pairs(edges, selection, floor)).all()
    read = connection.execute(_readings(edges, selection, floor)).all()
    return Tally([PairCount(*row) for row in pair_rows], [ReadingCount(*row) for row in read])


def _truncated(number: sa.ColumnElement[float]) -> sa.ColumnElement[int]:
    """SQLite may lack floor; its cast truncates, which is the same unless negative."""
    return sa.cast(number, sa.BigInteger)


def slices(
    connection: Connection, by: Slice, selection: Selection, *, limit: int
) -> list[SliceCount]:
    """The result of `Index.slices`."""
    floor = _truncated if connection.dialect.name == "sqlite" else sa.func.floor
    ranked, conditions = _newest(selection, floor)
    name = images.c[by]
    number = sa.func.count()
    right = sa.func.sum(sa.case((ranked.c.predicted == ranked.c.actual, 1), else_=0))
    query = (
        sa.select(name, number, right)
        .join_from(ranked, images, images.c.id == ranked.c.image)
        .where(name.is_not(None), ranked.c.actual.is_not(None), *conditions)
        .group_by(name)
        .order_by(number.desc(), name)
        .limit(limit)
    )
    return [SliceCount(*row) for row in connection.execute(query)]


def _pairs(edges: Sequence[int], selection: Selection, floor: Any) -> sa.Select[Any]:
    ranked, conditions = _newest(selection, floor)
    return _grouped(ranked, "day model source predicted actual", edges, total=True).where(
        *conditions
    )


def _newest(selection: Selection, floor: Any) -> tuple[sa.Subquery, list[sa.ColumnElement[bool]]]:
    """Pairs, and the conditions on the newest ones of a selection."""
    # There is one pair per image, model and time: the newest has the last time.
    newest = sa.func.row_number().over(
        partition_by=(pairs.c.image, pairs.c.model), order_by=pairs.c.labelled_at.desc()
    )
    millionths = _millionths(pairs.c.confidence, floor)
    ranked = (
        sa.select(
            sa.func.substr(pairs.c.labelled_at, 1, _DATE).label("day"),
            *(pairs.c.model, pairs.c.source, pairs.c.predicted, pairs.c.actual),
            millionths.label("millionths"),
            newest.label("place"),
            sa.literal(1).label("n"),
            pairs.c.image,
        )
        .where(*_of(selection, pairs))
        .subquery()
    )
    chosen = [ranked.c.place == 1, *_within(ranked, selection)]
    if selection.source is not None:
        chosen.append(ranked.c.source == selection.source)
    if selection.verdict is not None:
        same = (readings.c.image == ranked.c.image) & (readings.c.model == ranked.c.model)
        chosen.append(sa.exists().where(same, readings.c.verdict == selection.verdict))
    return ranked, chosen


def _readings(edges: Sequence[int], selection: Selection, floor: Any) -> sa.Select[Any]:
    """Readings of all images are counted already, by bins of which others may be made."""
    of_images = _of(selection, readings)
    counts = reading_counts.c
    every = (
        sa.select(
            sa.func.substr(readings.c.at, 1, _DATE).label("day"),
            *(readings.c.model, readings.c.verdict, readings.c.text),
            _millionths(readings.c.confidence, floor).label("millionths"),
            sa.literal(1).label("n"),
        ).where(*of_images)
        if of_images or not set(edges) <= set(aggregates.EDGES)
        else sa.select(
            *(counts.day, counts.model, counts.verdict, counts.text),
            counts.bin.label("millionths"),
            counts.n,
        ).where(counts.n != 0)
    ).subquery()
    chosen = _within(every, selection)
    if selection.verdict is not None:
        chosen.append(every.c.verdict == selection.verdict)
    return _grouped(every, "day model verdict text", edges, total=False).where(*chosen)


def _grouped(rows: sa.Subquery, names: str, edges: Sequence[int], *, total: bool) -> sa.Select[Any]:
    lower = sa.case(
        *((rows.c.millionths >= edge, edge) for edge in sorted(edges, reverse=True)), else_=-1
    )
    by = [*(rows.c[name] for name in names.split()), lower.label("bin")]
    sums = (
        [sa.func.sum(sa.case((rows.c.millionths > 0, rows.c.millionths), else_=0))] if total else []
    )
    # By number, since to a database the bin's expression with other parameters is another one.
    number = sa.cast(sa.func.sum(rows.c.n), sa.BigInteger)
    return sa.select(*by, number, *sums).group_by(
        *(sa.text(str(place + 1)) for place in range(len(by)))
    )


def _millionths(confidence: sa.ColumnElement[float], floor: Any) -> sa.ColumnElement[int]:
    within = confidence.between(0, 1)
    return sa.case(
        (within, sa.cast(floor(confidence * 1_000_000.0 + 0.5), sa.BigInteger)), else_=-1
    )


def _of(selection: Selection, table: sa.Table) -> list[sa.ColumnElement[bool]]:
    """The conditions on the image of a row."""
    fulfil = [
        images.c[name] == getattr(selection, name)
        for name in ("owner", "writer", "batch")
        if getattr(selection, name) is not None
    ]
    if selection.classes is not None:
        fulfil.append(filters.outside_other_classes(images.c.owner, selection.classes))
    return [table.c.image.in_(sa.select(images.c.id).where(*fulfil))] if fulfil else []


def _within(rows: sa.Subquery, selection: Selection) -> list[sa.ColumnElement[bool]]:
    """The conditions on the model and the day of a row."""
    fulfil: list[sa.ColumnElement[bool]] = []
    if selection.model is not None:
        fulfil.append(rows.c.model == selection.model)
    if selection.since is not None:
        fulfil.append(rows.c.day >= selection.since)
    if selection.until is not None:
        fulfil.append(rows.c.day <= selection.until)
    return fulfil
