"""How the index grows: milliseconds of what a request asks of it, at several sizes, and exponents.

    python benchmarks/growth.py [--sizes 10000 100000 1000000] [--database sqlite:///PATH]

An exponent of 0 means that a query takes as long whatever there is, 1 that it grows as the data.
Images are synthetic: ten texts, a tenth unsure, every fiftieth with a label.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from legibly import object_keys
from legibly.accuracy import index_report
from legibly.index.port import Filter
from legibly.index.sql import SqlIndex, open_index
from legibly.records import Image, Item, Label, Model, Reading

MODEL = Model("digits", "0123456789ab")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 500


def image(number: int) -> Image:
    """A read image."""
    at = BEGIN + timedelta(seconds=number)
    text = str(number * 7 % 10)
    confidence = 0.6 if number % 10 == 3 else 0.99
    probabilities = {str(digit): 0.001 for digit in range(10)} | {text: confidence}
    item = Item((60, 50, 150, 180), text, confidence, probabilities, 0.9, "1")
    verdict = "unsure" if confidence < 0.9 else "read"
    image_id = object_keys.new_id(at)
    return Image(
        id=image_id,
        key=object_keys.image(image_id, "image/png"),
        received_at=at,
        media_type="image/png",
        bytes=2614,
        state="read",
        width=280,
        height=280,
        label=Label(text, at) if number % 50 == 0 else None,
        reading=Reading(verdict, text, confidence, MODEL, at, (item,)),
    )


def fill(index: SqlIndex, numbers: range) -> None:
    """Add so many images."""
    for start in range(numbers.start, numbers.stop, BATCH):
        several = [image(number) for number in range(start, min(start + BATCH, numbers.stop))]
        index.add_read(several, write=lambda _ids: None)


def tasks(index: SqlIndex, size: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is measured, by name."""
    middle = object_keys.new_id(BEGIN + timedelta(seconds=size // 2))
    fresh = iter(range(size, size * 2))
    yield "insert of 15 read images", lambda: fill_few(index, fresh)
    yield "newest page", lambda: index.page(Filter(), limit=50)
    yield "page from the middle", lambda: index.page(Filter(), limit=50, after=middle)
    yield "page by text", lambda: index.page(Filter(text="7"), limit=50, after=middle)
    unsure = Filter(verdict="unsure", labelled=False)
    yield "page to review (unsure, no label)", lambda: index.page(unsure, limit=50)
    yield "page by text and verdict", lambda: index.page(Filter(text="7", verdict="read"), limit=50)
    yield "page of wrong ones", lambda: index.page(Filter(wrong=True), limit=50)
    yield "page with labels", lambda: index.page(Filter(labelled=True), limit=50)
    yield "text that nothing has", lambda: index.page(Filter(text="123"), limit=50)
    yield "changes since the last", lambda: index.changes(index.sequence() - 20, limit=200)
    yield "counts by state", index.counts
    yield "report", lambda: index_report.report(index)


def fill_few(index: SqlIndex, numbers: Iterator[int]) -> None:
    """Add 15 images, as the light lane does."""
    index.add_read([image(next(numbers)) for _ in range(15)], write=lambda _ids: None)


def milliseconds(work: Callable[[], object], *, times: int = 15) -> float:
    """The median of some repetitions, fewer where one takes long."""
    values: list[float] = []
    while len(values) < times and sum(values) < 5000:
        began = time.perf_counter()
        work()
        values.append((time.perf_counter() - began) * 1000)
    return statistics.median(values)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of a straight line through the logarithms."""
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(value) for value in values]
    ).slope


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--database", help="SQLite in a temporary folder, unless given")
    arguments = parser.parse_args()
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        index = open_index(arguments.database or f"sqlite:///{folder}/index.db")
        size = 0
        for target in sorted(arguments.sizes):
            fill(index, range(size, target))
            size = target
            for name, work in tasks(index, size):
                results.setdefault(name, []).append(milliseconds(work))
        index.close()
    heads = " | ".join(f"{size:,}" for size in sorted(arguments.sizes))
    print(f"| milliseconds | {heads} | exponent |")
    print("| --- " * (len(arguments.sizes) + 2) + "|")
    for name, values in results.items():
        cells = " | ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {cells} | {exponent(sorted(arguments.sizes), values):.2f} |")


if __name__ == "__main__":
    main()
