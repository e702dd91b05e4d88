"""Finds model packs: shipped ones, those added to a folder, and any folder by its path."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from legibly import errors
from legibly.packs import card as cards
from legibly.packs import network

SHIPPED = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Entry:
    """A pack with a name; `place` is `shipped` or `added`."""

    name: str
    folder: Path
    place: Literal["shipped", "added"]


def shipped() -> list[Path]:
    """The folders of the shipped packs, by name."""
    return _packs(SHIPPED)


def entries(*, added: Path | None = None) -> list[Entry]:
    """All packs that `find` knows by name: the shipped ones, then those in the folder `added`.

    Their cards may be damaged: reading them may raise errors.Invalid.
    """
    known = [Entry(folder.name, folder, "shipped") for folder in shipped()]
    return known + [Entry(folder.name, folder, "added") for folder in _packs(added)]


def find(name_or_path: str | Path, *, added: Path | None = None) -> Path:
    """The folder of a pack by the name of an added or shipped one, or by path. Raises NotFound."""
    text = str(name_or_path)
    for entry in reversed(entries(added=added)):  # an added pack of the same name comes first
        if entry.name == text:
            return entry.folder
    folder = Path(text).expanduser()
    if "\0" not in text and _is_file(folder / cards.CARD):
        return folder
    names = ", ".join(sorted({entry.name for entry in entries(added=added)})) or "none"
    raise errors.NotFound(
        "no such model pack",
        where=printable(text),
        remedy="Known are: {names}; or give the path of a folder with card.json and model.onnx.",
        names=names,
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is impossible for a file
        return False


def check_name(name: str) -> str:
    """Check the name of a pack. Raises errors.Invalid for paths, controls, hidden names."""
    if not network.is_plain_name(name) or name != name.strip() or len(name) > 100:
        raise errors.Invalid(
            "cannot name a pack",
            where=printable(name),
            remedy="Use a plain name of up to 100 characters, without slashes: --name NAME.",
        )
    return name


def add(folder: Path, *, added: Path, name: str | None = None) -> Path:
    """Copy a pack into the folder `added` under its card's name, or another.

    Raises errors.Invalid for a folder without a sound card, errors.Conflict where the name is
    taken.
    """
    card = cards.read_card(folder)
    name = check_name(name or card.name)
    target = added / name
    if target.exists() or any(entry.name == name for entry in entries(added=added)):
        remedy = "Remove it first, or add it under another name: --name NAME."
        raise errors.Conflict("a pack of this name is there already", where=name, remedy=remedy)
    files = {} if card.remote else network.read_files(folder, card)
    added.mkdir(parents=True, exist_ok=True)
    partial = added / f".{name}.partial"  # so that a partial copy is never used
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    shutil.copyfile(folder / cards.CARD, partial / cards.CARD)
    for file, content in files.items():
        (partial / file).write_bytes(content)
    return partial.rename(target)


def remove(name: str, *, added: Path) -> None:
    """Delete an added pack. Raises errors.NotFound; errors.Invalid for a shipped one."""
    for entry in reversed(entries(added=added)):
        if entry.name == name and entry.place == "added":
            shutil.rmtree(entry.folder)
            return
        if entry.name == name:
            remedy = "Only added packs can be removed."
            raise errors.Invalid("comes with Legibly and stays", where=name, remedy=remedy)
    remedy = "`legibly models list` names them."
    raise errors.NotFound("no such model pack", where=printable(name), remedy=remedy)


def printable(text: str) -> str:
    """A text that is safe on a terminal, with control characters escaped."""
    shown = "".join(
        letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text[:200]
    )
    return shown or "''"


def _packs(parent: Path | None) -> list[Path]:
    """The folders with a card, by name; skips links and invalid names."""
    if parent is None or not parent.is_dir():
        return []
    return sorted(
        card.parent
        for card in parent.glob("*/" + cards.CARD)
        if network.is_plain_name(card.parent.name) and not card.parent.is_symlink()
    )
