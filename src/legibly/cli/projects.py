"""`legibly projects`: manages projects, each with its own images, labels, accuracy and model."""

import json
from typing import Any

import click

from legibly import projects, wiring
from legibly.cli import options


@click.group("projects")
def command() -> None:
    """Manage projects, each with its own images, labels, accuracy and model."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def list_(*, as_json: bool) -> None:
    """List every project of the store."""
    for project in _projects():
        if as_json:
            click.echo(json.dumps(project.to_json(), ensure_ascii=False))
        else:
            model = project.model or "model of the server"
            click.echo(f"{project.name:<24} {model:<24} {project.title}".rstrip())


def _values(function: Any) -> Any:
    """The options that `add` and `set` share."""
    for option in (
        click.option("--title", help="Title shown to people."),
        click.option("--model", help="Model pack, instead of the server's."),
        click.option(
            "--ask-rate",
            type=click.FloatRange(0, 1),
            help="Share of images for which the true label is requested.",
        ),
        click.option(
            "--text",
            type=click.Choice(["digits", "numbers"]),
            help="Whether texts keep their separators.",
        ),
        click.option(
            "--review-people",
            type=click.IntRange(1, 2),
            help="Number of people who must agree in a review.",
        ),
    ):
        function = option(function)
    return function


@command.command("add")
@click.argument("name")
@_values
def add(name: str, **values: Any) -> None:
    """Create a project; running servers show it within seconds."""
    project = _projects().create(name, **_chosen(values))
    click.echo(f"Project {project.name} is ready: legibly --project {project.name} …")


@command.command("set")
@click.argument("name")
@_values
def set_(name: str, **values: Any) -> None:
    """Change a project; running servers follow within seconds."""
    _projects().change(name, **_chosen(values))
    click.echo(f"Project {name} has been changed.")


def _projects() -> projects.Projects:
    return projects.Projects(wiring.root_store(options.settings()))


def _chosen(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
