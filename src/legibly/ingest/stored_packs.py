"""Model packs in a bucket, under their version; checked when they are downloaded."""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from legibly import errors
from legibly.packs import card, network
from legibly.packs.opening import open_model
from legibly.packs.pack import Pack, open_pack
from legibly.store import Store, open_store

FOLDER = "packs/"


def _networks(folder: Path) -> list[str]:
    """The names of the files that a pack's card says are loaded. Raises Invalid for other paths."""
    names = sorted(card.read_card(folder).digests)
    for name in names:
        if not network.is_plain_name(name):
            message = f"names a file outside its folder: {name!r}"
            raise errors.Invalid(message, where=str(folder / card.CARD))
    return names


def is_stored(model: str) -> bool:
    """Whether a model setting names a pack in a bucket: `s3://BUCKET/packs/NAME/VERSION`."""
    return model.startswith("s3://")


def upload(folder: Path, store: Store) -> str:
    """Upload a pack unless this version is there; returns its key, `packs/NAME/VERSION`."""
    model = open_pack(folder).model
    key = f"{FOLDER}{model.name}/{model.version}"
    for name in (card.CARD, *_networks(folder)):
        with contextlib.suppress(errors.Conflict):  # the version names the content
            store.create(f"{key}/{name}", (folder / name).read_bytes())
    return key


def open_any(model: str, *, environ: Mapping[str, str], added: Path | None = None) -> Pack:
    """Open a pack of a bucket, or what `open_model` opens."""
    if is_stored(model):
        return download(model, environ=environ)
    return open_model(model, added=added)


def download(model: str, *, environ: Mapping[str, str]) -> Pack:
    """Open a pack of a bucket. Raises Invalid if its content is not of the version in its name."""
    url, _, version = model.rstrip("/").rpartition("/")
    store = open_store(f"{url}/{version}", environ=environ)
    with tempfile.TemporaryDirectory(prefix="legibly-pack-") as folder:
        (Path(folder) / card.CARD).write_bytes(store.read(card.CARD))
        for name in _networks(Path(folder)):
            (Path(folder) / name).write_bytes(store.read(name))
        pack = open_pack(Path(folder))
    if pack.model.version != version:
        raise errors.Invalid(
            f"has the content of version {pack.model.version}.",
            where=model,
            remedy="Upload it again: legibly cloud deploy --model PACK.",
        )
    return pack
