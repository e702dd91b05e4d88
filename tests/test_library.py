"""`legibly.load`: pictures of every kind in, readings out."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import legibly
import pictures
from legibly import errors
from legibly.packs import registry


@pytest.fixture(scope="module")
def read() -> legibly.Classifier:
    return legibly.load("digits")


def test_every_kind_of_picture_gives_the_same_reading(
    read: legibly.Classifier, tmp_path: Path
) -> None:
    """A path, bytes, a Pillow image, grey and coloured arrays, alone and in a list."""
    data = pictures.png()
    path = tmp_path / "seven.png"
    path.write_bytes(data)
    image = Image.open(io.BytesIO(data))
    grey = np.asarray(image.convert("L"))
    kinds: list[Any] = [path, str(path), data, image, grey, np.stack([grey] * 3, axis=2)]
    assert [read(kind).text for kind in kinds] == ["7"] * 6
    batch = read(kinds)
    assert [reading.confidence for reading in batch] == [batch[0].confidence] * 6


def test_a_reading_shows_itself(read: legibly.Classifier) -> None:
    """Short on a console, a table in a notebook, and nothing in it is markup of others."""
    reading = read(pictures.png())
    assert repr(reading).startswith("Reading('7', read, 9")
    assert len(repr(reading)) < 60
    assert "<table>" in reading._repr_html_()
    assert repr(read).startswith("Classifier('digits@")


@pytest.mark.parametrize(
    ("picture", "kind", "message"),
    [
        ("nowhere.png", errors.NotFound, "no such file"),
        (b"text", errors.NotAnImage, "."),
        (np.zeros((8, 8)), errors.Invalid, "float64 is no picture"),
        (np.zeros((8, 8, 4), np.uint8), errors.Invalid, r"\(H, W, 3\)"),
        (7, errors.Invalid, "int is no picture"),
    ],
)
def test_other_things_are_named(
    read: legibly.Classifier, picture: Any, kind: type[Exception], message: str
) -> None:
    """What is no picture says so in one line."""
    with pytest.raises(kind, match=message):
        read(picture)


def test_importing_legibly_stays_light() -> None:
    """`import legibly` loads neither NumPy nor ONNX Runtime: they come with the first `load`."""
    code = "import sys, legibly; print('numpy' in sys.modules, 'onnxruntime' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_pages_are_read_one_by_one(read: legibly.Classifier) -> None:
    """A PDF gives a reading a page, a picture one."""
    data = pictures.pages("PDF", [pictures.SEVEN, pictures.ZERO])
    assert [reading.text for reading in read.pages(data)] == ["7", "0"]
    assert [reading.text for reading in read.pages(pictures.png())] == ["7"]


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each cell of the notebook of the documentation runs after the others, and reads its 7."""
    notebook = Path(__file__).parents[1] / "docs" / "tutorial" / "library.ipynb"
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(notebook), "exec"), names)
    assert (names["reading"].text, names["reading"].verdict) == ("7", "read")
    assert names["problem"]


def test_an_added_pack_is_opened_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What `legibly models list` shows here can be loaded."""
    monkeypatch.chdir(tmp_path)
    registry.add(registry.find("digits"), added=tmp_path / "legibly-data" / "packs", name="mine")
    assert legibly.load("mine").model == legibly.load("digits").model
