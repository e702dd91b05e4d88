"""Reads many pictures on all cores: files in processes, other sources in threads."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from legibly import errors, records, text_rules
from legibly.images import pages
from legibly.vision.reading import Reader

T = TypeVar("T")
MANY_FILES = 64
"""Fewer pictures are read without processes, each of which takes a second to start."""
_CHUNK = 8
"""Files given to a process at a time."""


@dataclass(frozen=True, slots=True)
class PictureSource:
    """A picture to read: its display name and a function for its bytes; `file` if it is one."""

    name: str
    load: Callable[[], bytes]
    file: Path | None = None

    @classmethod
    def of_file(cls, file: Path) -> "PictureSource":
        return cls(str(file), file.read_bytes, file)


@dataclass(frozen=True, slots=True)
class Answer:
    """The reading of one picture, or an error; `page` counts from 1, None without pages."""

    name: str
    reading: records.Reading | None
    error: str = ""
    file: str = ""
    page: int | None = None


def read_all(
    open_reader: Callable[[], Reader], sources: Sequence[PictureSource], *, workers: int = 0
) -> Iterator[Answer]:
    """Read pictures on `workers` cores (0: all), in order, with only some in memory at a time.

    `open_reader` must be picklable: each process opens its own.
    """
    workers = workers or os.cpu_count() or 1
    files = [source.file for source in sources if source.file is not None]
    if workers > 1 and len(files) == len(sources) >= MANY_FILES:
        yield from _in_processes(open_reader, files, workers)
        return
    reader = open_reader()
    with ThreadPoolExecutor(workers) as pool:
        tasks = (_submitted(pool, reader, source) for source in sources)
        for future in _ahead(tasks, 2 * workers):
            yield from future.result()


def _submitted(pool: Executor, reader: Reader, source: PictureSource) -> "Future[list[Answer]]":
    return pool.submit(_answers, reader, source)


def _answers(reader: Reader, source: PictureSource) -> list[Answer]:
    """The reading of a picture, or of each page of a file; an error ends the pages."""
    answers: list[Answer] = []
    try:
        data = source.load()
        many = pages.has_pages(data)
        for number, result in enumerate(reader.read_pages(data), start=1):
            name = text_rules.page_name(source.name, number) if many else source.name
            page = number if many else None
            answers.append(Answer(name, result.reading, file=source.name, page=page))
    except errors.LegiblyError as error:
        answers.append(Answer(source.name, None, str(error)))
    except OSError as error:
        answers.append(Answer(source.name, None, error.strerror or str(error)))
    return answers


def _in_processes(
    open_reader: Callable[[], Reader], files: Sequence[Path], workers: int
) -> Iterator[Answer]:
    # Not forked: the network runtime of this process may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open_in_process, (open_reader,)) as pool:
        chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
        for future in _ahead((pool.submit(_read_chunk, chunk) for chunk in chunks), 4 * workers):
            yield from future.result()


def _ahead(tasks: "Iterator[Future[T]]", count: int) -> "Iterator[Future[T]]":
    """Yield futures in order, with `count` more in progress."""
    waiting: deque[Future[T]] = deque()
    for future in tasks:
        waiting.append(future)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


_process_reader: list[Reader] = []
"""The reader of a worker process; empty in all others."""


def _open_in_process(open_reader: Callable[[], Reader]) -> None:
    _process_reader.append(open_reader())


def _read_chunk(files: Sequence[Path]) -> list[Answer]:
    reader = _process_reader[0]
    return [answer for file in files for answer in _answers(reader, PictureSource.of_file(file))]
