"""`legibly models`: list, show, check, add, use, remove."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from legibly import errors, projects, settings, wiring
from legibly.cli import main, models
from legibly.packs import registry


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory and store of one's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("LEGIBLY_STORE", "LEGIBLY_MODEL"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(
        models.command, list(words), standalone_mode=False, catch_exceptions=False
    )


def answer(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


def test_the_shipped_pack_is_listed_as_used() -> None:
    """Out of the box `digits` is there, shipped and in use, its version in the list and in
    `show`.
    """
    (row,) = answer("list")
    assert (row["name"], row["place"], row["used"]) == ("digits", "shipped", True)
    assert answer("show", "digits")["version"] == row["version"]
    assert "* digits" in run("list").stdout
    assert "mnist_test_crops" in run("show", "digits").stdout


def test_a_pack_is_added_used_and_removed(tmp_path: Path) -> None:
    """An added pack can be named and chosen; while in use it stays; then it goes."""
    folder = str(registry.find("digits"))
    assert answer("add", folder, "--name", "mine")["name"] == "mine"
    assert [row["name"] for row in answer("list")] == ["digits", "mine"]
    Path("legibly.toml").write_text('# kept\nmodel = "digits"\nattempts = 3\n')
    assert answer("use", "mine")["model"] == "mine"
    assert Path("legibly.toml").read_text() == 'model = "mine"\n# kept\nattempts = 3\n'
    assert [row["used"] for row in answer("list")] == [False, True]
    with pytest.raises(errors.Conflict, match="in use"):
        run("remove", "mine")
    run("use", "digits")
    assert answer("remove", "mine") == {"removed": "mine"}
    assert len(answer("list")) == 1
    assert (tmp_path / "legibly-data" / "packs").is_dir()


def test_a_pack_on_trial_or_in_use_by_any_project_is_not_removed() -> None:
    """A shadow's pack stays until its trial ends, a project's pack until the project has another:
    the refusal names project and remedy.
    """
    for name in ("trial", "flowers"):
        run("add", str(registry.find("digits")), "--name", name)
    card = Path("legibly-data/packs/trial/card.json")
    card.write_text(card.read_text().replace('"temperature": ', '"temperature": 1'))
    run("shadow", "trial", "--share", "0.5")
    with pytest.raises(errors.Conflict, match=r"trial in project default.* shadow trial --share 0"):
        run("remove", "trial")
    run("shadow", "trial", "--share", "0")
    assert answer("remove", "trial") == {"removed": "trial"}
    store = wiring.root_store(settings.Settings())
    projects.Projects(store).create("garden", model="flowers")
    with pytest.raises(errors.Conflict, match="flowers in project garden: this pack is in use"):
        run("remove", "flowers")


def test_a_project_gets_a_model_of_its_own() -> None:
    """`use` in a project changes that project's record, never the settings of the server."""
    run("add", str(registry.find("digits")), "--name", "mine")
    records = projects.Projects(wiring.root_store(settings.Settings()))
    records.create("garden")
    words = ["--project", "garden", "models", "use", "mine"]
    result = CliRunner().invoke(main.cli, words, catch_exceptions=False)
    assert 'project garden says model = "mine"' in result.stdout
    assert records.get("garden").model == "mine"
    assert not Path("legibly.toml").exists()


def test_an_unsound_pack_is_told(tmp_path: Path) -> None:
    """`check` says what is wrong, as an error or as JSON with exit 1; an unsound pack is not
    added.
    """
    broken = Path(shutil.copytree(registry.find("digits"), tmp_path / "broken"))
    (broken / "model.onnx").write_bytes(b"")
    with pytest.raises(errors.Invalid, match="SHA-256"):
        run("check", str(broken))
    with pytest.raises(errors.Invalid, match="SHA-256"):
        run("add", str(broken))
    assert answer("check", str(broken))["sound"] is False
    assert answer("check", "digits")["sound"] is True


def test_a_damaged_pack_is_listed_with_its_error(tmp_path: Path) -> None:
    """`list` names what is wrong with one pack and shows the others."""
    damaged = tmp_path / "legibly-data" / "packs" / "torn"
    damaged.mkdir(parents=True)
    (damaged / "card.json").write_text("{")
    digits, torn = answer("list")
    assert digits["version"]
    assert "not a card of a model pack" in torn["error"]
    assert "damaged" in run("list").stdout


def test_choosing_a_pack_is_recorded_with_the_user_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`use` is a change like every other; the environment cannot name its author."""
    import os

    monkeypatch.setenv("LOGNAME", "somebody-else")
    run("add", str(registry.find("digits")), "--name", "mine")
    run("use", "mine", "--reason", "a trial")
    (change,) = answer("history")
    assert (change["kind"], change["to"]["setting"], change["reason"]) == ("use", "mine", "a trial")
    assert str(os.getuid()) in change["by"]
    assert "somebody-else" not in change["by"]
