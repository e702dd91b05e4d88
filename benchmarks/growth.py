"""How the index grows: milliseconds of what a request asks of it, at several sizes, and exponents.

    python benchmarks/growth.py [--sizes 10000 100000 1000000] [--database sqlite:///PATH]

An exponent of 0 means that a query takes as long whatever there is, 1 that it grows as the data.
Images are synthetic: ten texts, a tenth unsure, every fiftieth with a label, all with a name and a
writer. They replace what is in the database.
"""

import argparse
import functools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from legibly import object_keys
from legibly.accuracy import index_report
from legibly.index.port import Filter
from legibly.index.record_rows import PictureRow, ReadingRow
from legibly.index.sql import SqlIndex, open_index
from legibly.iteration import batched
from legibly.records import (
    Image,
    Item,
    Label,
    LabelRecord,
    Model,
    Pair,
    Reading,
    ReadingRecord,
    UploadRecord,
    Verdict,
    stamp,
)

MODEL = Model("digits", "0123456789ab")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 5000


def taken_at(number: int) -> datetime:
    return BEGIN + timedelta(seconds=number)


def image_id(number: int) -> str:
    since_1970 = f"{int(BEGIN.timestamp() + number) * 1000:012x}"
    return f"{since_1970[:8]}-{since_1970[8:]}-7000-8000-{number:012d}"


@functools.cache
def answer(kind: int) -> Reading:
    """One of ten readings, of which the fourth is unsure."""
    text = str(kind * 7 % 10)
    confidence = 0.6 if kind == 3 else 0.99
    probabilities = {str(digit): 0.001 for digit in range(10)} | {text: confidence}
    item = Item((60, 50, 150, 180), text, confidence, probabilities, 0.9, "1")
    verdict: Verdict = "unsure" if confidence < 0.9 else "read"
    return Reading(verdict, text, confidence, MODEL, BEGIN, (item,))


def record(number: int) -> ReadingRecord:
    """The reading of one image."""
    image = image_id(number)
    reading = replace(answer(number % 10), at=taken_at(number))
    return ReadingRecord(image, key_of(image), "image/png", 2614, 280, 280, reading)


def key_of(image: str) -> str:
    return object_keys.image(image, "image/png")


def image(number: int) -> Image:
    """A read image."""
    entry = record(number)
    at = entry.reading.at
    blank = Image(entry.image, entry.key, at, entry.media_type, entry.bytes)
    return blank.with_reading(entry)


def fill(index: SqlIndex, size: int) -> None:
    """Replace what is there by so many images, as `legibly reindex` does with decoded records."""
    with index.rebuilding() as fresh:
        for numbers in batched(range(size), BATCH):
            fresh.add_pictures(list(map(picture, numbers)))
            fresh.apply_uploads(list(map(upload, numbers)))
        batches = batched(range(size), BATCH)
        fresh.add_all_readings(list(map(reading_row, numbers)) for numbers in batches)
        for numbers in batched(range(0, size, 50), BATCH):
            records = list(map(record, numbers))
            labels = list(map(label, records))
            fresh.add_labels(labels)
            fresh.add_pairs(list(map(pair, records, labels)))


def reading_row(number: int) -> ReadingRow:
    """What `record_rows.of_line` makes of the record's line, in a tenth of the time."""
    reading = answer(number % 10)
    at = stamp(taken_at(number))
    document = reading.json_text().replace(stamp(BEGIN), at)
    facts = (reading.verdict, reading.text, reading.confidence, at, document, str(MODEL))
    return ReadingRow(image_id(number), "image/png", 280, 280, *facts)


def picture(number: int) -> PictureRow:
    image = image_id(number)
    return PictureRow(image, key_of(image), stamp(taken_at(number)), "image/png", 2614)


def upload(number: int) -> UploadRecord:
    """Every image has a name, and each of 24 writers as many."""
    image = image_id(number)
    writer = f"writer {taken_at(number).hour}"
    name = f"scan-{number:06d}.png"
    return UploadRecord(image, key_of(image), "image/png", 2614, name, writer)


def label(entry: ReadingRecord) -> LabelRecord:
    """A label that agrees, but for every tenth."""
    text = "1" if entry.image.endswith(("000", "500")) else entry.reading.text
    return LabelRecord(entry.image, Label(text, entry.reading.at, source="volunteered", by="a@b"))


def pair(entry: ReadingRecord, judgement: LabelRecord) -> Pair:
    """The answer to an image, and its label."""
    answer = entry.reading
    facts = (answer.text, judgement.label.text, answer.confidence, str(MODEL), None)
    return Pair(entry.image, *facts, "volunteered", answer.at)


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
    mine = Filter(verdict="unsure", unsaid_by="a@b")
    yield "page to review by one person", lambda: index.page(mine, limit=50)
    yield "search by text", lambda: index.page(Filter(search="7"), limit=50)
    yield "search by a name's part", lambda: index.page(Filter(search="scan-0000"), limit=50)
    yield "search by what all names have", lambda: index.page(Filter(search="scan"), limit=50)
    rare = Filter(text="nothing", verdict="read")
    yield "page by a text that nothing has, and verdict", lambda: index.page(rare, limit=50)
    yield "search by a name that nothing has", lambda: index.page(Filter(search="zzz"), limit=50)
    yield "page by writer", lambda: index.page(Filter(writer="writer 7"), limit=50)
    yield "page by confidence", lambda: index.page(Filter(sort="confidence"), limit=50)
    ids = [object_keys.new_id(BEGIN + timedelta(seconds=at)) for at in range(1000)]
    yield "sweep of 1,000 listed pictures", lambda: index.known(ids)
    yield "page of wrong ones", lambda: index.page(Filter(wrong=True), limit=50)
    yield "page with labels", lambda: index.page(Filter(labelled=True), limit=50)
    yield "text that nothing has", lambda: index.page(Filter(text="123"), limit=50)
    yield "changes since the last", lambda: index.changes(index.sequence() - 20, limit=200)
    yield "counts by state", index.counts
    yield "report", lambda: index_report.report(index)


def fill_few(index: SqlIndex, numbers: Iterator[int]) -> None:
    """Add 15 images, as the light lane does."""
    index.add_read([image(next(numbers)) for _ in range(15)], write=lambda _ids: None)


def milliseconds(work: Callable[[], object], *, times: int = 25) -> float:
    """The least of some repetitions, fewer where one takes long: what else the machine does adds
    to all others.
    """
    values: list[float] = []
    while len(values) < times and sum(values) < 3000:
        began = time.perf_counter()
        work()
        values.append((time.perf_counter() - began) * 1000)
    return min(values)


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
        for size in sorted(arguments.sizes):
            began = time.process_time()
            fill(index, size)
            seconds = time.process_time() - began
            results.setdefault(
                "rebuild, an image (processor time here, without decoding)", []
            ).append(seconds * 1000 / size)
            print(f"{size:,} images after {seconds:.0f} s of processor time", file=sys.stderr)
            for name, work in tasks(index, size):
                results.setdefault(name, []).append(milliseconds(work))
                print(f"  {name}: {results[name][-1]:.3g} ms", file=sys.stderr)
        index.close()
    heads = " | ".join(f"{size:,}" for size in sorted(arguments.sizes))
    print(f"| milliseconds | {heads} | exponent |")
    print("| --- " * (len(arguments.sizes) + 2) + "|")
    for name, values in results.items():
        cells = " | ".join(f"{value:.3g}" for value in values)
        print(f"| {name} | {cells} | {exponent(sorted(arguments.sizes), values):.2f} |")


if __name__ == "__main__":
    main()
