"""`legibly train`: runs a recipe, which trains a classifier and writes a model pack."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import click

from legibly import errors
from legibly.packs import pack as packs

RECIPES = next(
    (
        folder
        for folder in (Path(__file__).parents[1] / "recipes", Path(__file__).parents[3] / "recipes")
        if folder.is_dir()
    ),
    Path("recipes"),
)
"""The recipes of the installed package, or of a source checkout."""


@click.command("train", context_settings={"ignore_unknown_options": True})
@click.argument("recipe")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the data.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the new pack.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the pack's card and nothing else on stdout."
)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def command(*, recipe: str, data: Path, out: Path, as_json: bool, rest: tuple[str, ...]) -> None:
    """Train a classifier by RECIPE and write a model pack.

    RECIPE is `digits`, or the path of a Python file, or of a folder with a train.py. It is run with
    --data, --out and whatever else is given here; it needs the `train` extra.
    """
    file = find(recipe)
    if (
        "import torch" in file.read_text(encoding="utf-8")
        and importlib.util.find_spec("torch") is None
    ):
        remedy = "Install it: pip install 'legibly[train]'."
        raise errors.Unavailable(
            "PyTorch, which this recipe needs, is not installed.", where=str(file), remedy=remedy
        )
    line = [sys.executable, str(file), "--data", str(data), "--out", str(out), *rest]
    done = subprocess.run(line, stdout=2 if as_json else None, check=False)  # noqa: S603
    if done.returncode:
        message = f"the recipe ended with status {done.returncode}."
        raise errors.Invalid(message, where=str(file), remedy="Its last lines above say why.")
    opened = packs.open_pack(out)
    if as_json:
        click.echo(json.dumps({**opened.card.to_json(), "version": opened.model.version}))
    else:
        click.echo(f"{opened.model.name} {opened.model.version} written to {out}")


def find(recipe: str) -> Path:
    """The recipe's file, by path or by name among the recipes of a source checkout. Raises
    errors.NotFound.
    """
    candidates = [Path(recipe), Path(recipe) / "train.py"]
    if Path(recipe).name == recipe:
        candidates += [folder / recipe / "train.py" for folder in (Path("recipes"), RECIPES)]
    for file in candidates:
        if file.is_file():
            return file
    known = (
        ", ".join(sorted(file.parent.name for file in RECIPES.glob("*/train.py"))) or "none here"
    )
    remedy = f"Known are: {known}; or give the path of a train.py."
    raise errors.NotFound("no such recipe.", where=recipe, remedy=remedy)
