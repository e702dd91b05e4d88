"""`legibly models calibrate`: fits a pack's confidences on labelled pictures and writes them into
its card.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from legibly import errors
from legibly.cli import options
from legibly.evaluation import datasets, fitting
from legibly.ingest import stored_packs
from legibly.packs import pack as packs
from legibly.packs import registry
from legibly.packs.card import Card


@click.command("calibrate")
@click.argument("model", metavar="PACK")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of wrong ones among answers called sure that is allowed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def calibrate(*, model: str, data: Path, risk: float, as_json: bool) -> None:
    """Fit temperature, threshold and unknown score of PACK on DATA, and write them into its card.

    DATA is a labelled dataset as for `legibly evaluate`; what belongs to no class is labelled
    `unknown`.
    """
    added = stored_packs.synchronized_folder(options.settings())
    folder = registry.find(model, added=added)
    if folder in registry.shipped():
        raise errors.Invalid("comes with Legibly and stays as it is", where=model)
    samples = datasets.samples(data)
    hidden = as_json or not sys.stderr.isatty()
    with click.progressbar(
        length=len(samples), label=str(data), file=sys.stderr, hidden=hidden
    ) as bar:
        card = fitting.calibrate(
            packs.open_pack(folder), samples, risk=risk, data=str(data), tick=lambda: bar.update(1)
        )
    fitting.write(folder, card)
    stored_packs.publish(model, options.settings())
    version = packs.folder_version(folder)
    if as_json:
        facts = {"name": model, "version": version, "temperature": card.temperature}
        click.echo(
            json.dumps({**facts, "read": card.thresholds.read, "calibration": card.calibration})
        )
        return
    for line in _lines(card, risk):
        click.echo(line)
    click.echo(f"{model} {version} is calibrated ({folder})")


def _lines(card: Card, risk: float) -> list[str]:
    figures: dict[str, Any] = (card.calibration or {}).get("figures", {})
    lines = [
        f"{'temperature':<12}{card.temperature:g}",
        f"{'accuracy':<12}{_interval(figures['accuracy'])} of {figures['n']} held-out pictures",
        f"{'ECE':<12}{figures['ece']:.4f}",
    ]
    if card.thresholds.read == fitting.NEVER:
        needed = round(3.84 / risk)
        advice = f"{needed} right answers in a row would show it"
        return [*lines, f"No confidence is shown to be wrong in at most {risk:g}: {advice}."]
    return [
        *lines,
        f"{'read from':<12}{card.thresholds.read:.4f}",
        f"{'coverage':<12}{_interval(figures['coverage'])}",
        f"{'risk':<12}{_interval(figures['risk_measured'])}, {risk:g} allowed",
    ]


def _interval(share: dict[str, float | None]) -> str:
    if share["value"] is None:
        return "nothing"
    return f"{share['value']:.4f} ({share['low']:.4f} to {share['high']:.4f})"
