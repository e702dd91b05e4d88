"""Whether new pictures differ: verdicts and classes of the last week against the four weeks before.

It needs readings but no labels, so drift shows before accuracy does. Only the model with most
readings in the last week counts, since a change of model changes the mix too.
"""

from collections import Counter
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

from legibly.statistics import aggregates, metrics

WINDOW_DAYS = 7
REFERENCE_DAYS = 28
MIN_READINGS = 200
"""The least number of readings in a window to compare classes."""
MAX_CLASSES = 30

Mix = Counter[str]


def build(
    reads: tuple[aggregates.Read, ...], *, single_label: Collection[str] = ()
) -> dict[str, Any] | None:
    """The report's `drift`; None if either window has too few readings."""
    days = {read.day for read in reads if read.day}
    if not days:
        return None
    last = date.fromisoformat(max(days))
    start = last - timedelta(days=WINDOW_DAYS - 1)
    first = last - timedelta(days=WINDOW_DAYS + REFERENCE_DAYS - 1)
    recent = Counter[str]()
    for read in reads:
        if read.day >= start.isoformat():
            recent[read.model] += read.n
    model = min(recent, key=lambda name: (-recent[name], name))
    mine = [read for read in reads if read.model == model and read.day >= first.isoformat()]
    before = [read for read in mine if read.day < start.isoformat()]
    after = [read for read in mine if read.day >= start.isoformat()]
    if min(_size(before), _size(after)) < MIN_READINGS:
        return None
    single = aggregates.is_single_label(model, single_label)
    by_day = [
        {"day": day, **_compare(before, [read for read in after if read.day == day], single=single)}
        for day in sorted({read.day for read in after})
        if _size([read for read in after if read.day == day]) >= MIN_READINGS
    ]
    eve = start - timedelta(days=1)
    return {
        "model": model,
        "reference": {"from": first.isoformat(), "to": eve.isoformat(), "readings": _size(before)},
        "window": {"from": start.isoformat(), "to": last.isoformat(), "readings": _size(after)},
        **_compare(before, after, single=single),
        "by_day": by_day,
    }


def change(drift: dict[str, Any] | None) -> str | None:
    """The largest change in a word: none, some, much; None if drift is unknown."""
    sizes = ("none", "some", "much")
    return (
        max((drift[name]["change"] for name in ("verdicts", "classes")), key=sizes.index)
        if drift
        else None
    )


def _size(reads: list[aggregates.Read]) -> int:
    return sum(read.n for read in reads)


def _compare(
    before: list[aggregates.Read], after: list[aggregates.Read], *, single: bool
) -> dict[str, Any]:
    return {
        "readings": _size(after),
        "verdicts": _stability(_verdicts(before), _verdicts(after)),
        "classes": _stability(_classes(before, single), _classes(after, single)),
    }


def _verdicts(reads: list[aggregates.Read]) -> Mix:
    mix = Mix()
    for read in reads:
        mix[read.verdict] += read.n
    return mix


def _classes(reads: list[aggregates.Read], single: bool) -> Mix:
    mix = Mix()
    for read in reads:
        for label in aggregates.units(read.text, single=single):
            mix[label] += read.n
    return mix


def _stability(before: Mix, after: Mix) -> dict[str, Any]:
    """The index with its interval, and a word for its low end: none, some (0.1), much (0.25)."""
    names = sorted({*before, *after}, key=lambda name: (-before[name] - after[name], name))
    shown = names[:MAX_CLASSES]
    rest = names[MAX_CLASSES:]
    old = [before[name] for name in shown] + ([sum(before[name] for name in rest)] if rest else [])
    new = [after[name] for name in shown] + ([sum(after[name] for name in rest)] if rest else [])
    if len(old) < 2 or not sum(old) or not sum(new):
        return {**metrics.NOTHING, "change": "none"}
    index = metrics.stability(old, new)
    change = "much" if index.low >= 0.25 else "some" if index.low >= 0.1 else "none"
    return {**index.to_json(), "change": change}
