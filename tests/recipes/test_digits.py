"""The digits recipe: it runs, and its README claims what the shipped card says."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.packs import registry

RECIPE = Path(__file__).parents[2] / "recipes" / "digits"


def test_the_readme_claims_what_the_card_says() -> None:
    """The MNIST figure of the shipped pack stands in the README as the card and the committed log
    have it.
    """
    card = cards.read_card(registry.find("digits"))
    figure = card.metrics["mnist_test_crops"]
    readme = (RECIPE / "README.md").read_text(encoding="utf-8")
    assert f"{100 * figure['accuracy']:.2f} %" in readme
    assert f"{card.metrics['parameters']:,} parameters" in readme
    cards_logged = [
        json.loads(line)
        for line in (RECIPE / "train.log").read_text().splitlines()
        if line[:2] == '{"'
    ]
    assert card.sha256 in [entry.get("sha256") for entry in cards_logged]


def test_the_claim_holds_for_the_mean_of_three_seeds() -> None:
    """The log holds three seeds of the shipped size; their mean on MNIST's test set is the
    README's.
    """
    runs = [
        json.loads(line)
        for line in (RECIPE / "train.log").read_text().splitlines()
        if line.startswith('{"misread"')
    ]
    errors = {
        run["seed"]: run["misread"]["mnist test"]
        for run in runs
        if run["full"] and run["blocks"] == 1
    }
    assert len(errors) == 3
    mean = 1 - sum(errors.values()) / 3 / 10_000
    claimed = re.search(
        r"mean of 3 seeds[^|]*(?:\| *)+([0-9.]+) %",
        (RECIPE / "README.md").read_text(encoding="utf-8"),
    )
    assert claimed
    assert float(claimed[1]) == pytest.approx(100 * mean, abs=0.0051)


def test_the_readme_states_the_risk_of_the_card() -> None:
    """The worst risk of a source left out of the fit stands in the README as the shipped card has
    it.
    """
    unseen = cards.read_card(registry.find("digits")).risk["unseen"]
    readme = (RECIPE / "README.md").read_text(encoding="utf-8")
    assert f"{100 * unseen['risk']:.2f} %" in readme
    assert f"{100 * unseen['upper']:.2f} %" in readme


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install 'legibly[train]'"
)
def test_a_short_run_writes_a_sound_pack(data: Path, tmp_path: Path) -> None:
    """A few steps of the recipe end in a pack that opens."""
    line = [
        sys.executable,
        str(RECIPE / "train.py"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "pack"),
    ]
    few = ["--images", "2560", "--batch", "256", "--pages", "40", "--bad", "40", "--times", "1"]
    subprocess.run([*line, *few], check=True)
    assert packs.open_pack(tmp_path / "pack").card.name == "digits"


def test_missing_data_is_named(tmp_path: Path) -> None:
    """Without its data the recipe says what to put where; it fetches nothing but MNIST."""
    text = (RECIPE / "sources.py").read_text(encoding="utf-8")
    if importlib.util.find_spec("torch") is None:
        assert "put" in text
        return
    (tmp_path / "mnist").mkdir()
    line = [
        sys.executable,
        str(RECIPE / "train.py"),
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "pack"),
        "--offline",
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "put" in done.stderr
