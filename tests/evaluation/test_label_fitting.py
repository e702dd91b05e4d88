"""The temperature and the threshold of `read`, fitted on labelled pictures of a store."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import pictures
from legibly import errors, wiring
from legibly.cli.models.packs import command
from legibly.evaluation import label_fitting
from legibly.evaluation.datasets import Sample
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import UploadDetails
from legibly.settings import Settings
from legibly.vision.reading import Reader

TEXTS = {"7": pictures.SEVEN, "0": pictures.ZERO, "1": pictures.ONE}


def drawings(count: int, *, wrong: int = 0) -> Iterator[tuple[bytes, str]]:
    """Different pictures of clear digits with their labels; every `wrong`th label is another."""
    for number in range(count):
        text = "701"[number % 3]
        shifted = [(x // 2 + number // 20, y // 2 + number % 20) for x, y in TEXTS[text]]
        picture = pictures.drawing(shifted, size=160, width=11)
        is_wrong = wrong and number % wrong == 0
        yield pictures.encoded(picture), "4" if is_wrong else text


def samples(count: int, *, wrong: int = 0) -> list[Sample]:
    return [
        Sample(str(number), text, lambda data=data: data)  # type: ignore[misc]
        for number, (data, text) in enumerate(drawings(count, wrong=wrong))
    ]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(open_pack(registry.find("digits")))


def test_a_risk_that_is_shown_gives_a_threshold(reader: Reader) -> None:
    """All are right: nearly all are `read` at 10 %, and the card has both halves' figures."""
    card = label_fitting.calibrate(reader, samples(120), risk=0.1, data="test")
    facts = card.metrics["own_labels"]
    assert facts["fit"] + facts["after"]["n"] == 120
    assert facts["after"]["coverage"]["value"] > 0.8
    assert facts["after"]["risk_measured"]["value"] == 0
    assert facts["before"]["read"] == reader.pack.card.thresholds.read
    assert card.thresholds.read == facts["after"]["read"]
    assert card.thresholds.digit == reader.pack.card.thresholds.digit
    assert facts["misread"] == 0
    assert card.temperature == reader.pack.card.temperature  # nothing to fit it on


def test_digits_that_are_misread_give_a_temperature(reader: Reader) -> None:
    """Where a third of the answers is wrong, confidences are lower and nearer to the truth."""
    card = label_fitting.calibrate(reader, samples(100, wrong=3), risk=0.6, data="test")
    facts = card.metrics["own_labels"]
    assert facts["misread"] >= label_fitting.MIN_MISREAD
    assert facts["digits"] <= facts["fit"]
    assert card.temperature == facts["after"]["temperature"] > facts["before"]["temperature"]
    assert facts["after"]["ece"] < facts["before"]["ece"]


def test_what_cannot_be_shown_is_an_error(reader: Reader) -> None:
    """Too few pictures, and labels that contradict sure answers, are named with a remedy."""
    with pytest.raises(errors.Invalid, match="too few labelled pictures: the smaller half"):
        label_fitting.calibrate(reader, samples(30), risk=0.1, data="test")
    with pytest.raises(errors.Invalid, match=r"no threshold is proven to be wrong in at most 0\.1"):
        label_fitting.calibrate(reader, samples(120, wrong=4), risk=0.1, data="test")


def test_the_labels_of_a_store_make_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`legibly models calibrate digits --from-labels` writes `digits-own`; DATA and the flag
    exclude each other.
    """
    environ = {
        "LEGIBLY_STORE": f"file://{tmp_path}/objects",
        "LEGIBLY_DATABASE": f"sqlite:///{tmp_path}/index.db",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    service = wiring.service(Settings.load(environ=environ))
    for data, text in drawings(110):
        service.receive(data, UploadDetails(label=text))
    arguments = ["calibrate", "digits", "--from-labels", "--risk", "0.12"]
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["name"] == "digits-own"
    assert answer["own_labels"]["after"]["n"] + answer["own_labels"]["fit"] == 110
    own = open_pack(tmp_path / "packs" / "digits-own")
    assert own.card.thresholds.read == answer["read"]
    assert own.card.temperature == answer["temperature"]
    assert own.model.version == answer["version"]
    assert "held out" in CliRunner().invoke(command, arguments).stdout
    assert CliRunner().invoke(command, ["calibrate", "digits"]).exit_code == 2
