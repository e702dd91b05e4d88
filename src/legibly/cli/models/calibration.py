"""`legibly models calibrate`: fits a pack's confidences on labelled pictures, into its card."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from legibly import errors, wiring
from legibly.cli import options
from legibly.evaluation import comparison, datasets, fitting, label_fitting
from legibly.ingest import stored_packs
from legibly.packs import pack as packs
from legibly.packs import registry
from legibly.packs.card import Card
from legibly.settings import Settings
from legibly.vision.reading import Reader


@click.command("calibrate")
@click.argument("model", metavar="PACK")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option(
    "--from-labels",
    is_flag=True,
    help="Fit on the store's labelled images (or those of --project) instead of DATA.",
)
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Allowed share of wrong answers among sure ones.",
)
@click.option("--name", help="Name of the new pack, if PACK is one shipped with Legibly.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def calibrate(
    *,
    model: str,
    data: Path | None,
    from_labels: bool,
    risk: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Fit temperature, threshold and unknown score of PACK on DATA, and write them into its card.

    DATA is a labelled dataset as for `legibly evaluate`; label images of no class `unknown`. For a
    pack of digits the temperature of its digits and the threshold of `read` are fitted, the latter
    on whole texts. A pack shipped with Legibly stays unchanged: the copy is called PACK-own or
    --name.
    """
    if (data is None) != from_labels:
        raise click.UsageError("give either DATA or --from-labels.")
    settings = options.settings()
    added = stored_packs.synchronized_folder(settings)
    folder = registry.find(model, added=added)
    opened = packs.open_pack(folder)
    is_shipped = folder in registry.shipped()
    samples, where = _samples(settings, data)
    hidden = as_json or not sys.stderr.isatty()
    is_ink = opened.card.layout == "ink"
    fit = _fit_digits if is_ink else fitting.calibrate
    length = len(samples) * (label_fitting.PASSES if is_ink else 1)
    with click.progressbar(length=length, label=where, file=sys.stderr, hidden=hidden) as bar:
        card = fit(opened, samples, risk=risk, data=where, tick=lambda: bar.update(1))
    if is_shipped:
        model = name or f"{model}-own"
        card = replace(card, name=model)
        folder = _copied(folder, added, model)
    fitting.write(folder, card)
    stored_packs.publish(model, settings)
    _print(model, card, folder, as_json=as_json, risk=risk)


def _print(name: str, card: Card, folder: Path, *, as_json: bool, risk: float) -> None:
    version = packs.folder_version(folder)
    if as_json:
        facts = {"name": name, "version": version, "temperature": card.temperature}
        facts |= {"read": card.thresholds.read, "calibration": card.calibration}
        click.echo(json.dumps(facts | {"own_labels": card.metrics.get("own_labels")}))
        return
    for line in _text_lines(card) if card.layout == "ink" else _lines(card, risk):
        click.echo(line)
    click.echo(f"{name} {version} is calibrated ({folder})")


def _samples(settings: Settings, data: Path | None) -> tuple[list[datasets.Sample], str]:
    """The labelled pictures, and their source."""
    if data is not None:
        return datasets.samples(data), str(data)
    store = wiring.store(settings)
    return comparison.labelled(wiring.index(settings), store), f"labels of {settings.project}"


def _fit_digits(
    pack: packs.Pack,
    samples: Sequence[datasets.Sample],
    *,
    risk: float,
    data: str,
    tick: Callable[[], None],
) -> Card:
    settings = options.settings()
    reader = Reader(pack, max_pixels=settings.max_pixels, text=settings.text_mode)
    return label_fitting.calibrate(reader, samples, risk=risk, data=data, tick=tick)


def _copied(folder: Path, added: Path | None, name: str) -> Path:
    """Copy a pack to the added ones, replacing an earlier pack of that name."""
    if added is None:
        remedy = "Use a store on disk or S3."
        raise errors.Invalid("a store in memory cannot keep packs.", remedy=remedy)
    places = {entry.name: entry.place for entry in registry.entries(added=added)}
    if places.get(name) == "added":
        registry.remove(name, added=added)
    return registry.add(folder, added=added, name=name)


def _text_lines(card: Card) -> list[str]:
    """The figures of a fit on whole texts, measured on the held-out half."""
    facts: dict[str, Any] = card.metrics["own_labels"]
    before = facts["before"]
    after = facts["after"]
    return [
        f"{'texts':<12}{facts['fit']} fitted, {after['n']} held out",
        f"{'digits':<12}{facts['misread']} of {facts['digits']} misread",
        f"{'temperature':<12}{after['temperature']:g}, {_reason(facts)}",
        f"{'accuracy':<12}{_interval(after['accuracy'])}",
        f"{'ECE':<12}{after['ece']:.4f}, before {before['ece']:.4f}",
        f"{'read from':<12}{after['read']:.4f}, before {before['read']:.4f}",
        f"{'coverage':<12}{_interval(after['coverage'])}, before {_interval(before['coverage'])}",
        f"{'risk':<12}{_interval(after['risk_measured'])}, {facts['risk']:g} allowed",
    ]


def _reason(facts: dict[str, Any]) -> str:
    """Why the temperature is as it is."""
    before = facts["before"]["temperature"]
    if facts["misread"] < label_fitting.MIN_MISREAD:
        return f"unchanged: it is fitted on {label_fitting.MIN_MISREAD} misread digits or more"
    if facts["after"]["temperature"] == before:
        return "unchanged: the confidences of texts are better with it"
    return f"before {before:g}"


def _lines(card: Card, risk: float) -> list[str]:
    figures: dict[str, Any] = (card.calibration or {}).get("figures", {})
    lines = [
        f"{'temperature':<12}{card.temperature:g}",
        f"{'accuracy':<12}{_interval(figures['accuracy'])} of {figures['n']} held-out pictures",
        f"{'ECE':<12}{figures['ece']:.4f}",
    ]
    if card.thresholds.read == fitting.NEVER:
        needed = round(3.84 / risk)
        advice = f"{needed} right answers in a row would prove it"
        return [*lines, f"No threshold is proven to be wrong in at most {risk:g}: {advice}."]
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
