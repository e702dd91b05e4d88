"""The report in plain Python, the reference for the engines and the index.

`report(pairs, deleted=…, reads=…)` takes any number of `records.Pair`s for each image; some 100,000
per second.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from legibly import records
from legibly.accuracy import report as reports
from legibly.accuracy.engines import canonical
from legibly.statistics import aggregates


class Row(NamedTuple):
    """A pair in the columns of pairs.sql. `actual` None: the label was retracted.

    `predicted` None: the pair is unusable, and `source` is one of `aggregates.FLAWS`.
    """

    image: str
    model: str
    source: str
    predicted: str | None
    actual: str | None
    millionths: int
    us: int


def report(
    pairs: Iterable[records.Pair],
    *,
    deleted: Iterable[str] = (),
    reads: Iterable[aggregates.Read] = (),
    single_label: Collection[str] = (),
) -> reports.Report:
    """The accuracy report of `pairs` without those of `deleted` images; see `report.build`."""
    return reports.build(
        table(map(row_of_pair, pairs), deleted=deleted, reads=reads), single_label=single_label
    )


def read_of(reading: records.Reading, n: int = 1) -> aggregates.Read:
    """`n` readings like this one, for the population that the labels sample."""
    lower = aggregates.bin_of(aggregates.in_millionths(reading.confidence))
    return aggregates.Read(
        f"{reading.at:%Y-%m-%d}", str(reading.model), reading.verdict, reading.text, lower, n
    )


def table(
    rows: Iterable[Row], *, deleted: Iterable[str] = (), reads: Iterable[aggregates.Read] = ()
) -> aggregates.Table:
    """Count the newest row of each image and model, as pairs.sql does."""
    newest: dict[tuple[str, str], Row] = {}
    flawed: Counter[str] = Counter()
    for row in rows:
        if row.predicted is None:
            flawed[row.source] += 1
            continue
        known = newest.setdefault((row.image, row.model), row)
        if known is not row and _order(row) > _order(known):
            newest[row.image, row.model] = row
    gone = set(deleted)
    counts = Counter(_counted(row) for row in newest.values() if row.image not in gone)
    counted_rows = [
        counted._replace(n=n, millionths=n * counted.millionths) for counted, n in counts.items()
    ]
    skipped = [
        aggregates.Counted(aggregates.UNDATED_US, "", flaw, None, None, 0, n, 0)
        for flaw, n in flawed.items()
    ]
    return aggregates.collect([*counted_rows, *skipped], reads)


def _order(row: Row) -> tuple[Any, ...]:
    return (
        row.us,
        row.actual is not None,
        row.actual or "",
        row.predicted,
        row.millionths,
        row.source,
    )


def _counted(row: Row) -> aggregates.Counted:
    day_us = row.us - row.us % aggregates.DAY_US
    sums = max(0, row.millionths)
    lower = aggregates.bin_of(row.millionths)
    return aggregates.Counted(
        day_us, row.model, row.source, row.predicted, row.actual, lower, 1, sums
    )


def row_of_pair(pair: records.Pair) -> Row:
    """A record as a row. Never flawed."""
    us = _microseconds(pair.labelled_at)
    millionths = aggregates.in_millionths(pair.confidence)
    actual = records.counted_actual(pair.predicted, pair.actual, pair.verdict)
    return Row(pair.image, pair.model, pair.source, pair.predicted, actual, millionths, us)


def rows_of_lines(lines: Iterable[str]) -> Iterator[Row]:
    """Rows from JSON lines of any version; blank lines are skipped."""
    for line in lines:
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            yield row_of_json(value)


def row_of_json(value: object) -> Row:
    """A row from a record of any version, with its flaw; `canonical.py` is the same in SQL."""
    if not isinstance(value, dict) or all(value.get(name) is None for name in canonical.COLUMNS):
        return _flawed("malformed")
    image = _text(value.get("image"))
    predicted = _text(value.get("predicted"))
    if not image:
        return _flawed("no_image")
    if predicted is None:
        return _flawed("no_prediction")
    model, source = (_text(value.get(name)) or aggregates.UNKNOWN for name in ("model", "source"))
    millionths = aggregates.in_millionths(_number(value.get("confidence")))
    us = _us_of_text(_text(value.get("labelled_at")))
    verdict = _text(value.get("verdict"))
    actual = records.counted_actual(predicted, _text(value.get("actual")), verdict)
    return Row(image, model, source, predicted, actual, millionths, us)


def _flawed(flaw: str) -> Row:
    return Row("", "", flaw, None, None, -1, aggregates.UNDATED_US)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return float(value) if canonical.NUMBER.match(value) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _us_of_text(text: str | None) -> int:
    if text is None or not canonical.MOMENT.match(text):
        return aggregates.UNDATED_US
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return aggregates.UNDATED_US
    return _microseconds(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def _microseconds(moment: datetime) -> int:
    """Whole microseconds of Unix time; moments before 1970 count as undated."""
    past = moment - aggregates.EPOCH
    us = (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
    return us if us >= 0 else aggregates.UNDATED_US
