"""The report over an index: what `legibly accuracy` says of the same store, without reading the store."""

from collections.abc import Collection
from datetime import date

from legibly.accuracy import cells
from legibly.accuracy import report as reports
from legibly.index.port import Index

_EPOCH = cells.EPOCH.date()


def report(
    index: Index, *, owner: str | None = None, whole: Collection[str] = ()
) -> reports.Report:
    """The report over every pair and reading, or over those of one owner's images alone; `whole` as in `build`."""
    found = index.tally(cells.EDGES, owner=owner)
    rows = ((_day_us(day), *rest, int(millionths)) for day, *rest, millionths in found.pairs)
    reads = (cells.Read(cells.day_name(_day_us(row.day)), *row[1:]) for row in found.readings)
    return reports.build(cells.collect(rows, reads), whole=whole)


def _day_us(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH).days * cells.DAY_US
