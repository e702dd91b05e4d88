"""`legibly models`: compare, promote, rollback, history."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pictures
from legibly import errors, wiring
from legibly.cli import models
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.settings import Settings

STROKES = {"7": pictures.SEVEN, "0": pictures.ZERO, "1": pictures.ONE}
ENOUGH = 120
"""Pictures without any difference that show, at any time, that a candidate is no worse by five
points.
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, a store and packs of one's own: one that answers the same, one that
    takes 1 for 7.
    """
    monkeypatch.chdir(tmp_path)
    pack("same", created="later")
    classes = list("0123456789")
    classes[1] = "7"
    classes[7] = "1"
    pack("worse", classes=tuple(classes))


def pack(name: str, **facts: Any) -> Path:
    """The shipped pack under another name, its card changed."""
    folder = Path(shutil.copytree(registry.find("digits"), name))
    cards.write_card(folder, dataclasses.replace(cards.read_card(folder), **facts))
    return folder


def run(*words: str, output: str | None = None) -> Result:
    return CliRunner().invoke(
        models.command, list(words), standalone_mode=False, catch_exceptions=False, input=output
    )


def answer(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """90 labelled pictures with a table: as many as show, at one look, that a candidate is no worse
    by five points.
    """
    folder = tmp_path / "labelled"
    folder.mkdir()
    for label, stroke in STROKES.items():
        (folder / f"{label}.png").write_bytes(pictures.png(stroke))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "label"), *[(f"{label}.png", label) for label in STROKES] * 30]
        )
    return str(folder)


def fill(count: int, *, requested: bool = True) -> None:
    """Put labelled pictures into the configured store."""
    service = wiring.service(Settings())
    for number in range(count):
        image = service.receive(pictures.png(list(STROKES.values())[number % 3]))
        service.label(
            image.id, list(STROKES)[number % 3], source="asked" if requested else "volunteered"
        )


def test_compare_on_a_dataset(dataset: str) -> None:
    """Words tell both shares, the table, p and what follows; JSON holds the same."""
    messages = run("compare", "digits", "worse", dataset).stdout
    assert "90 pictures of" in messages
    assert "exact McNemar p = " in messages
    assert "Worse: digits" in messages
    build_result = answer("compare", "digits", "worse", dataset)
    assert build_result["right"]["table"] == {
        "both": 30,
        "only_present": 60,
        "only_candidate": 0,
        "neither": 0,
    }
    assert build_result["right"]["verdict"] == "worse"
    assert build_result["right"]["p"] < 1e-9
    assert build_result["present"]["milliseconds"] > 0
    assert build_result["looks"] == "one"
    assert answer("compare", "worse", "digits", dataset)["right"]["verdict"] == "better"
    assert (
        answer("compare", "digits", "same", dataset, "--margin", "0.05")["right"]["verdict"]
        == "no_worse"
    )
    assert answer("compare", "digits", "same", dataset)["right"]["more"] > 90


def test_compare_on_the_store() -> None:
    """Without a dataset the store's labelled pictures are read anew, and the sentence holds at
    every look.
    """
    fill(21)
    build_result = answer("compare", "digits", "same")
    assert (build_result["looks"], build_result["data"]["basis"], build_result["data"]["n"]) == (
        "any",
        "asked",
        21,
    )
    assert "labels asked for" in run("compare", "digits", "same").stdout


def test_a_promotion_is_proved_recorded_and_taken_back() -> None:
    """The settings name the candidate, the store keeps who, when and why; a rollback restores, and
    is kept too.
    """
    fill(ENOUGH)
    done = run("promote", "same", "--margin", "0.05", output="y\n")
    assert 'legibly.toml says model = "same"' in done.stdout
    assert [row["used"] for row in answer("list")] == [False]
    assert (
        wiring.reader(Settings.load(environ={})).model.version == answer("show", "same")["version"]
    )
    (remaining,) = answer("history")
    assert (
        remaining["number"],
        remaining["kind"],
        remaining["from"]["setting"],
        remaining["to"]["setting"],
    ) == (1, "promote", "digits", "same")
    assert remaining["evidence"]["decision"]["passed"]
    assert remaining["evidence"]["data"]["n"] == ENOUGH
    assert remaining["by"]
    back = run("rollback", "--reason", "seen odd answers").stdout
    assert 'model = "digits"' in back
    assert Settings.load(environ={}).model == "digits"
    assert [(item["number"], item["kind"], item["reason"]) for item in answer("history")] == [
        (1, "promote", None), (2, "rollback", "seen odd answers"),
    ]  # fmt: skip
    assert "rollback  same" in run("history").stdout
    with pytest.raises(errors.NotFound, match="no promotion to undo"):
        run("rollback")


def test_old_readings_stay_and_new_ones_carry_the_new_version(dataset: str) -> None:
    """A service made after the promotion reads with the promoted pack; what was read before keeps
    its version.
    """
    before = wiring.service(Settings())
    first = before.classify(before.receive(pictures.png()))
    answer("promote", "same", "--data", dataset, "--margin", "0.05", "--yes")
    after = wiring.service(Settings.load(environ={}))
    second = after.classify(after.receive(pictures.png()))
    assert second.reading
    assert second.reading.model.version == answer("show", "same")["version"]
    assert after.index.get(first.id).reading == first.reading


def test_what_is_not_proved_is_refused(dataset: str) -> None:
    """A worse pack, or too few labels: exit 1 with why and how many are missing; nothing changes,
    nothing is kept.
    """
    with pytest.raises(errors.Conflict, match="right answers may be"):
        run("promote", "worse", "--data", dataset, "--margin", "0.05", "--yes")
    with pytest.raises(errors.Conflict, match=r"Some [\d,]+ more labels like these would show it"):
        run("promote", "same", "--data", dataset, "--yes")
    refused = run("promote", "same", "--data", dataset, "--yes", "--json")
    assert refused.exit_code == 1
    messages = json.loads(refused.stdout)
    assert (messages["promoted"], messages["passed"]) == (False, False)
    assert messages["missing"] > 600
    assert not Path("legibly.toml").exists()
    assert answer("history") == []


def test_volunteered_labels_are_no_proof() -> None:
    """However many there are."""
    fill(ENOUGH, requested=False)
    with pytest.raises(errors.Conflict, match="Labels that people volunteer"):
        run("promote", "same", "--margin", "0.05", "--yes")


def test_force_promotes_with_a_reason(dataset: str) -> None:
    """The reason is kept, with the evidence where there is any; without labels there is none."""
    assert answer("promote", "same", "--force", "urgent", "--yes")["evidence"] is None
    forced = answer("promote", "worse", "--data", dataset, "--force", "a drill", "--yes")
    assert (forced["number"], forced["reason"], forced["evidence"]["decision"]["passed"]) == (
        2,
        "a drill",
        False,
    )
    assert answer("rollback")["to"]["setting"] == "same"
    assert answer("rollback")["to"]["setting"] == "digits"


def test_a_machine_without_the_setting_replaces_the_model_in_use(dataset: str) -> None:
    """The store's history names the present model, not this machine's settings file; a roll back
    there brings it back.
    """
    run("use", "worse")
    Path("legibly.toml").unlink()
    change = answer("promote", "same", "--data", dataset, "--margin", "0.05", "--yes")
    assert (change["from"]["setting"], change["to"]["setting"]) == ("worse", "same")
    Path("legibly.toml").unlink()
    assert answer("rollback")["to"]["setting"] == "worse"


def test_saying_no_changes_nothing(dataset: str) -> None:
    """The question has to be answered with yes."""
    from click import Abort

    with pytest.raises(Abort):
        run("promote", "same", "--data", dataset, "--margin", "0.05", output="n\n")
    assert not Path("legibly.toml").exists()
    assert answer("history") == []


def test_a_rollback_brings_back_the_very_version(dataset: str) -> None:
    """A pack that was changed since comes back out of the store; without it, or where another one
    was chosen since, the error says what to do.
    """
    run("use", "same")
    answer("promote", "digits", "--data", dataset, "--margin", "0.05", "--yes")
    run("use", "worse")
    with pytest.raises(errors.Conflict, match="models use same"):
        run("rollback")
    run("use", "digits")
    shutil.rmtree("same")
    pack("same", created="later still")
    stored = Path("legibly-data") / "objects" / "packs"
    stored.rename("away")  # as before packs were kept in the store
    with pytest.raises(errors.Conflict, match="before the promotion it was"):
        run("rollback")
    Path("away").rename(stored)
    assert answer("rollback")["number"] == 5
    history = answer("history")
    assert history[-1]["to"]["version"] == history[0]["to"]["version"]


def test_what_cannot_be_compared_is_told_in_one_line(dataset: str, tmp_path: Path) -> None:
    """Unknown packs, the same version twice, other classes, no labels, labels that no model can
    say.
    """
    with pytest.raises(errors.NotFound, match="no such model pack"):
        run("compare", "digits", "none", dataset)
    with pytest.raises(errors.Invalid, match="the same model twice"):
        run("compare", "digits", str(registry.find("digits")), dataset)
    with pytest.raises(errors.Invalid, match="the same model twice"):
        run("promote", "digits", "--force", "anyway", "--yes")
    pack("letters", classes=tuple("abcdefghij"))
    with pytest.raises(errors.Invalid, match="do not have the same classes"):
        run("compare", "digits", "letters", dataset)
    with pytest.raises(errors.Invalid, match="no labelled pictures"):
        run("compare", "digits", "same")
    with pytest.raises(errors.NotFound, match="no such dataset"):
        run("promote", "same", "--data", "nowhere", "--force", "anyway", "--yes")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.png").write_bytes(pictures.png())
    (tmp_path / "words" / "labels.csv").write_text("file,label\na.png,cat\n")
    with pytest.raises(errors.Invalid, match="none of these labels"):
        run("compare", "digits", "same", str(tmp_path / "words"))
    with pytest.raises(errors.NotFound, match="no promotion to undo"):
        run("rollback")
    assert run("history").stdout == "No model has been promoted yet.\n"
