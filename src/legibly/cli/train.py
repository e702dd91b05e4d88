"""`legibly train`: runs a recipe, which trains a classifier and writes a model pack."""

import csv
import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from legibly import errors, wiring
from legibly.cli import options
from legibly.evaluation import comparison
from legibly.packs import pack as packs

RECIPES = next(
    filter(Path.is_dir, (Path(__file__).parents[up] / "recipes" for up in (1, 3))), Path("recipes")
)
"""The recipes of the installed package, or of a source checkout."""


@click.command("train", context_settings={"ignore_unknown_options": True})
@click.argument("recipe")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Folder with the data."
)
@click.option(
    "--from-labels",
    is_flag=True,
    help="Train on the store's labelled images (or those of --project), split by writer.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the new pack.",
)
@click.option("--json", "as_json", is_flag=True, help="Print only the pack's card on stdout.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    recipe: str,
    data: Path | None,
    from_labels: bool,
    out: Path,
    as_json: bool,
    rest: tuple[str, ...],
) -> None:
    """Train a classifier by RECIPE and write a model pack.

    RECIPE is `digits`, `photo` (any classes, from class folders), or the path of a Python file or a
    folder with a train.py. It gets --data, --out and all further arguments (`legibly train photo --
    --help` lists its options); it needs the `train` extra.
    """
    file = find(recipe)
    if (data is None) != from_labels and "--help" not in rest:
        raise click.UsageError("give either --data or --from-labels.")
    needs_torch = "import torch" in file.read_text(encoding="utf-8")
    if needs_torch and importlib.util.find_spec("torch") is None:
        message = "PyTorch, which this recipe needs, is not installed."
        remedy = "Install it: pip install 'legibly[train]'."
        raise errors.Unavailable(message, where=str(file), remedy=remedy)
    with tempfile.TemporaryDirectory(prefix="legibly-train-") as folder:
        if from_labels:
            data = Path(folder)
            _write_labelled(data)
            rest = ("--group", "^images/([^/]+)/", *rest)
        _run(file, ["--data", str(data), "--out", str(out), *rest], as_json=as_json)
    if "--help" in rest:
        return
    opened = packs.open_pack(out)
    if as_json:
        click.echo(json.dumps({**opened.card.to_json(), "version": opened.model.version}))
    else:
        click.echo(f"{opened.model.name} {opened.model.version} written to {out}")


def _run(file: Path, words: list[str], *, as_json: bool) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(file), *words], stdout=2 if as_json else None, check=False
    )
    if done.returncode:
        message = f"the recipe ended with status {done.returncode}."
        raise errors.Invalid(message, where=str(file), remedy="Its last lines above say why.")


def _write_labelled(folder: Path) -> None:
    """Write the store's labelled images as labels.csv and images/WRITER/ID, for a recipe.

    An image without a writer gets its id as writer. Images without a digit are left out.
    """
    settings = options.settings()
    store = wiring.store(settings)
    rows = [("file", "label")]
    for sample in comparison.labelled(wiring.index(settings), store):
        if not sample.text:
            continue
        writer = hashlib.sha256((sample.writer or sample.name).encode()).hexdigest()[:12]
        path = folder / "images" / writer / sample.name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(sample.load())
        except errors.NotFound:
            click.echo(f"left out: {sample.name}: its picture is missing", err=True)
            continue
        rows.append((str(path.relative_to(folder)), sample.text))
    if len(rows) == 1:
        remedy = "Label images in the app, or give --data."
        raise errors.Invalid("there are no labelled images.", where=settings.store, remedy=remedy)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def find(recipe: str) -> Path:
    """Find a recipe's file by its path or its name in RECIPES. Raises errors.NotFound."""
    candidates = [Path(recipe), Path(recipe) / "train.py"]
    if Path(recipe).name == recipe:
        candidates += [folder / recipe / "train.py" for folder in (Path("recipes"), RECIPES)]
    for file in candidates:
        if file.is_file():
            return file
    names = sorted(file.parent.name for file in RECIPES.glob("*/train.py"))
    known = ", ".join(names) or "none here"
    remedy = f"Known recipes: {known}; or give the path of a train.py."
    raise errors.NotFound("no such recipe.", where=recipe, remedy=remedy)
