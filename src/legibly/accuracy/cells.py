"""The small table that every engine makes of the pairs, and from which the report is computed.

One cell counts the resolved pairs of one day, model, source, predicted and actual text and confidence bin. Whatever
depends on the order of addition is an integer: confidence is summed in millionths.
"""

import bisect
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

DAY_US = 86_400_000_000
UNDATED_US = -1_000_000 * DAY_US
"""Stands for "no readable time": older than every real label, and a whole number of days."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BIN = 50_000
EDGES: tuple[int, ...] = (*range(0, 1_000_000, BIN), 980_000, 990_000, 995_000, 999_000)
"""Lower ends of the confidence bins, in millionths: twentieths, and finer where good models have most answers."""
NO_CONFIDENCE = -1

FLAWS = ("malformed", "no_image", "no_prediction")


class Counted(NamedTuple):
    """One row of pairs.sql: `day_us` is the start of the day in microseconds of Unix time."""

    day_us: int
    model: str
    source: str
    predicted: str
    actual: str | None
    flaw: str
    bin: int
    n: int
    millionths: int


class Cell(NamedTuple):
    """Resolved pairs that are alike: `day` is ISO or empty, `bin` one of EDGES or NO_CONFIDENCE."""

    day: str
    model: str
    source: str
    predicted: str
    actual: str
    bin: int
    n: int
    millionths: int


class Read(NamedTuple):
    """Readings that are alike, labelled or not: the population that labels are a sample of."""

    day: str
    model: str
    verdict: str
    text: str
    bin: int
    n: int


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that the report is made of. Cells and reads are sorted, so equal input gives equal tables."""

    cells: tuple[Cell, ...] = ()
    reads: tuple[Read, ...] = ()
    taken_back: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def bin_of(millionths: int) -> int:
    """The lower end of the bin that a confidence lies in. As in pairs.sql."""
    if millionths < 0:
        return NO_CONFIDENCE
    if millionths < 950_000:
        return millionths - millionths % BIN
    return EDGES[bisect.bisect_right(EDGES, millionths) - 1]


def in_millionths(confidence: object) -> int:
    """A confidence in whole millionths; NO_CONFIDENCE unless it is a number in 0 … 1. As in the engines' SQL."""
    if isinstance(confidence, (int, float)) and 0 <= confidence <= 1:
        return int(float(confidence) * 1_000_000 + 0.5)
    return NO_CONFIDENCE


def day_name(day_us: int) -> str:
    """`2026-11-22`, or nothing for undated pairs and days beyond the calendar."""
    try:
        return "" if day_us < 0 else (EPOCH + timedelta(microseconds=day_us)).strftime("%Y-%m-%d")
    except OverflowError:
        return ""


def collect(rows: Iterable[Counted], reads: Iterable[Read] = ()) -> Table:
    """Sort an engine's rows into cells, skipped ones and labels taken back."""
    counts: Counter[tuple[str, str, str, str, str, int]] = Counter()
    sums: Counter[tuple[str, str, str, str, str, int]] = Counter()
    skipped = dict.fromkeys(FLAWS, 0)
    taken_back = 0
    for row in rows:
        if row.flaw:
            skipped[row.flaw] = skipped.get(row.flaw, 0) + row.n
        elif row.actual is None:
            taken_back += row.n
        else:
            key = (day_name(row.day_us), row.model, row.source, row.predicted, row.actual, row.bin)
            counts[key] += row.n
            sums[key] += row.millionths
    cells = tuple(sorted(Cell(*key, n, sums[key]) for key, n in counts.items()))
    return Table(cells, tuple(sorted(reads)), taken_back, skipped)


def units(text: str) -> tuple[str, ...]:
    """The labels that stand in a text: one a digit where it is all digits, else the whole text is one label."""
    bare = text.replace(" ", "").replace("/", "")
    return tuple(bare) if bare.isascii() and bare.isdigit() else (text,) if text else ()


def places(predicted: str, actual: str) -> tuple[tuple[str, str], ...] | None:
    """(predicted, actual) label by label, or None where the two do not lie side by side.

    A single label that was read as nothing, or nothing read as one, is a place too: the empty text is its own class.
    """
    said, true = units(predicted), units(actual)
    if len(said) == len(true) > 0:
        return tuple(zip(said, true, strict=True))
    if len(said) <= 1 and len(true) <= 1:
        return ((said[0] if said else "", true[0] if true else ""),)
    return None
