"""`legibly train`: finds a recipe, runs it, checks the pack that it wrote."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import pictures
from legibly import errors, wiring
from legibly.cli import train
from legibly.pipeline import UploadDetails
from legibly.settings import Settings

COPIES = """
import argparse, pathlib, shutil
from legibly.packs import registry
parser = argparse.ArgumentParser()
for name in ("--data", "--out", "--seed"):
    parser.add_argument(name)
args = parser.parse_args()
assert args.seed == "7" and args.data
shutil.copytree(registry.find("digits"), args.out)
print("trained")
"""


def run(*words: str) -> object:
    return (
        CliRunner()
        .invoke(train.command, list(words), standalone_mode=False, catch_exceptions=False)
        .return_value
    )


def test_a_recipe_is_run_with_its_own_options(tmp_path: Path) -> None:
    """A recipe gets --data, --out and the options it alone knows; with --json stdout is the new
    card alone.
    """
    recipe = tmp_path / "copies.py"
    recipe.write_text(COPIES)
    words = [
        str(recipe),
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "pack"),
        "--seed",
        "7",
        "--json",
    ]
    result = CliRunner().invoke(train.command, words, catch_exceptions=False)
    assert json.loads(result.stdout)["name"] == "digits"


def test_a_failing_recipe_is_told(tmp_path: Path) -> None:
    """A recipe that ends badly is one error with its status."""
    recipe = tmp_path / "fails.py"
    recipe.write_text("raise SystemExit(3)")
    with pytest.raises(errors.Invalid, match="status 3"):
        run(str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "pack"))


def test_missing_torch_is_told_with_the_extra(tmp_path: Path) -> None:
    """Without PyTorch the message says how to install it; with it there is nothing to tell."""
    import importlib.util

    if importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is installed here")
    recipe = tmp_path / "train.py"
    recipe.write_text("import torch")
    with pytest.raises(errors.Unavailable, match=r"legibly\[train\]"):
        run(str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "pack"))


def test_recipes_have_names() -> None:
    """`digits` is found in a checkout; another name is told with those known."""
    assert train.find("digits").parts[-3:] == ("recipes", "digits", "train.py")
    with pytest.raises(errors.NotFound, match="Known recipes: digits, photo"):
        train.find("nothing")


LISTS = """
import argparse, csv, pathlib, re, shutil
from legibly.packs import registry
parser = argparse.ArgumentParser()
for name in ("--data", "--out", "--group"):
    parser.add_argument(name)
args = parser.parse_args()
data = pathlib.Path(args.data)
rows = list(csv.DictReader((data / "labels.csv").open()))
lines = [f"{row['label']} {re.search(args.group, row['file'])[1]}" for row in rows]
assert all((data / row["file"]).read_bytes()[:4] == bytes([137, 80, 78, 71]) for row in rows)
shutil.copytree(registry.find("digits"), args.out)
pathlib.Path(args.out, "../rows.txt").write_text("\\n".join(lines))
"""


def test_labelled_images_of_the_store_are_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--from-labels gives a recipe the labelled images, those of one writer in one group, and
    leaves out what has no label or no digit.
    """
    monkeypatch.chdir(tmp_path)
    service = wiring.service(Settings())
    strokes = {"7": pictures.SEVEN, "0": pictures.ZERO, "1": pictures.ONE}
    images = {label: service.receive(pictures.png(stroke)) for label, stroke in strokes.items()}
    by_ann = [service.receive(pictures.png(), UploadDetails(writer="Ann")) for _ in range(2)]
    for image, label in [*((images[label], label) for label in "70"), *((i, "7") for i in by_ann)]:
        service.label(image.id, label)
    recipe = tmp_path / "lists.py"
    recipe.write_text(LISTS)
    run(str(recipe), "--from-labels", "--out", str(tmp_path / "pack"))
    rows = [line.split() for line in (tmp_path / "rows.txt").read_text().splitlines()]
    assert sorted(label for label, _ in rows) == ["0", "7", "7", "7"]
    assert len({group for _, group in rows}) == 3


def test_a_store_without_labels_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to train on is one error, before the recipe starts."""
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "copies.py"
    recipe.write_text("raise SystemExit(3)")
    with pytest.raises(errors.Invalid, match="no labelled images"):
        run(str(recipe), "--from-labels", "--out", str(tmp_path / "pack"))
