"""The report from an index: the figures of `legibly accuracy` without reading the store."""

from collections.abc import Collection
from datetime import date

from legibly.accuracy import report as reports
from legibly.index.port import Index, Selection
from legibly.statistics import aggregates

_EPOCH = aggregates.EPOCH.date()


def report(
    index: Index, *, selection: Selection | None = None, single_label: Collection[str] = ()
) -> reports.Report:
    """The report on all pairs and readings, or those of a selection; see `report.build`."""
    tally = index.tally(aggregates.EDGES, selection=selection)
    rows = ((_day_us(day), *rest, int(millionths)) for day, *rest, millionths in tally.pairs)
    reads = (
        aggregates.Read(aggregates.day_name(_day_us(row.day)), *row[1:]) for row in tally.readings
    )
    return reports.build(aggregates.collect(rows, reads), single_label=single_label)


def _day_us(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH).days * aggregates.DAY_US
