"""The recipe `photo`: groups, splits, refusals; and, with PyTorch, a training that resumes."""

import importlib.util
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageDraw

from legibly import errors
from legibly.evaluation.datasets import Sample
from legibly.packs import pack as packs

RECIPE = Path(__file__).parents[2] / "recipes" / "photo"
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install 'legibly[train]'"
)


@pytest.fixture
def recipe() -> Iterator[ModuleType]:
    """The recipe's module of pictures, which needs no PyTorch."""
    spec = importlib.util.spec_from_file_location("photo_pictures", RECIPE / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def sample(name: str, text: str, content: bytes = b"") -> Sample:
    return Sample(name, text, lambda: content or name.encode())


def folder(path: Path, *, count: int) -> Path:
    """Class folders of circles and crosses in grey, some of each by one of ten writers."""
    random.seed(1)
    for number in range(count):
        for label in ("circle", "cross"):
            image = Image.new("L", (40, 40), 255)
            draw = ImageDraw.Draw(image)
            x = random.randint(6, 14)
            box = (x, x, x + 20, x + 20)
            if label == "circle":
                draw.ellipse(box, outline=0, width=3)
            else:
                draw.line(box, 0, 3)
                draw.line((box[0], box[3], box[2], box[1]), 0, 3)
            target = path / label / f"w{number % 10}-{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target)
    return path


def test_groups_stay_together(recipe: ModuleType) -> None:
    """Pictures of a writer fall into one part, and the parts have the shares that they should."""
    listed = [
        sample(f"{label}/writer{n % 40}-{n}.png", label) for n in range(400) for label in ("a", "b")
    ]
    parts = recipe.split(listed, pattern="/(writer[0-9]+)-", seed=3)
    writers = {
        part: {member.name.split("/")[1].split("-")[0] for member in members}
        for part, members in parts.items()
    }
    assert not writers["train"] & writers["test"]
    assert not writers["train"] & writers["valid"]
    assert not writers["valid"] & writers["test"]
    for part, members in parts.items():
        assert abs(len(members) / 800 - recipe.PARTS[part]) < 0.03


def test_copies_of_a_picture_stay_together(recipe: ModuleType) -> None:
    """Without a pattern the same bytes under two names are never trained on and tested on."""
    listed = [
        sample(f"{label}/{n}-{copy}.png", label, f"{label}{n}".encode())
        for n in range(60)
        for label in ("a", "b")
        for copy in range(2)
    ]
    parts = recipe.split(listed, pattern=None, seed=1)
    contents = [{member.load() for member in members} for members in parts.values()]
    assert sum(map(len, contents)) == 120


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"a": 9}, "two are needed"), ({"a": 9, "b": 2}, "fewer than 5 pictures: b")],
)
def test_too_little_is_named(
    recipe: ModuleType, tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    """One class, or a class with too few pictures, is an error that says so."""
    for label, count in counts.items():
        (tmp_path / label).mkdir()
        for number in range(count):
            Image.new("L", (9, 9), 20 * number).save(tmp_path / label / f"{number}.png")
    with pytest.raises(errors.Invalid, match=message):
        recipe.find(tmp_path)


def test_a_pattern_that_matches_nothing_is_named(recipe: ModuleType) -> None:
    """--group names the first picture whose name it does not match."""
    with pytest.raises(errors.Invalid, match="matches nothing"):
        recipe.split([sample("a/1.png", "a")], pattern="writer", seed=1)


@needs_torch
@pytest.mark.timeout(300)
def test_a_killed_training_goes_on_with_the_same_result(tmp_path: Path) -> None:
    """Killed after an epoch and resumed, the weights are those of a run that nothing ended, and the
    pack reads what it was not shown.
    """
    data = folder(tmp_path / "data", count=60)
    line = [sys.executable, str(RECIPE / "train.py"), "--data", str(data), "--threads", "1"]
    line += ["--side", "32", "--epochs", "8", "--batch", "8", "--group", "/(w[0-9]+)-"]
    subprocess.run([*line, "--out", str(tmp_path / "a")], check=True, capture_output=True)
    running = subprocess.Popen([*line, "--out", str(tmp_path / "b")], stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "b.checkpoint"
    while not checkpoint.exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert checkpoint.exists()
    done = subprocess.run(
        [*line, "--out", str(tmp_path / "b"), "--resume"], check=True, capture_output=True
    )
    assert json.loads(done.stdout.splitlines()[-1])["test"]["exact"]["value"] >= 0.9
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()
    assert packs.open_pack(tmp_path / "b").card.classes == ("circle", "cross")
    assert "Labels to look at" in (tmp_path / "b.report.html").read_text()
