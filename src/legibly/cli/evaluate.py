"""`legibly evaluate`: scores a model on labelled pictures."""

import json
import sys
from pathlib import Path

import click

from legibly import wiring
from legibly.cli import options
from legibly.evaluation import datasets, evaluation
from legibly.vision.reading import Reader


@click.command("evaluate")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON and nothing else.")
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
@click.option(
    "--crops",
    is_flag=True,
    help="Give crops directly to the network, instead of pictures to the reader.",
)
@click.option(
    "--text",
    type=click.Choice(["digits", "numbers"]),
    help="Whether texts keep their separators, instead of LEGIBLY_TEXT.",
)
@click.option("--compare", help="Another pack for the same pictures: adds an exact McNemar test.")
def command(
    *,
    dataset: Path,
    as_json: bool,
    model: str | None,
    crops: bool,
    compare: str | None,
    text: str | None,
) -> None:
    """Score a model on DATASET: a folder with labels.csv, an …-images-idx3-ubyte file, or a folder
    of class folders.
    """
    reader = wiring.reader(options.settings(model=model, text=text))
    outcomes = _outcomes(reader, dataset, crops=crops)
    report = evaluation.report(outcomes, model=reader.model, dataset=str(dataset))
    if compare:
        rival = wiring.reader(options.settings(model=compare, text=text))
        others = _outcomes(rival, dataset, crops=crops)
        theirs = evaluation.report(others, model=rival.model, dataset=str(dataset))
        report["compare"] = {
            "model": rival.model.to_json(),
            "exact": theirs["exact"],
            **evaluation.mcnemar(outcomes, others),
        }
    click.echo(json.dumps(report) if as_json else "\n".join(evaluation.lines(report)))


def _outcomes(reader: Reader, dataset: Path, *, crops: bool) -> list[evaluation.Outcome]:
    if crops:
        return evaluation.run_crops(reader, dataset)
    samples = datasets.samples(dataset)
    if not sys.stderr.isatty():
        return evaluation.run(reader, samples)
    with click.progressbar(length=len(samples), label=str(dataset), file=sys.stderr) as bar:
        return evaluation.run(reader, samples, tick=lambda: bar.update(1))
