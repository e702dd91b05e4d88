"""An open model pack: its card and its network, in ONNX Runtime here or on a model server."""

from collections.abc import Mapping
from pathlib import Path

from legibly import errors, records
from legibly.packs import card as cards
from legibly.packs import network, remote
from legibly.packs.classifier import Pack as Pack


def open_pack(folder: Path, *, threads: int = 1) -> Pack:
    """Open the pack in a folder, with `threads` threads for one run of the network.

    Raises errors.Invalid with the file and a remedy if the card or the network is missing or
    damaged, or if they do not match; errors.Unavailable if its model server does not answer.
    """
    card = cards.read_card(folder)
    if card.remote is not None:
        return remote.open_with_card(card)
    contents = network.read_files(folder, card)
    path = folder / cards.MODEL
    run = network.open_network(contents, card, path=path, threads=threads)
    run_line = network.open_line(contents, where=str(folder / cards.LINE), threads=threads)
    model = records.Model(name=card.name, version=_version(card, contents))
    pack = Pack(card=card, model=model, run=run, run_line=run_line)
    try_blank(pack, where=str(path))
    return pack


def folder_version(folder: Path) -> str:
    """The version of the pack in a folder, without opening its network. Raises errors.Invalid."""
    card = cards.read_card(folder)
    if card.remote is not None:
        return cards.version(card, b"")
    return _version(card, network.read_files(folder, card))


def _version(card: cards.Card, contents: Mapping[str, bytes]) -> str:
    others = {name: data for name, data in contents.items() if name != cards.MODEL}
    return cards.version(card, contents[cards.MODEL], others)


def try_blank(pack: Pack, *, where: str) -> None:
    """Run the network once. Raises errors.Invalid if it does not match its card."""
    blank = pack.blank(2)
    try:
        pack.logits(blank)
    except errors.Unusable as error:
        remedy = "Correct `prepare` in card.json, or export the network again."
        message = "gives no finite logits for a blank input"
        raise errors.Invalid(message, where=where, remedy=remedy) from error
    except errors.Unavailable as error:
        facts = {"where": where, "problem": error.message}
        if "promises" in error.message:
            remedy = "Correct `classes` and `reject` in card.json."
            message = "does not fit: {problem}"
            raise errors.Invalid(message, remedy=remedy, **facts) from error
        if pack.card.remote is not None:
            raise
        message = "does not take its card's input {shape}: {problem}"
        remedy = "Correct `input` in card.json."
        raise errors.Invalid(message, remedy=remedy, shape=str(blank.shape), **facts) from error
