"""`legibly purge`: erases expired classrooms and accounts due for erasure, as servers do hourly."""

import os

import click

from legibly import wiring
from legibly.cli import options
from legibly.people import classrooms, erasure
from legibly.people.accounts import Accounts


@click.command("purge")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE.")
def command(**flags: str | None) -> None:
    """Erase classrooms past their date and accounts due for erasure, with all their images."""
    settings = options.settings(**flags)
    store = wiring.root_store(settings, environ=os.environ)
    erased = erasure.purge_expired(
        classrooms.Classes(store), lambda: wiring.project_services(settings)
    )
    for school_class in erased:
        click.echo(f"erased: {school_class.name}, past its date {school_class.ends_at:%Y-%m-%d}")
    accounts = erasure.purge_accounts(Accounts(store), lambda: wiring.project_services(settings))
    for account in accounts:
        click.echo(f"erased: account {account.name}, whose erasure was due")
    click.echo(f"classes erased: {len(erased)}, accounts: {len(accounts)}", err=True)
