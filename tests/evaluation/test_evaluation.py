"""Scoring a model on labelled pictures."""

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pictures
from legibly import errors, records
from legibly.cli.classify import command as classify
from legibly.cli.evaluate import command as evaluate
from legibly.evaluation import datasets, evaluation

MODEL = records.Model("digits", "0123456789ab")


def outcome(
    truth: str, text: str | None, confidence: float, *, verdict: str = "read", kind: str = ""
) -> evaluation.Outcome:
    """One sample, read."""
    return evaluation.Outcome("name", truth, kind, "", text, verdict, confidence, 2.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three labelled pictures with a table."""
    (tmp_path / "seven.png").write_bytes(pictures.png(pictures.SEVEN))
    (tmp_path / "zero.png").write_bytes(pictures.png(pictures.ZERO))
    (tmp_path / "wrong.png").write_bytes(pictures.png(pictures.SEVEN))
    rows = [("seven.png", "7", "canvas"), ("zero.png", "0", "canvas"), ("wrong.png", "1", "lie")]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "kind"), *rows])
    return tmp_path


def idx(folder: Path, images: np.ndarray, labels: list[int]) -> Path:
    """A pair of idx files; the path of its images."""
    head = bytes((0, 0, 8, 3)) + b"".join(size.to_bytes(4, "big") for size in images.shape)
    path = folder / "t-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(head + images.astype(np.uint8).tobytes()))
    (folder / "t-labels-idx1-ubyte").write_bytes(
        bytes((0, 0, 8, 1)) + len(labels).to_bytes(4, "big") + bytes(labels)
    )
    return path


def test_the_three_forms_of_datasets(folder: Path, tmp_path: Path) -> None:
    """A table, idx files and class folders give names, texts and bytes."""
    assert next((entry.name, entry.text, entry.kind) for entry in datasets.samples(folder)) == (
        "seven.png",
        "7",
        "canvas",
    )
    path = idx(tmp_path, np.zeros((2, 28, 28)), [3, 4])
    matches = datasets.samples(path)
    assert [entry.text for entry in matches] == ["3", "4"]
    assert matches[1].load().startswith(b"\x89PNG")
    for name in ("5", "9"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "a.png").write_bytes(pictures.png())
        (tmp_path / "classes" / name / "notes.txt").write_text("no picture")
    assert [(entry.name, entry.text) for entry in datasets.samples(tmp_path / "classes")] == [
        ("5/a.png", "5"),
        ("9/a.png", "9"),
    ]


def test_broken_datasets_say_what_is_wrong(tmp_path: Path) -> None:
    """Missing files, columns and labels are named with their place."""
    with pytest.raises(errors.NotFound, match="no such dataset"):
        datasets.samples(tmp_path / "none")
    with pytest.raises(errors.Invalid, match="not a dataset"):
        datasets.samples(tmp_path)
    (tmp_path / "labels.csv").write_text("name,what\na,b\n")
    with pytest.raises(errors.Invalid, match="columns file and label"):
        datasets.samples(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nnone.png,7\n")
    with pytest.raises(errors.NotFound, match="line 2"):
        datasets.samples(tmp_path)
    path = idx(tmp_path, np.zeros((2, 28, 28)), [3])
    with pytest.raises(errors.Invalid, match="2 images, but 1 labels"):
        datasets.samples(path)
    (tmp_path / "t-labels-idx1-ubyte").unlink()
    with pytest.raises(errors.NotFound, match="t-labels-idx1-ubyte"):
        datasets.samples(path)


def test_the_figures_of_a_small_report() -> None:
    """Counts, shares, edit distances, coverage and splits of five outcomes that can be counted by
    hand.
    """
    outcomes = [
        outcome("7", "7", 0.9, kind="a"),
        outcome("12", "12", 0.8, kind="a"),
        outcome("345", "35", 0.6, verdict="unsure", kind="b"),
        outcome("1/2", "1", 0.95, kind="b"),
        outcome("", "", 0.99, verdict="blank"),
    ]
    result = evaluation.report(outcomes, model=MODEL, dataset="d")
    assert (result["n"], result["errors"], result["exact"]["value"]) == (5, 2, 0.6)
    assert (result["items"]["n"], result["items"]["errors"]) == (8, 2)
    assert (result["read"]["n"], result["read"]["errors"]) == (3, 1)
    assert result["verdicts"] == {"blank": 1, "read": 3, "unsure": 1}
    assert result["by_kind"]["a"]["errors"] == 0
    assert result["by_kind"]["b"]["errors"] == 2
    assert result["calibration"]["brier"] == pytest.approx(
        np.mean([0.01, 0.04, 0.36, 0.9025, 0.0001])
    )
    assert result["selective"]["coverage_at_risk"]["0.001"] == 0.2
    assert [entry["label"] for entry in result["wrong"]] == ["345", "1/2"]
    assert json.loads(json.dumps(result)) == result
    assert any("60.00 %" in line for line in evaluation.lines(result))


def test_calibration_error_is_nought_for_honest_confidences() -> None:
    """Equal-mass bins: nine in ten right at 0.9 make none, all wrong make 0.9."""
    honest = [outcome("7", "7" if number % 10 else "1", 0.9) for number in range(150)]
    assert evaluation.report(honest, model=MODEL, dataset="d")["calibration"][
        "ece"
    ] == pytest.approx(0, abs=1e-9)
    wrong = [outcome("7", "1", 0.9) for _ in range(50)]
    assert evaluation.report(wrong, model=MODEL, dataset="d")["calibration"][
        "ece"
    ] == pytest.approx(0.9)


@pytest.mark.parametrize(("single", "only_other"), [(0, 0), (1, 0), (5, 5), (9, 1), (700, 600)])
def test_mcnemar_is_the_binomial_test(single: int, only_other: int) -> None:
    """The exact two-sided p of the discordant pairs, for few and for many."""
    right = outcome("7", "7", 0.9)
    wrong = outcome("7", "1", 0.9)
    entry = [right] * single + [wrong] * only_other + [right] * 10
    other = [wrong] * single + [right] * only_other + [right] * 10
    matches = evaluation.mcnemar(entry, other)
    n = single + only_other
    least = min(single, only_other)
    expected = min(1.0, 2 * math.fsum(math.comb(n, k) / 2**n for k in range(least + 1)))
    assert (matches["only_this"], matches["only_other"]) == (single, only_other)
    assert matches["p"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "other", "edits"),
    [("", "", 0), ("7", "", 1), ("123", "13", 1), ("kitten", "sitting", 3)],
)
def test_distance_counts_edits(text: str, other: str, edits: int) -> None:
    """Letters put in, taken out or changed, whichever way round."""
    assert evaluation.distance(text, other) == evaluation.distance(other, text) == edits


def test_evaluate_prints_words_or_json(folder: Path) -> None:
    """The command scores a folder, compares a model with itself, and prints only JSON when asked
    to.
    """
    words = CliRunner().invoke(evaluate, [str(folder)], catch_exceptions=False)
    assert words.exit_code == 0
    assert "1 wrong of 3" in words.stdout
    result = json.loads(
        CliRunner()
        .invoke(evaluate, [str(folder), "--json", "--compare", "digits"], catch_exceptions=False)
        .stdout
    )
    assert result["errors"] == 1
    assert result["wrong"][0]["name"] == "wrong.png"
    assert result["compare"]["p"] == 1


def test_crops_go_straight_to_the_network(tmp_path: Path, data: Path) -> None:
    """MNIST's crops score near what its pictures score the whole way; other sizes are refused."""
    raw = gzip.decompress((data / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    truth = gzip.decompress((data / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[-200:]
    path = idx(tmp_path, images, list(truth[-200:]))
    for options in ([], ["--crops"]):
        result = json.loads(
            CliRunner()
            .invoke(evaluate, [str(path), "--json", *options], catch_exceptions=False)
            .stdout
        )
        assert result["n"] == 200
        assert result["errors"] <= 8
    with pytest.raises(errors.Invalid, match="28 × 28"):
        CliRunner().invoke(
            evaluate,
            [str(idx(tmp_path, np.zeros((1, 20, 20)), [1])), "--crops"],
            catch_exceptions=False,
        )


def test_classify_reads_files_folders_globs_and_stdin(folder: Path) -> None:
    """Each source gets a line, in order; --json gives the contract's reading with its source."""
    done = CliRunner().invoke(
        classify, [str(folder / "seven.png"), str(folder / "z*.png"), str(folder), "--json"]
    )
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["source"]).name for line in lines] == [
        "seven.png", "zero.png", "seven.png", "wrong.png", "zero.png",
    ]  # fmt: skip
    assert [line["text"] for line in lines] == ["7", "0", "7", "7", "0"]
    assert records.Reading.from_json(lines[0]).verdict == "read"
    piped = CliRunner().invoke(classify, ["-"], input=pictures.png(pictures.ZERO))
    assert piped.stdout.splitlines()[-1].split()[:3] == ["-", "0", "read"]


def test_classify_names_what_failed_and_reads_the_rest(folder: Path) -> None:
    """A text called .png and a missing file are named on stderr; the sound picture is read; the
    exit status is 1.
    """
    (folder / "text.png").write_text("seven")
    done = CliRunner().invoke(
        classify, [str(folder / "text.png"), str(folder / "none.png"), str(folder / "seven.png")]
    )
    assert done.exit_code == 1
    assert "text.png" in done.stderr
    assert "none.png" in done.stderr
    assert done.stdout.splitlines()[-1].split()[1] == "7"
    assert CliRunner().invoke(classify, []).exit_code == 2
