"""`legibly train`: finds a recipe, runs it, checks the pack that it wrote."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from legibly import errors
from legibly.cli import train

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
    with pytest.raises(errors.NotFound, match="Known are: digits"):
        train.find("nothing")
