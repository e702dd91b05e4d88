"""`legibly classify`: reads pictures wherever they lie."""

import contextlib
import glob
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import click

from legibly import errors, records, wiring
from legibly.cli import options
from legibly.evaluation import datasets
from legibly.store import open_store
from legibly.vision.reading import Reader

Source = tuple[str, Callable[[], bytes]]
MANY = 20
"""From so many pictures on a progress bar is shown."""


@click.command("classify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, and nothing else.")
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
@click.option(
    "--legibility",
    is_flag=True,
    help="Measure legibility over 16 small changes, not three; several times as slow.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    paths: tuple[str, ...],
    as_json: bool,
    model: str | None,
    legibility: bool,
) -> None:
    """Read pictures: files, folders, globs, - for standard input, s3://BUCKET/KEY or s3://BUCKET/PREFIX/."""
    reader = wiring.reader(options.settings(model=model))
    reader.thorough = legibility
    failed = 0
    sources: list[Source] = []
    for path in paths:
        try:
            sources += _sources(path)
        except errors.LegiblyError as error:
            failed += _complain(error)
    if not as_json and sources:
        click.echo(f"{'picture':<40} {'text':<20} {'verdict':<12} confidence")
    with _progress(len(sources)) as tick:
        for name, future in _read_all(reader, sources):
            try:
                reading = future.result()
                click.echo(_json(name, reading) if as_json else _line(name, reading))
            except (errors.LegiblyError, OSError) as error:
                failed += _complain(error, name)
            tick()
    ctx.exit(1 if failed else 0)


def _sources(path: str) -> list[Source]:
    """What one argument names. Raises NotFound, Invalid, and what the store raises."""
    if path == "-":
        return [("-", sys.stdin.buffer.read)]
    if path.startswith("s3://"):
        return _objects(path)
    place = Path(path)
    if place.is_dir():
        files = list(datasets.pictures(place))
    elif place.exists():
        files = [place]
    else:
        files = [
            Path(name)
            for name in sorted(glob.glob(path, recursive=True))  # noqa: PTH207
            if Path(name).is_file()
        ]
    if not files:
        message = (
            "there are no pictures in this folder." if place.is_dir() else "there is no such file."
        )
        raise errors.NotFound(message, where=path)
    return [(str(file), file.read_bytes) for file in files]


def _objects(url: str) -> list[Source]:
    """One object of a bucket, or all pictures under a prefix that ends in a slash."""
    parts = urlsplit(url)
    key = parts.path.lstrip("/")
    root = f"s3://{parts.netloc}"
    store = open_store(root, environ=os.environ)
    if key and not key.endswith("/"):
        return [(url, lambda: store.read(key))]
    keys = [
        stat.key for stat in store.list(key) if Path(stat.key).suffix.lower() in datasets.EXTENSIONS
    ]
    if not keys:
        raise errors.NotFound("there are no pictures under this prefix.", where=url)
    return [(f"{root}/{key_}", lambda key_=key_: store.read(key_)) for key_ in sorted(keys)]  # type: ignore[misc]


def _read_all(
    reader: Reader, sources: list[Source]
) -> Iterator[tuple[str, Future[records.Reading]]]:
    """Read on every core, tell in order; only some pictures are held at a time."""
    workers = min(os.cpu_count() or 1, max(1, len(sources)))
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[str, Future[records.Reading]]] = deque()
        for name, load in sources:
            waiting.append((name, pool.submit(lambda load=load: reader.read(load()).reading)))  # type: ignore[misc]
            if len(waiting) > 2 * workers:
                yield waiting.popleft()
        yield from waiting


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Callable[[], None]]:
    if count < MANY or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    with click.progressbar(length=count, label="reading", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _json(name: str, reading: records.Reading) -> str:
    return json.dumps({"source": name, **reading.to_json()}, ensure_ascii=False)


def _line(name: str, reading: records.Reading) -> str:
    return f"{name:<40} {reading.text or '–':<20} {reading.verdict:<12} {reading.confidence:.3f}"


def _complain(error: errors.LegiblyError | OSError, name: str = "") -> int:
    place = (
        f"{name}: " if name and not (isinstance(error, errors.LegiblyError) and error.where) else ""
    )
    message = error.strerror if isinstance(error, OSError) else str(error)
    click.echo(f"legibly: {place}{message}", err=True)
    return 1
