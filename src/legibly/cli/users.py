"""`legibly users`: accounts, for operators of the store."""

import os
import secrets
import sys

import click

from legibly.cli import options
from legibly.people import accounts, administration, erasure
from legibly.people.administration import OPERATOR
from legibly.store import open_store


def book(store: str | None) -> accounts.Accounts:
    """The accounts of the configured store."""
    opened = accounts.Accounts(open_store(options.settings(store=store).store, environ=os.environ))
    opened.refresh()
    return opened


@click.group("users")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.pass_context
def command(context: click.Context, store: str | None) -> None:
    """Manage accounts."""
    context.meta["store"] = store
    context.obj = {**(context.obj or {}), "book": book(store)}


@command.command("list")
@click.pass_obj
def list_(context: dict[str, accounts.Accounts]) -> None:
    """List all accounts."""
    for person in context["book"].people():
        click.echo(f"{person.name}\t{person.role}{', disabled' if person.disabled else ''}")


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(accounts.ROLES), default="writer", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def add(
    context: dict[str, accounts.Accounts], name: str, role: accounts.Role, *, password_stdin: bool
) -> None:
    """Add an account. Unless a password is given, one is generated and printed."""
    password = _password(from_stdin=password_stdin)
    person = administration.add(context["book"], name, OPERATOR, role=role, password=password)
    shown = f"Password of {person.name}: {password}"
    click.echo(f"{person.name} may sign in now." if password_stdin else shown)


@command.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def password(context: dict[str, accounts.Accounts], name: str, *, password_stdin: bool) -> None:
    """Set a new password and end every session of a user."""
    text = _password(from_stdin=password_stdin)
    person = context["book"].find_by_name(name)
    administration.reset_password(context["book"], person, text, OPERATOR)
    click.echo("Changed." if password_stdin else f"Password of {person.name}: {text}")


@command.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(accounts.ROLES))
@click.pass_obj
def role(context: dict[str, accounts.Accounts], name: str, role: accounts.Role) -> None:
    """Change the role of a user."""
    person = context["book"].find_by_name(name)
    administration.change_role(context["book"], person, role, OPERATOR)


@command.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@click.pass_obj
def disable(context: dict[str, accounts.Accounts], name: str, *, undo: bool) -> None:
    """Disable an account and keep its pictures."""
    person = context["book"].find_by_name(name)
    administration.set_disabled(context["book"], person, OPERATOR, disabled=not undo)


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(context: click.Context, name: str, *, yes: bool) -> None:
    """Delete an account with all its pictures, readings and labels."""
    opened: accounts.Accounts = context.obj["book"]
    person = opened.find_by_name(name)
    if not yes:
        click.confirm(f"Delete {person.name} and all of their pictures for good?", abort=True)
    from legibly import wiring  # two seconds of imports, which no other command here needs

    settings = options.settings(store=context.meta["store"])
    erasure.erase_account(opened, lambda: wiring.project_services(settings), person, OPERATOR)


@command.command("rotate-key")
@click.pass_obj
def rotate_key(context: dict[str, accounts.Accounts]) -> None:
    """Replace the key that signs sessions; all users must sign in again."""
    context["book"].rotate_signing_key()
    note(context["book"], "session key rotated", "")
    click.echo("Every session ends within seconds.")


def note(book: accounts.Accounts, action: str, on: str) -> None:
    """Add an entry to the audit log."""
    book.audit_log.record(action, by=None, on=on, address="command line")


def _password(*, from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(12)
