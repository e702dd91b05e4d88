"""`legibly models`: which model packs there are, what they say of themselves, which one reads."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from legibly import errors, settings
from legibly.cli import options, promotion
from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.packs import registry
from legibly.store import packs_folder

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


@click.group("models")
def command() -> None:
    """List, show and manage model packs."""


for _verb in (promotion.compare, promotion.promote, promotion.rollback, promotion.history):
    command.add_command(_verb)


@command.command("list")
@_JSON
def list_(*, as_json: bool) -> None:
    """List the packs that can be named; the one that reads now has a star."""
    current, added = options.settings(), _added()
    used = _used(current, added)
    rows = [_row(entry, used) for entry in registry.entries(added=added)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        star = "*" if row["used"] else " "
        click.echo(
            f"{star} {row['name']:<16} {row['version']}  {row['place']:<8} {len(row['classes'])} classes"
        )


@command.command("show")
@click.argument("model")
@_JSON
def show(*, model: str, as_json: bool) -> None:
    """Show what the card of MODEL, a name or a folder, says."""
    folder = registry.find(model, added=_added())
    card = cards.read_card(folder)
    facts = {**card.to_json(), "version": _version(folder, card), "folder": str(folder)}
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        if name != "metrics":
            click.echo(f"{name:<12} {_plain(value)}")
    _print_metrics(facts["metrics"])


@command.command("check")
@click.argument("model")
@_JSON
def check(*, model: str, as_json: bool) -> None:
    """Open MODEL and run its network once; exits with 1 and the reason where it is unsound."""
    folder = registry.find(model, added=_added())
    try:
        opened = packs.open_pack(folder)
    except errors.Invalid as error:
        if not as_json:
            raise
        click.echo(json.dumps({"sound": False, "folder": str(folder), "error": str(error)}))
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"sound": True, "folder": str(folder), **opened.model.to_json()}))
    else:
        click.echo(f"{opened.model.name} {opened.model.version} is sound ({folder})")


@command.command("add")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Name to find it by, instead of its card's.")
@_JSON
def add(*, folder: Path, name: str | None, as_json: bool) -> None:
    """Copy the pack in FOLDER beside the data, so that it can be named."""
    opened = packs.open_pack(folder)
    target = registry.add(folder, added=_needed_folder(), name=name)
    told = {"name": target.name, "version": opened.model.version, "folder": str(target)}
    click.echo(
        json.dumps(told) if as_json else f"{target.name} {opened.model.version} added as {target}"
    )


@command.command("remove")
@click.argument("name")
@_JSON
def remove(*, name: str, as_json: bool) -> None:
    """Delete an added pack."""
    if options.settings().model == name and any(
        entry.name == name for entry in registry.entries(added=_added())
    ):
        remedy = "First choose another: legibly models use digits."
        raise errors.Conflict("this pack is in use.", where=name, remedy=remedy)
    registry.remove(name, added=_needed_folder())
    click.echo(json.dumps({"removed": name}) if as_json else f"{name} removed")


@command.command("use")
@click.argument("model")
@_JSON
def use(*, model: str, as_json: bool) -> None:
    """Read with MODEL from now on: writes `model` into the settings file."""
    folder = registry.find(model, added=_added())
    opened = packs.open_pack(folder)
    file = options.keep(model)
    told = {"model": model, "version": opened.model.version, "file": str(file)}
    click.echo(
        json.dumps(told)
        if as_json
        else f"{file} says model = {json.dumps(model)}; restart what is running"
    )


def _added() -> Path | None:
    return packs_folder(options.settings().store)


def _needed_folder() -> Path:
    folder = _added()
    if folder is None:
        remedy = "Keep the pack in a folder and give its path: LEGIBLY_MODEL=PATH."
        raise errors.Invalid(
            "packs are added beside a store in a folder; this store is none.", remedy=remedy
        )
    return folder


def _used(current: settings.Settings, added: Path | None) -> Path | None:
    try:
        return registry.find(current.model, added=added)
    except errors.NotFound:
        return None


def _row(entry: registry.Entry, used: Path | None) -> dict[str, Any]:
    card = cards.read_card(entry.folder)
    facts = {"name": entry.name, "version": _version(entry.folder, card), "place": entry.place}
    return {
        **facts,
        "used": entry.folder == used,
        "classes": list(card.classes),
        "folder": str(entry.folder),
    }


def _version(folder: Path, card: cards.Card) -> str:
    file = folder / cards.MODEL
    return cards.version(card, file.read_bytes()) if file.is_file() else "no network"


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
