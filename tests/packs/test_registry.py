"""Naming, finding, adding and removing packs."""

from pathlib import Path

import pytest

from legibly import errors
from legibly.packs import registry


def test_digits_is_shipped() -> None:
    """The `digits` pack comes with Legibly and is found by its name."""
    assert "digits" in [folder.name for folder in registry.shipped()]
    assert registry.find("digits") in registry.shipped()


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    """A path to a folder with a card is a pack; other names are told with those known."""
    assert registry.find(registry.find("digits").as_posix()) == registry.find("digits")
    with pytest.raises(errors.NotFound, match="Known are: digits"):
        registry.find(str(tmp_path))


def test_an_added_pack_is_found_and_removed(tmp_path: Path) -> None:
    """Added under a name, found by it, removed again; the shipped one stays."""
    digits = registry.find("digits")
    added = tmp_path / "packs"
    folder = registry.add(digits, added=added, name="mine")
    assert registry.find("mine", added=added) == folder
    assert [entry.name for entry in registry.entries(added=added)] == ["digits", "mine"]
    with pytest.raises(errors.Conflict, match="there already"):
        registry.add(digits, added=added, name="mine")
    with pytest.raises(errors.Conflict, match="there already"):
        registry.add(digits, added=added)
    registry.remove("mine", added=added)
    with pytest.raises(errors.NotFound, match="mine"):
        registry.find("mine", added=added)
    with pytest.raises(errors.Invalid, match="comes with Legibly"):
        registry.remove("digits", added=added)
    with pytest.raises(errors.NotFound, match="no such model pack"):
        registry.remove("mine", added=added)


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", ".."])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A name with slashes or a leading dot is refused."""
    with pytest.raises(errors.Invalid, match="cannot name a pack"):
        registry.add(registry.find("digits"), added=tmp_path / "packs", name=name)
