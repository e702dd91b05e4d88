"""Which model packs there are: the shipped ones, those added to a folder, and any folder by its path."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from legibly import errors
from legibly.packs import card as cards

SHIPPED = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Entry:
    """One pack that can be named: `place` is `shipped` or `added`."""

    name: str
    folder: Path
    place: Literal["shipped", "added"]


def shipped() -> list[Path]:
    """The folders of the packs that come with Legibly, by name."""
    return _packs(SHIPPED)


def entries(*, added: Path | None = None) -> list[Entry]:
    """Every pack that `find` knows by name: the shipped ones, then those in the folder `added`."""
    found = [Entry(folder.name, folder, "shipped") for folder in shipped()]
    return found + [Entry(folder.name, folder, "added") for folder in _packs(added)]


def find(name_or_path: str | Path, *, added: Path | None = None) -> Path:
    """The folder of a pack, by the name of an added or shipped one, or by its path. Raises errors.NotFound."""
    text = str(name_or_path)
    for entry in reversed(entries(added=added)):  # an added pack of the same name comes first
        if entry.name == text:
            return entry.folder
    folder = Path(text).expanduser()
    if (folder / cards.CARD).is_file():
        return folder
    names = ", ".join(sorted({entry.name for entry in entries(added=added)})) or "none"
    raise errors.NotFound(
        "no such model pack",
        where=text,
        remedy=f"Known are: {names}; or give the path of a folder with card.json and model.onnx.",
    )


def add(folder: Path, *, added: Path, name: str | None = None) -> Path:
    """Copy a pack into the folder `added` under its card's name, or another.

    Raises errors.Invalid for a folder without a sound card, errors.Conflict where the name is taken.
    """
    name = name or cards.read_card(folder).name
    if not name or Path(name).name != name or name.startswith("."):
        raise errors.Invalid(
            "cannot name a pack",
            where=name,
            remedy="Use a plain name without slashes: --name NAME.",
        )
    target = added / name
    if target.exists() or any(entry.name == name for entry in entries(added=added)):
        remedy = "Remove it first, or add it under another name: --name NAME."
        raise errors.Conflict("a pack of this name is there already", where=name, remedy=remedy)
    added.mkdir(parents=True, exist_ok=True)
    partial = added / f".{name}.partial"  # so that a pack half copied is never found
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in (cards.CARD, cards.MODEL):
        shutil.copyfile(folder / file, partial / file)
    return partial.rename(target)


def remove(name: str, *, added: Path) -> None:
    """Delete an added pack. Raises errors.NotFound; errors.Invalid for a shipped one."""
    for entry in reversed(entries(added=added)):
        if entry.name == name and entry.place == "added":
            shutil.rmtree(entry.folder)
            return
        if entry.name == name:
            raise errors.Invalid(
                "comes with Legibly and stays",
                where=name,
                remedy="Only added packs can be removed.",
            )
    raise errors.NotFound(
        "no such model pack", where=name, remedy="`legibly models list` names them."
    )


def _packs(parent: Path | None) -> list[Path]:
    if parent is None or not parent.is_dir():
        return []
    return sorted(
        card.parent
        for card in parent.glob("*/" + cards.CARD)
        if not card.parent.name.startswith(".")
    )
