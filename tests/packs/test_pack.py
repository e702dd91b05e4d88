"""Opening packs and running their network."""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from legibly import errors
from legibly.packs import card as cards
from legibly.packs import classifier, registry
from legibly.packs import pack as packs
from legibly.vision.reading import Reader
from packs import networks

DIGITS = registry.find("digits")


@pytest.fixture(name="copied")
def copied_pack(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIGITS, tmp_path / "copied"))


def change(folder: Path, **facts: Any) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_the_shipped_pack_is_sound_and_small() -> None:
    """The shipped network matches its card, is under 1 MB, has at most 200,000 parameters and tells
    its figures.
    """
    pack = packs.open_pack(DIGITS)
    assert pack.card.classes == tuple("0123456789")
    assert pack.card.reject == "not_a_digit"
    assert pack.card.layout == "ink"
    assert (DIGITS / "model.onnx").stat().st_size < 1_000_000
    assert pack.card.metrics["parameters"] <= 200_000
    assert pack.card.metrics["mnist_test_crops"]["n"] == 10_000
    assert pack.card.licence
    assert len(pack.model.version) == 12


def test_logits_of_any_number_of_crops() -> None:
    """None, one and more crops than a batch holds give as many rows, the same as one by one."""
    pack = packs.open_pack(DIGITS)
    crops = np.random.default_rng(0).random((classifier.BATCH + 3, 1, 28, 28), np.float32)
    logits = pack.logits(crops)
    assert logits.shape == (classifier.BATCH + 3, 11)
    assert logits.dtype == np.float32
    assert np.allclose(pack.logits(crops[-1:]), logits[-1:], atol=1e-3)
    assert pack.logits(crops[:0]).shape == (0, 11)


def test_a_wrong_shape_is_named() -> None:
    """Crops of another size are refused with both shapes."""
    with pytest.raises(errors.Invalid, match=r"\(N, 1, 28, 28\), not \(2, 28, 28\)"):
        packs.open_pack(DIGITS).logits(np.zeros((2, 28, 28), np.float32))


def test_threads_share_a_pack() -> None:
    """Many threads on one pack get what one thread gets."""
    pack = packs.open_pack(DIGITS)
    crops = np.random.default_rng(1).random((40, 1, 28, 28), np.float32)
    alone = [pack.logits(crops[i : i + 1]) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: pack.logits(crops[i : i + 1]), range(40)))
    assert np.array_equal(np.concatenate(alone), np.concatenate(together))


def test_it_reads_digits(data: Path) -> None:
    """On the first thousand held-out training digits of MNIST at least 98.5 % are right."""

    def idx(name: str, offset: int) -> npt.NDArray[np.uint8]:
        return np.frombuffer(
            gzip.decompress((data / "mnist" / name).read_bytes()), np.uint8, offset=offset
        )

    images = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[-5000:-4000]
    labels = idx("train-labels-idx1-ubyte.gz", 8)[-5000:-4000]
    pack = packs.open_pack(DIGITS)
    probabilities, digitness = pack.judge(pack.logits(images.astype(np.float32) / np.float32(255)))
    assert (probabilities.argmax(axis=1) == labels).mean() >= 0.985
    verdicts = pack.verdicts(probabilities, digitness)
    assert verdicts.count("read") >= 950
    assert pack.confidences(probabilities, digitness).max() <= 1


def test_the_version_follows_content_not_metrics(copied: Path) -> None:
    """New metrics leave the version, a new threshold makes another one."""
    version = packs.open_pack(DIGITS).model.version
    change(copied, metrics={"tested": "again"})
    assert packs.open_pack(copied).model.version == version
    change(copied, thresholds={"read": 0.77, "digit": 0.5})
    assert packs.open_pack(copied).model.version != version


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"format": 3}, "format 3"),
        ({"classes": ["1", "1"]}, "classes must be different"),
        ({"classes": ["1", "2"]}, "promises"),
        ({"layout": "round"}, "layout is 'round'"),
        ({"reject": "maybe"}, "reject is 'maybe'"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"input": {"height": 32, "width": 32, "channels": 3}}, "does not take"),
        ({"input": {}}, "lacks 'height'"),
        ({"sha256": "00"}, "SHA-256 differs"),
        ({"thresholds": []}, "not a card of a model pack"),
    ],
)
def test_a_broken_card_is_named_with_a_remedy(
    copied: Path, facts: dict[str, Any], message: str
) -> None:
    """Each mistake in a card says the file, the mistake and what to do."""
    change(copied, **facts)
    with pytest.raises(errors.Invalid, match=re.escape(message)) as caught:
        packs.open_pack(copied)
    assert str(copied) in str(caught.value)
    assert caught.value.remedy


def test_missing_and_damaged_files_are_named(copied: Path, tmp_path: Path) -> None:
    """No folder, no network, a network of rubbish, a card that is no JSON: each an Invalid that
    names the file.
    """
    with pytest.raises(errors.Invalid, match=r"card\.json"):
        packs.open_pack(tmp_path / "nowhere")
    rubbish = b"not a network"
    (copied / "model.onnx").write_bytes(rubbish)
    with pytest.raises(errors.Invalid, match="SHA-256"):
        packs.open_pack(copied)
    change(copied, sha256=hashlib.sha256(rubbish).hexdigest())
    with pytest.raises(errors.Invalid, match="no network that ONNX Runtime can run"):
        packs.open_pack(copied)
    (copied / "model.onnx").unlink()
    with pytest.raises(errors.Invalid, match=r"model\.onnx"):
        packs.open_pack(copied)
    (copied / "card.json").write_text("{")
    with pytest.raises(errors.Invalid, match="not a card of a model pack"):
        packs.open_pack(copied)


def test_a_card_survives_its_file(tmp_path: Path) -> None:
    """What `write_card` writes, `read_card` reads: the same card."""
    card = cards.read_card(DIGITS)
    cards.write_card(tmp_path, card)
    assert cards.read_card(tmp_path) == card


def test_the_network_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Opening a pack in a fresh home leaves no usage data behind: the runtime's telemetry is
    off.
    """
    script = "from legibly.packs import pack, registry; pack.open_pack(registry.find('digits'))"
    environ = {**os.environ, "HOME": str(tmp_path)}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        environ.pop(name, None)
    subprocess.run([sys.executable, "-c", script], env=environ, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_doubtful_whole_picture_is_unsure_and_has_its_likeliest_class(tmp_path: Path) -> None:
    """What holds for ink does not hold here: a low confidence does not mean that nothing is
    there.
    """
    folder = networks.write_pack(tmp_path, networks.colour_model(), temperature=20.0)
    out = io.BytesIO()
    Image.new("RGB", (30, 30), (40, 90, 200)).save(out, "PNG")
    reading = Reader(packs.open_pack(folder)).read(out.getvalue()).reading
    assert (reading.verdict, reading.text) == ("unsure", "blue")
    assert reading.confidence < 0.5


def test_a_changed_line_reader_is_refused(copied: Path) -> None:
    """A pack's second network is hashed like its first: the version names both."""
    folder = copied
    before = packs.folder_version(folder)
    path = folder / cards.LINE
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(errors.Invalid, match="SHA-256"):
        packs.open_pack(folder)
    card = cards.read_card(folder)
    cards.write_card(folder, dataclasses.replace(card, files={}))
    path.unlink()
    alone = packs.open_pack(folder)
    assert alone.read_line is None
    assert alone.model.version != before
