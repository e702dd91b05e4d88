"""`legibly form`: describes a form once, stores it, and reads its fields from scans."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from legibly import errors, text_rules, wiring
from legibly.cli import options
from legibly.forms import reading
from legibly.forms.form import Form
from legibly.forms.reading import Value
from legibly.forms.stored import StoredForms
from legibly.images import pages
from legibly.vision.reading import Reader


@click.group("form")
def command() -> None:
    """Describe a form once, then read its fields from every scan."""


@command.command("make")
@click.argument("scan", type=click.Path(path_type=Path))
@click.option("--names", help="Names of the fields in order, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write, instead of stdout.")
def make(*, scan: Path, names: str | None, out: Path | None) -> None:
    """Find the boxes and combs on the first page of SCAN, and write the form as JSON."""
    settings = options.settings()
    limits = {"max_pages": settings.max_pages, "max_pixels": settings.max_pixels}
    data = next(pages.pages(_bytes(scan), **limits))
    form = reading.make(data, max_pixels=settings.max_pixels)
    if names is not None:
        form = form.named([name.strip() for name in names.split(",")])
    text = _text(form)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot be written ({error.strerror})"
        raise errors.Invalid(message, where=str(out)) from error
    click.echo(f"{len(form.fields)} fields written to {out}; edit it to rename them.", err=True)


def _text(form: Form) -> str:
    """A form's JSON with one line per field, easy to edit."""
    document = form.to_json()
    fields = ",\n".join(json.dumps(field, ensure_ascii=False) for field in document["fields"])
    head = json.dumps({key: value for key, value in document.items() if key != "fields"})
    return f'{head[:-1]}, "fields": [\n{fields}\n]}}\n'


@command.command("list")
def list_() -> None:
    """List the forms that are stored in the project, with the number of their fields."""
    for stored in _stored_forms():
        click.echo(f"{stored.name}\t{len(stored.form.fields)}")


@command.command("save")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def save(*, name: str, file: Path) -> None:
    """Store the form in FILE as NAME in the project, for the app and for `form read NAME`."""
    stored = _stored_forms().create(name, Form.load(file))
    click.echo(f"{stored.name} is stored with {len(stored.form.fields)} fields.", err=True)


@command.command("show")
@click.argument("name")
def show(*, name: str) -> None:
    """Print a stored form as JSON."""
    click.echo(_text(_stored_forms().get(name).form), nl=False)


@command.command("delete")
@click.argument("name")
def delete(*, name: str) -> None:
    """Delete a stored form. The images of its scans stay."""
    _stored_forms().remove(name)


def _stored_forms() -> StoredForms:
    return StoredForms(wiring.store(options.settings()))


def _form(file_or_name: str) -> Form:
    """The form of a file, or else the stored one with this name. Raises NotFound."""
    path = Path(file_or_name)
    if path.exists():
        return Form.load(path)
    try:
        return _stored_forms().get(file_or_name).form
    except errors.NotFound:
        remedy = "Make one with `legibly form make SCAN`, or see `legibly form list`."
        raise errors.NotFound(
            "there is no file and no stored form with this name.", where=file_or_name, remedy=remedy
        ) from None


@command.command("read")
@click.argument("form")
@click.argument("scans", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per page instead of CSV."
)
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
@click.pass_context
def read(
    ctx: click.Context, *, form: str, scans: tuple[Path, ...], as_json: bool, model: str | None
) -> None:
    """Read the fields of FORM, a file or the name of a stored form, from SCANS, pictures or files
    with pages, as CSV: one row per page, one column per field, and the names of the fields that a
    person should check. Stores nothing.

    Exits with 1 if a scan does not show the form.
    """
    description = _form(form)
    reader = wiring.reader(options.settings(model=model))
    if not as_json:
        click.echo(_row(["source", *(field.name for field in description.fields), "unsure"]))
    failed = False
    for scan in scans:
        try:
            for name, page in _pages(scan, reader):
                failed |= not _answer(description, name, page, reader, as_json=as_json)
        except errors.LegiblyError as error:
            failed |= not _complain(scan, error)
    sys.stdout.flush()
    ctx.exit(1 if failed else 0)


def _answer(form: Form, name: str, page: bytes, reader: Reader, *, as_json: bool) -> bool:
    """Print the fields of one page; False if they cannot be read."""
    try:
        values = reading.read(form, page, reader, max_pixels=reader.max_pixels)
    except errors.LegiblyError as error:
        return _complain(name, error)
    click.echo(_json(name, values) if as_json else _row(_cells(name, values)))
    return True


def _complain(name: str | Path, error: errors.LegiblyError) -> bool:
    message = str(error)
    place = "" if message.startswith(str(name)) else f"{name}: "
    click.echo(f"legibly: {place}{message}", err=True)
    return False


def _pages(scan: Path, reader: Reader) -> Iterator[tuple[str, bytes]]:
    """Each page of a file, with its name."""
    data = _bytes(scan)
    many = pages.has_pages(data)
    limits = {"max_pages": reader.max_pages, "max_pixels": reader.max_pixels}
    for number, page in enumerate(pages.pages(data, **limits), start=1):
        yield (text_rules.page_name(str(scan), number) if many else str(scan)), page


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise errors.NotFound("there is no such file.", where=str(path)) from None
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        raise errors.Invalid(message, where=str(path)) from error


def _json(name: str, values: Sequence[Value]) -> str:
    fields = {value.field: value.to_json() for value in values}
    return json.dumps({"source": name, "fields": fields}, ensure_ascii=False)


def _cells(name: str, values: Sequence[Value]) -> list[str]:
    unsure = [value.field for value in values if value.verdict not in ("read", "blank")]
    return [name, *(value.text for value in values), " ".join(unsure)]


def _row(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()
