"""`legibly classify`: reads pictures from files, folders, standard input and buckets."""

import functools
import glob
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from legibly import errors, records, wiring
from legibly.cli import options
from legibly.evaluation import datasets
from legibly.evaluation.parallel_reading import Answer, PictureSource, read_all
from legibly.settings import Settings
from legibly.store import open_store
from legibly.vision.reading import Reader

MANY = 20
"""Progress is shown from this many pictures on."""
PDF = ".pdf"
_NAMED_FILES = 20
"""Only this many skipped files are named."""


@click.command("classify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line and nothing else."
)
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
@click.option(
    "--legibility",
    is_flag=True,
    help="Measure legibility on 16 small changes instead of 3; several times slower.",
)
@click.option(
    "--text",
    type=click.Choice(["digits", "numbers"]),
    help="Leave separators out (digits) or keep them (numbers), instead of LEGIBLY_TEXT.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    paths: tuple[str, ...],
    as_json: bool,
    model: str | None,
    legibility: bool,
    text: str | None,
) -> None:
    """Read pictures: files, folders, globs, - for standard input, s3://BUCKET/KEY or
    s3://BUCKET/PREFIX/. Each page of a PDF or TIFF file is read."""
    failed = 0
    sources: list[PictureSource] = []
    for path in paths:
        try:
            sources += _sources(path)
        except errors.LegiblyError as error:
            failed += _complain(str(error))
    width = max([len("picture"), *(len(source.name) for source in sources)])
    if not as_json and sources:
        click.echo(f"{'picture':<{width}} {'text':<20} {'verdict':<12} confidence")
    line = _json if as_json else functools.partial(_line, width=width)
    open_reader = functools.partial(_reader, options.settings(model=model, text=text), legibility)
    for answer in _with_progress(read_all(open_reader, sources), len(sources)):
        if answer.reading is None:
            failed += _complain(answer.error, answer.name)
        else:
            click.echo(line(answer, answer.reading))
    ctx.exit(1 if failed else 0)


def _reader(settings: Settings, thorough: bool) -> Reader:
    reader = wiring.reader(settings)
    reader.thorough = thorough
    return reader


def _sources(path: str) -> list[PictureSource]:
    """The pictures that an argument names. Raises NotFound, Invalid and the errors of the store."""
    if path == "-":
        return [PictureSource("-", sys.stdin.buffer.read)]
    if path.startswith("s3://"):
        return _objects(path)
    if not path.strip():
        raise errors.Invalid("the path is empty.", remedy="`.` is the current folder.")
    place = Path(path)
    if place.is_dir():
        files = _pictures(place)
    elif place.exists():
        files = [place]
    else:
        names = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        files = [Path(name) for name in names if Path(name).is_file()]
    if not files:
        message = (
            "there are no pictures in this folder." if place.is_dir() else "there is no such file."
        )
        raise errors.NotFound(message, where=path)
    return [PictureSource.of_file(file) for file in files]


def _pictures(folder: Path) -> list[Path]:
    """The pictures in a folder; names its other files on standard error."""
    files = list(datasets.files_of(folder))
    skipped = [file for file, is_picture in files if not (is_picture or _is_pdf(file))]
    for file in skipped[:_NAMED_FILES]:
        click.echo(f"legibly: {file}: not a picture; skipped", err=True)
    if len(skipped) > _NAMED_FILES:
        click.echo(f"legibly: … and {len(skipped) - _NAMED_FILES:,} more files skipped", err=True)
    return [file for file, is_picture in files if is_picture or _is_pdf(file)]


def _is_pdf(file: Path) -> bool:
    return file.suffix.lower() == PDF


def _objects(url: str) -> list[PictureSource]:
    """One object of a bucket, or all pictures under a prefix that ends in a slash."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    root = f"s3://{bucket}"
    store = open_store(root, environ=os.environ)
    if key and not key.endswith("/"):
        return [PictureSource(url, functools.partial(store.read, key))]
    endings = {*datasets.EXTENSIONS, PDF}
    keys = [stat.key for stat in store.list(key) if Path(stat.key).suffix.lower() in endings]
    if not keys:
        raise errors.NotFound("there are no pictures under this prefix.", where=url)
    return [
        PictureSource(f"{root}/{name}", functools.partial(store.read, name))
        for name in sorted(keys)
    ]


def _with_progress(answers: Iterator[Answer], count: int) -> Iterator[Answer]:
    """Pass answers on; show rate and time left on a terminal that does not show the answers."""
    if count < MANY or not sys.stderr.isatty() or sys.stdout.isatty():
        yield from answers
        return
    start = time.monotonic()
    for number, answer in enumerate(answers, start=1):
        yield answer
        rate = number / max(time.monotonic() - start, 1e-3)
        left = time.strftime("%H:%M:%S", time.gmtime((count - number) / rate))
        click.echo(f"\r{number:,} of {count:,}, {rate:.0f}/s, {left} left", nl=False, err=True)
    click.echo(err=True)


def _json(answer: Answer, reading: records.Reading) -> str:
    place = {"file": answer.file, "page": answer.page} if answer.page else {}
    document = {"source": answer.name, **place, **reading.to_json()}
    return json.dumps(document, ensure_ascii=False)


def _line(answer: Answer, reading: records.Reading, *, width: int) -> str:
    text = reading.text or "–"
    return f"{answer.name:<{width}} {text:<20} {reading.verdict:<12} {reading.confidence:.3f}"


def _complain(message: str, name: str = "") -> int:
    place = f"{name}: " if name and not message.startswith(name) else ""
    click.echo(f"legibly: {place}{message}", err=True)
    return 1
