"""`legibly reindex`: rebuilds the database from the object store."""

import json

import click

from legibly import wiring
from legibly.cli import options
from legibly.reindex import reindex


@click.command("reindex")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and nothing else.")
@click.option("--if-empty", is_flag=True, help="Do nothing if the database already holds images.")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE.")
def command(*, as_json: bool, if_empty: bool, **flags: str | None) -> None:
    """Empty the database and rebuild it from the object store, which holds everything."""
    settings = options.settings(**flags)
    counts: dict[str, int] = {}

    def progress(kind: str, count: int) -> None:
        counts[kind] = count
        if not as_json:
            click.echo(f"{count:>9,} {kind}", err=True)

    def skipped(where: str) -> None:
        counts["skipped"] = counts.get("skipped", 0) + 1
        click.echo(f"{where}: malformed line; skipped", err=True)

    index = wiring.index(settings, renew=True)
    if if_empty and index.sequence() and index.is_complete():
        click.echo("the database is not empty: nothing was done", err=True)
        return
    store = wiring.store(settings)
    reindex(store, index, max_bytes=settings.max_bytes, progress=progress, skipped=skipped)
    if as_json:
        click.echo(json.dumps(counts))
