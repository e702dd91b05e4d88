"""`legibly tokens`: API tokens, for operators of the store."""

import click

from legibly.cli import users
from legibly.errors import NotFound
from legibly.people.accounts import Accounts
from legibly.people.tokens import SCOPES


@click.group("tokens")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.pass_context
def command(context: click.Context, store: str | None) -> None:
    """Manage API tokens."""
    context.obj = {**(context.obj or {}), "book": users.book(store)}


@command.command("list")
@click.argument("user")
@click.pass_obj
def list_(context: dict[str, Accounts], user: str) -> None:
    """List the tokens of a user."""
    for token in context["book"].tokens(context["book"].find_by_name(user).id):
        until = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "for ever"
        click.echo(f"{token.id}\t{token.name}\t{','.join(token.scopes)}\t{until}")


@command.command("add")
@click.argument("user")
@click.option("--name", default="command line", show_default=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read", "write", "label"),
)
@click.option(
    "--days", type=click.IntRange(0, 3650), default=90, show_default=True, help="0: never expires."
)
@click.pass_obj
def add(
    context: dict[str, Accounts], user: str, name: str, scopes: tuple[str, ...], days: int
) -> None:
    """Create a token and print it; it is shown only once."""
    token, secret = context["book"].add_token(
        context["book"].find_by_name(user), name=name, scopes=scopes, days=days or None
    )
    users.note(context["book"], "token made", token.id)
    click.echo(secret)


@command.command("revoke")
@click.argument("user")
@click.argument("token")
@click.pass_obj
def revoke(context: dict[str, Accounts], user: str, token: str) -> None:
    """Revoke a token of a user by its id."""
    for known in context["book"].tokens(context["book"].find_by_name(user).id):
        if known.id == token:
            context["book"].revoke(known)
            users.note(context["book"], "token revoked", known.id)
            return
    raise NotFound(
        "there is no such token.", where=token[:80], remedy="`legibly tokens list USER` names them."
    )
