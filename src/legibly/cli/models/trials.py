"""`legibly models shadow` and `canary`: tries a pack beside the present model."""

import json

import click

from legibly import errors, wiring
from legibly.cli import options
from legibly.cli.models import promotion
from legibly.evaluation import promotion_history as histories
from legibly.evaluation import trials
from legibly.ingest import stored_packs

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


@click.command("shadow")
@click.argument("pack")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Share of images that the pack also reads; 0 ends the trial.",
)
@_JSON
def shadow(*, pack: str, share: float, as_json: bool) -> None:
    """Let PACK read a share of the images beside the present model; its answers are only
    counted."""
    _begin("shadow", pack, share=share, risk=None, as_json=as_json)


@click.command("canary")
@click.argument("pack")
@click.option(
    "--share",
    type=click.FloatRange(0, 0.5),
    default=0.05,
    show_default=True,
    help="Share of images that the pack answers; 0 ends the trial.",
)
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=trials.RISK,
    show_default=True,
    help="Share of wrong answers among its sure ones at which the trial ends.",
)
@_JSON
def canary(*, pack: str, share: float, risk: float, as_json: bool) -> None:
    """Let PACK answer a share of the images for real.

    Servers end the trial if the pack fails three times in a row, or if labels show that more of its
    sure answers are wrong than the risk allows.
    """
    _begin("canary", pack, share=share, risk=risk, as_json=as_json)


def _begin(
    kind: histories.Trial, pack: str, *, share: float, risk: float | None, as_json: bool
) -> None:
    settings = options.settings()
    store = wiring.store(settings)
    past = histories.changes(store)
    before = promotion.choice(histories.current(past, settings.model))
    after = promotion.choice(pack) if not share else _opened(pack)
    if after.model == before.model:
        raise errors.Conflict("this model is already in use.", where=pack)
    change = promotion.new_change(kind, past, before=before, after=after, share=share, risk=risk)
    if share:
        stored_packs.publish(pack, settings)
    histories.write(store, change)
    if as_json:
        click.echo(json.dumps(change.to_json()))
    elif share:
        click.echo(f"{pack} is a {kind} for {share:.0%} of the images; change {change.number}.")
    else:
        click.echo(f"The {kind} {pack} has ended; change {change.number}.")


def _opened(pack: str) -> histories.Choice:
    return histories.Choice(pack, wiring.reader(options.settings(model=pack)).model)
