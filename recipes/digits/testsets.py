"""The pictures that `evaluate.py` reads, test by test: bytes, the label, where they come from,
their kind.
"""

import csv
import functools
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import corruptions
import nondigits
import numpy as np
import synthesis
from PIL import Image
from sources import idx

from legibly.vision import reading

STRESS = (
    "plain", "shadow", "blur", "tilt", "rules", "squares", "low light", "jpeg", "small", "touching",
    "rows", "slant",
)  # fmt: skip
SET_ASIDE = ("print", "mixed")
"""Kinds of pictures, by the beginning of their names, that are not handwriting alone."""


class Picture(NamedTuple):
    """One picture: its bytes, the digits on it (none: it is no digit), its source and kind."""

    data: bytes
    label: str
    source: str
    kind: str


Test = Callable[[], Iterator[Picture]]


def tests(data: Path, *, each: int, seed: int) -> dict[str, Test]:
    """Every test by name; `each` and `seed` are of the stress pictures."""
    part = functools.partial
    result: dict[str, Test] = {
        "mnist test": part(_mnist, data),
        "usps test": part(_usps, data),
        "photos single": part(_folder, data / "photos", several=False),
        "photos several": part(_folder, data / "photos", several=True),
        "devphotos single": part(_folder, data / "devphotos", several=False),
        "devphotos several": part(_folder, data / "devphotos", several=True),
        "devphotos set aside": part(_folder, data / "devphotos", several=None),
        "kensanata raw": part(_scans, data, "raw_gray.npz"),
        "kensanata clean": part(_scans, data, "digits.npz"),
    }
    for kind in STRESS:
        result[f"stress {kind}"] = part(_stress, data, kind, each, seed)
    for kind in corruptions.CORRUPTIONS:
        result[f"corrupted {kind}"] = part(_corrupted, data, kind, each, seed)
    result |= {
        "devrejects": part(_folder, data / "devrejects", several=False),
        "letters unseen script": part(_script, data, "Early_Aramaic", like=False),
        "letters like digits": part(_script, data, "Early_Aramaic", like=True),
        "printed J": part(_printed, data, "J"),
        "validation Balinese": part(_script, data, "Balinese", like=False),
        "validation printed H": part(_printed, data, "H"),
    }
    return result


def png(image: np.ndarray) -> bytes:
    """An array as PNG."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def items(data: Path, reader: reading.Reader) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees of the digits of devphotos, where as many are read as there are.

    Returns crops (N, 28, 28) uint8 and labels (N,). Handwriting only.
    """
    crops = []
    labels = []
    for several in (False, True):
        for picture in _folder(data / "devphotos", several=several):
            digits = [int(sign) for sign in picture.label if sign.isdigit()]
            inputs = reader.inputs(picture.data)
            if len(inputs) == len(digits):
                crops += inputs
                labels += digits
    return (np.stack(crops) * 255).round().astype(np.uint8), np.array(labels)


def readings(data: Path, reader: reading.Reader) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each answer on devphotos (0: none) and whether its digits are right.

    Handwriting only.
    """
    confidence = []
    right = []
    for several in (False, True):
        for picture in _folder(data / "devphotos", several=several):
            answer = reader.read(picture.data).reading
            confidence.append(answer.confidence if answer.verdict in ("read", "unsure") else 0.0)
            digits = "".join(filter(str.isdigit, answer.text))
            right.append(digits == "".join(filter(str.isdigit, picture.label)))
    return np.array(confidence), np.array(right)


def _mnist(data: Path) -> Iterator[Picture]:
    images = idx(data / "mnist/t10k-images-idx3-ubyte.gz")
    labels = idx(data / "mnist/t10k-labels-idx1-ubyte.gz")
    for image, label in zip(images, labels, strict=True):
        yield Picture(png(image), str(label), "mnist", "tiny")


def _usps(data: Path) -> Iterator[Picture]:
    with np.load(data / "usps/usps.npz") as file:
        images = file["x_test"]
        labels = file["y_test"]
    for image, label in zip(images, labels, strict=True):
        yield Picture(png(image), str(label), "usps", "tiny")


def _folder(folder: Path, *, several: bool | None) -> Iterator[Picture]:
    """A folder with labels.csv; single digits, several, or (None) those of the kinds set aside."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            aside = row["kind"].startswith(SET_ASIDE) and folder.name == "devphotos"
            group = None if aside else len(row["label"]) > 1
            if group == several:
                content = (folder / row["file"]).read_bytes()
                yield Picture(content, row["label"], row["source"], row["kind"])


def _scans(data: Path, name: str) -> Iterator[Picture]:
    """Kensanata's validation writers."""
    with np.load(data / "kensanata" / name) as file:
        columns = {column: file[column] for column in ("x", "y", "w", "split", "writers")}
    for i in np.flatnonzero(columns["split"] == 1):
        writer = str(columns["writers"][columns["w"][i]])
        yield Picture(png(columns["x"][i]), str(columns["y"][i]), writer, "scan")


def _stress(data: Path, kind: str, each: int, seed: int) -> Iterator[Picture]:
    glyphs, labels = synthesis.validation_glyphs(data)
    number = [*synthesis.KINDS, *synthesis.UNTRAINED].index(kind)
    rng = np.random.default_rng([seed, number])
    for content, truth in synthesis.pages(rng, each, glyphs, labels, kind=kind):
        yield Picture(content, truth.text, "stress", kind)


def _corrupted(data: Path, kind: str, each: int, seed: int) -> Iterator[Picture]:
    """The last training images of MNIST, not trained on, spoilt: twice as many as of others."""
    images = idx(data / "mnist/train-images-idx3-ubyte.gz")[-5000:]
    labels = idx(data / "mnist/train-labels-idx1-ubyte.gz")[-5000:]
    rng = np.random.default_rng([seed, *kind.encode()])
    for i in rng.choice(len(images), 2 * each, replace=False):
        spoilt = corruptions.CORRUPTIONS[kind](rng, images[i].astype(np.float32) / 255)
        yield Picture(png((255 * spoilt).astype(np.uint8)), str(labels[i]), "mnist", kind)


def _script(data: Path, alphabet: str, *, like: bool) -> Iterator[Picture]:
    """Handwritten letters of a script that was not trained on; `like` picks those that may be taken
    for digits.
    """
    with zipfile.ZipFile(data / "rejects/omniglot_small1.zip") as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".png") or parts[1] != alphabet:
                continue
            number = int(parts[2].removeprefix("character"))
            if (number in nondigits.LOOKALIKES[alphabet]) == like:
                image = Image.open(io.BytesIO(archive.read(name))).convert("L")
                yield Picture(png(np.asarray(image)), "", alphabet, "letter")


def _printed(data: Path, letter: str) -> Iterator[Picture]:
    chosen = idx(data / "rejects/notmnist-labels-idx1-ubyte.gz") == "ABCDEFGHIJ".index(letter)
    for image in idx(data / "rejects/notmnist-images-idx3-ubyte.gz")[chosen]:
        yield Picture(png(image), "", "notMNIST", "printed letter")
