"""`legibly purge`: erases the classes past their date, as a running server does every hour."""

import os

import click

from legibly import wiring
from legibly.cli import options
from legibly.people import classrooms, erasure


@click.command("purge")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE.")
def command(**flags: str | None) -> None:
    """Erase the classes past their date, with their pupils and all of their images."""
    settings = options.settings(**flags)
    classes = classrooms.Classes(wiring.root_store(settings, environ=os.environ))
    erased = erasure.purge_expired(classes, lambda: wiring.project_services(settings))
    for school_class in erased:
        click.echo(f"erased: {school_class.name}, past its date {school_class.ends_at:%Y-%m-%d}")
    click.echo(f"classes erased: {len(erased)}", err=True)
