"""`legibly models`: lists model packs, shows their cards, and sets which one reads."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from legibly import errors, projects, settings, wiring
from legibly.cli import options
from legibly.cli.models import calibration, promotion, sources, trials
from legibly.evaluation import promotion_history
from legibly.ingest import stored_packs
from legibly.packs import card as cards
from legibly.packs import check as checks
from legibly.packs import configs, importer, registry
from legibly.packs import pack as packs

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
_PICTURES = click.option(
    "--picture",
    "pictures",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Show the reading of this picture; may be repeated.",
)


@click.group("models")
def command() -> None:
    """Import, check, compare and switch model packs."""


for _verb in (
    *(promotion.compare, promotion.promote, promotion.rollback, promotion.history),
    *(trials.shadow, trials.canary),
):
    command.add_command(_verb)
command.add_command(calibration.calibrate)


@command.command("list")
@_JSON
def list_(*, as_json: bool) -> None:
    """List all packs, damaged ones too; a star marks the one in use."""
    added = _added()
    used = _used(options.settings(), added)
    rows = [_row(entry, used) for entry in registry.entries(added=added)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        star = "*" if row["used"] else " "
        head = f"{star} {row['name']:<16} "
        if "error" in row:
            click.echo(f"{head}damaged: {row['error']}")
            continue
        calibrated = "" if row["calibrated"] else "  not calibrated"
        classes = f"{len(row['classes'])} classes"
        click.echo(f"{head}{row['version']}  {row['place']:<8} {classes}{calibrated}")


@command.command("show")
@click.argument("model")
@_JSON
def show(*, model: str, as_json: bool) -> None:
    """Show the card of MODEL, a name or a folder."""
    folder = registry.find(model, added=_added())
    card = cards.read_card(folder)
    facts = {**card.to_json(), "version": packs.folder_version(folder), "folder": str(folder)}
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        if name != "metrics":
            click.echo(f"{name:<12} {_plain(value)}")
    _print_metrics(facts["metrics"])


@command.command("check")
@click.argument("model")
@_PICTURES
@_JSON
def check(*, model: str, pictures: tuple[Path, ...], as_json: bool) -> None:
    """Check MODEL in a process with limited time and memory; exit with 1 and the reasons if it is
    unsound.

    Tests shapes, batches, repeated runs, NaN, the kind of its output, and its speed.
    """
    folder = registry.find(model, added=_added())
    report = checks.run(folder, pictures)
    if as_json:
        error = {} if report.is_sound else {"error": report.failures[0].message}
        click.echo(json.dumps({**report.to_json(), "folder": str(folder), **error}))
        sys.exit(0 if report.is_sound else 1)
    for finding in report.findings:
        if finding.level != "failed" or len(report.findings) > 1:
            click.echo(f"{finding.level:<8} {finding.test:<12} {finding.message}")
    checks.require_sound(folder, report)
    click.echo(f"{report.name} {report.version} is sound ({folder})")


def _size(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    height, _, width = value.lower().partition("x")
    if not (height.isdecimal() and (width or height).isdecimal()):
        raise click.BadParameter("give HEIGHTxWIDTH, as 224x224")
    return int(height), int(width or height)


@command.command("add")
@click.argument("source")
@click.option("--name", help="Name of the pack, instead of the one in its card or file name.")
@click.option("--like", help="Preprocessing: timm:NAME, hf:FOLDER, imagenet, …")
@click.option(
    "--classes",
    "classes_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Class names in the order of the outputs: one per line, or JSON.",
)
@click.option(
    "--size", callback=_size, help="HEIGHTxWIDTH of its input, if the network accepts any size."
)
@click.option(
    "--prepare",
    "prepare_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with keys of `prepare` in docs/reference/model-card.md.",
)
@click.option(
    "--output", type=click.Choice(["logits", "probabilities"]), help="Kind of its output."
)
@_JSON
def add(
    *,
    source: str,
    name: str | None,
    classes_file: Path | None,
    prepare_file: Path | None,
    as_json: bool,
    **hints: Any,
) -> None:
    """Add a pack, or make one from SOURCE: a folder, a zip, an .onnx file, https:// or s3://.

    Size, layout, type, batch and output come from the network, preprocessing and classes from the
    files beside it. All missing options are reported at once.
    """
    target = _required_folder()
    classes = tuple(configs.read_classes(classes_file)) if classes_file else None
    prepare = configs.read_json(prepare_file) if prepare_file else {}
    known = importer.Hints(name=name, classes=classes, prepare=prepare, **hints)
    with tempfile.TemporaryDirectory(prefix="legibly-") as workspace:
        path = sources.fetch(source, Path(workspace))
        imported = importer.import_pack(path, Path(workspace) / "pack", known)
        report = checks.run(imported.folder)
        checks.require_sound(imported.folder, report)
        folder = registry.add(imported.folder, added=target, name=name)
    stored_packs.publish(folder.name, options.settings())
    if as_json:
        facts = {"name": folder.name, "version": report.version, "folder": str(folder)}
        click.echo(json.dumps({**facts, "facts": list(imported.facts)}))
        return
    _print_added(folder, report.version, imported)


def _print_added(folder: Path, version: str, imported: importer.Imported) -> None:
    for line in imported.facts:
        click.echo(line)
    click.echo(f"{folder.name} {version} added as {folder}")
    if not cards.read_card(folder).is_calibrated:
        click.echo(f"It is not calibrated: legibly models calibrate {folder.name} DATA")


@command.command("remove")
@click.argument("name")
@_JSON
def remove(*, name: str, as_json: bool) -> None:
    """Delete an added pack, unless a project uses or tries it, or a rollback would need it."""
    if any(entry.name == name for entry in registry.entries(added=_added())):
        _require_unused(name)
    registry.remove(name, added=_required_folder())
    stored_packs.withdraw(name, options.settings())
    click.echo(json.dumps({"removed": name}) if as_json else f"{name} removed")


def _require_unused(name: str) -> None:
    """Raises errors.Conflict if a project reads with the pack, tries it, or might go back to it."""
    present = options.settings()
    for project in projects.Projects(wiring.root_store(present)):
        own = project.override(present)
        history = promotion_history.changes(wiring.store(own))
        _require_unused_in(history, own, name)


def _require_unused_in(
    history: list[promotion_history.Change], own: settings.Settings, name: str
) -> None:
    where = f"{name} in project {own.project}"
    if name in (own.model, promotion_history.current(history, own.model)):
        remedy = "First choose another: legibly --project {project} models use digits."
        message = "this pack is in use."
        raise errors.Conflict(message, where=where, remedy=remedy, project=own.project)
    for kind in promotion_history.TRIALS:
        running = promotion_history.trial(history, kind)
        if running is not None and running.after.setting == name:
            message = "this pack is on trial as a {kind}."
            remedy = "End it first: `legibly models {kind} {name} --share 0`."
            raise errors.Conflict(message, where=where, remedy=remedy, kind=kind, name=name)
    if name in promotion_history.needed(history):
        remedy = "Undo the promotion first: `legibly models rollback`."
        message = "a rollback of the last promotion would need this pack."
        raise errors.Conflict(message, where=where, remedy=remedy)


@command.command("use")
@click.argument("model")
@click.option("--reason", help="The reason, which is recorded.")
@_JSON
def use(*, model: str, reason: str | None, as_json: bool) -> None:
    """Use MODEL from now on, without a comparison. Recorded; running servers follow in seconds."""
    folder = registry.find(model, added=_added())
    report = checks.run(folder)
    checks.require_sound(folder, report)
    promotion.record_use(model, reason=reason)
    file = promotion.keep(model)
    facts = {"model": model, "version": report.version, "file": file}
    sentence = f"{file} says model = {json.dumps(model)}; running servers follow within seconds"
    click.echo(json.dumps(facts) if as_json else sentence)


def _added() -> Path | None:
    return stored_packs.synchronized_folder(options.settings())


def _required_folder() -> Path:
    folder = _added()
    if folder is None:
        remedy = "Keep the pack in a folder and give its path: LEGIBLY_MODEL=PATH."
        raise errors.Invalid("packs cannot be added to a store in memory.", remedy=remedy)
    return folder


def _used(current: settings.Settings, added: Path | None) -> Path | None:
    try:
        return registry.find(current.model, added=added)
    except errors.NotFound:
        return None


def _row(entry: registry.Entry, used: Path | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": entry.name, "place": entry.place, "folder": str(entry.folder)}
    row["used"] = entry.folder == used
    try:
        card = cards.read_card(entry.folder)
        version = packs.folder_version(entry.folder)
    except errors.LegiblyError as error:
        return {**row, "error": str(error)}
    calibrated = card.is_calibrated
    return {**row, "version": version, "calibrated": calibrated, "classes": list(card.classes)}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return " ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _print_metrics(metrics: dict[str, Any], indent: int = 0) -> None:
    for name, value in metrics.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            click.echo(f"{' ' * indent}{name}")
            _print_metrics(value, indent + 2)
        else:
            click.echo(f"{' ' * indent}{name:<24} {_plain(value)}")
