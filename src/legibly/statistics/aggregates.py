"""The small table of counts that every engine computes from the pairs, and the input of the report.

One cell counts the resolved pairs of one day, model, source, predicted and actual text and
confidence bin. Sums must not depend on the order of addition, so they are integers: confidence is
summed in millionths.
"""

import bisect
import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

DAY_US = 86_400_000_000
UNDATED_US = -1_000_000 * DAY_US
"""Stands for "no readable time": older than every real label, and a whole number of days."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BIN = 50_000
EDGES: tuple[int, ...] = (*range(0, 1_000_000, BIN), 980_000, 990_000, 995_000, 999_000)
"""Lower ends of the confidence bins, in millionths: twentieths, and finer near 1, where good models
have most answers.
"""
NO_CONFIDENCE = -1

UNKNOWN = "unknown"
"""The model or source of a pair without one."""
FLAWS = ("malformed", "no_image", "no_prediction")


class Counted(NamedTuple):
    """One row of pairs.sql: `day_us` is the start of the day in microseconds of Unix time.

    `predicted` None: unusable rows, with the reason as `source`. `actual` None: retracted labels.
    """

    day_us: int
    model: str
    source: str
    predicted: str | None
    actual: str | None
    bin: int
    n: int
    millionths: int


class Cell(NamedTuple):
    """Equal resolved pairs: `day` is ISO or empty, `bin` one of EDGES or NO_CONFIDENCE."""

    day: str
    model: str
    source: str
    predicted: str
    actual: str
    bin: int
    n: int
    millionths: int


class Read(NamedTuple):
    """Equal readings, labelled or not: the population that the labels sample."""

    day: str
    model: str
    verdict: str
    text: str
    bin: int
    n: int


@dataclass(frozen=True, slots=True)
class Table:
    """The input of the report. Cells and reads are sorted: equal pairs give equal tables."""

    cells: tuple[Cell, ...] = ()
    reads: tuple[Read, ...] = ()
    taken_back: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def bin_of(millionths: int) -> int:
    """The lower end of the bin of a confidence, as in pairs.sql."""
    if millionths < 0:
        return NO_CONFIDENCE
    if millionths < 950_000:
        return millionths - millionths % BIN
    return EDGES[bisect.bisect_right(EDGES, millionths) - 1]


def in_millionths(confidence: object) -> int:
    """A confidence in whole millionths, as in SQL; NO_CONFIDENCE unless it is within 0 … 1."""
    if isinstance(confidence, (int, float)) and 0 <= confidence <= 1:
        return int(float(confidence) * 1_000_000 + 0.5)
    return NO_CONFIDENCE


@functools.cache
def day_name(day_us: int) -> str:
    """`2026-11-22`, or nothing for undated pairs and days beyond the calendar."""
    try:
        return "" if day_us < 0 else (EPOCH + timedelta(microseconds=day_us)).date().isoformat()
    except OverflowError:
        return ""


def collect(rows: Iterable[Sequence[Any]], reads: Iterable[Read] = ()) -> Table:
    """Sort an engine's rows (columns of Counted) into cells, skipped rows and retracted labels."""
    cells: list[Cell] = []
    skipped = dict.fromkeys(FLAWS, 0)
    taken_back = 0
    for day_us, model, source, predicted, actual, lower, n, millionths in rows:
        if predicted is None:
            skipped[source] += n
        elif actual is None:
            taken_back += n
        else:
            cells.append(
                Cell(day_name(day_us), model, source, predicted, actual, lower, n, millionths)
            )
    cells.sort()
    return Table(tuple(_merged(cells)), tuple(sorted(reads)), taken_back, skipped)


def reads(rows: Iterable[Sequence[Any]]) -> list[Read]:
    """The rows of readings.sql."""
    return [Read(day_name(day), *rest) for day, *rest in rows]


def _merged(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Merge neighbours that differ only in counts, since days out of range became one day."""
    last: Cell | None = None
    for cell in cells:
        if last and last[:6] == cell[:6]:
            cell = Cell(*cell[:6], last.n + cell.n, last.millionths + cell.millionths)
        elif last:
            yield last
        last = cell
    if last:
        yield last


def is_single_label(model: str, single_label: Collection[str]) -> bool:
    """Whether `single_label` has this model (`NAME@VERSION`), with or without its version."""
    return bool(single_label) and (model in single_label or model.partition("@")[0] in single_label)


_WITHOUT_SEPARATORS = str.maketrans("", "", " /.,:-")


def units(text: str, *, single: bool = False) -> tuple[str, ...]:
    """The labels in a text: its digits, if it has only digits and separators, else itself."""
    if single:
        return (text,) if text else ()
    bare = text.translate(_WITHOUT_SEPARATORS)
    return tuple(bare) if bare.isascii() and bare.isdigit() else (text,) if text else ()


def aligned_labels(
    predicted: str, actual: str, *, single: bool = False
) -> tuple[tuple[str, str], ...] | None:
    """(predicted, actual) for each label, or None if the texts cannot be aligned.

    The empty text is a class too: a single label may have no answer, and each label of an answer
    may belong to an image without a digit.
    """
    predicted_units = units(predicted, single=single)
    actual_units = units(actual, single=single)
    if len(predicted_units) == len(actual_units) > 0:
        return tuple(zip(predicted_units, actual_units, strict=True))
    if not actual_units:
        return tuple((label, "") for label in predicted_units or ("",))
    if len(actual_units) == 1 and not predicted_units:
        return (("", actual_units[0]),)
    return None
