"""Model packs in the store, as `packs/NAME/VERSION/`, shared by all its machines.

A pack is checked when it is downloaded: its version is the hash of its files.
"""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from legibly import errors
from legibly.packs import card, network, registry
from legibly.packs import pack as packs
from legibly.packs.opening import open_model
from legibly.packs.pack import Pack
from legibly.settings import Settings
from legibly.store import Stat, Store, folder_of, open_store, packs_folder

FOLDER = "packs/"
_KEY = re.compile(rf"{FOLDER}([^/]+)/([0-9a-f]{{6,64}})/{re.escape(card.CARD)}")
_VERSION = ".version"
_BY_VERSION = "_by-version"
"""Packs that were chosen by their path: opened by their version, and not listed."""
_log = logging.getLogger(__name__)


def is_stored(model: str) -> bool:
    """Whether a model setting names a pack in a bucket: `s3://BUCKET/packs/NAME/VERSION`."""
    return model.startswith("s3://")


def upload(folder: Path, store: Store, *, name: str = "") -> str:
    """Upload a pack unless this version is there; returns its key, `packs/NAME/VERSION`."""
    own = card.read_card(folder)
    key = f"{FOLDER}{name or own.name}/{packs.folder_version(folder)}"
    if any(stat.key == f"{key}/{card.CARD}" for stat in store.list(f"{key}/")):
        return key
    for file in (*_networks(folder), card.CARD):  # the card comes last: it makes the pack complete
        store.create(f"{key}/{file}", (folder / file).read_bytes())
    return key


def publish(model: str, settings: Settings) -> None:
    """Put an added pack, or that of any folder, into the store for other machines."""
    if _is_address(model):
        return
    added = packs_folder(settings.store)
    folder = registry.find(model, added=added)
    if folder in registry.shipped():
        return
    named = {entry.folder: entry.name for entry in registry.entries(added=added)}
    name = named.get(folder, _BY_VERSION)
    upload(folder, open_store(settings.store, environ=os.environ), name=name)


def withdraw(name: str, settings: Settings) -> None:
    """Delete every version of a pack from the store."""
    store = open_store(settings.store, environ=os.environ)
    store.remove([stat.key for stat in store.list(f"{FOLDER}{registry.check_name(name)}/")])


def synchronized_folder(settings: Settings) -> Path | None:
    """The folder of added packs, after copying those of the store into it.

    A pack that is damaged, or a store that does not answer, is logged and passed over.
    """
    added = packs_folder(settings.store)
    is_local = settings.store.startswith("file://")
    if added is None or (is_local and not folder_of(settings.store).is_dir()):
        return added
    try:
        store = open_store(settings.store, environ=os.environ)
        newest = _newest(store)
        for name, stat in newest.items():
            _copy(store, stat, added / name, replaces=not is_local)
        if not is_local:  # only a copy of the bucket
            for entry in registry.entries(added=added):
                if entry.place == "added" and entry.name not in newest:
                    shutil.rmtree(entry.folder, ignore_errors=True)
    except errors.LegiblyError as error:
        _log.warning("the store's model packs cannot be listed: %s", error)
    return added


def open_any(model: str, *, environ: Mapping[str, str], added: Path | None = None) -> Pack:
    """Open a pack of a bucket, or what `open_model` opens."""
    if is_stored(model):
        return download(model, environ=environ)
    return open_model(model, added=added)


def open_version(model: str, settings: Settings, *, version: str = "") -> Pack:
    """Open a pack in this version, from this machine or from the store; without one, as it is.

    Where neither has the version, what this machine has is opened. Raises as `open_any`.
    """
    added = packs_folder(settings.store)
    try:
        pack = open_any(model, environ=os.environ, added=added)
    except (errors.NotFound, errors.Invalid) as error:
        if _is_address(model):
            raise
        stored = _open_stored(model, settings, version)
        if stored is None:
            raise
        if isinstance(error, errors.Invalid):
            _log.warning("%s; reading with the copy in the store", error)
        return stored
    if version in ("", pack.model.version) or _is_address(model):
        return pack
    stored = _open_stored(pack.model.name if "/" in model else model, settings, version)
    if stored is None:
        _log.warning("%s is %s here, not %s", model, pack.model.version, version)
    return stored or pack


def download(model: str, *, environ: Mapping[str, str]) -> Pack:
    """Open a pack of a bucket. Raises Invalid if its content is not of the version in its name."""
    url, _, version = model.rstrip("/").rpartition("/")
    store = open_store(f"{url}/{version}", environ=environ)
    return _open(store, "", version, where=model)


def _open_stored(model: str, settings: Settings, version: str) -> Pack | None:
    """The pack in the store; None if it is missing or the store does not respond."""
    if settings.store.startswith("file://") and not folder_of(settings.store).is_dir():
        return None
    try:
        store = open_store(settings.store, environ=os.environ)
        if version:
            matches = [stat.key for stat in store.list(FOLDER) if f"/{version}/" in stat.key]
            keys = [key for key in matches if _KEY.fullmatch(key)]
        else:
            keys = [stat.key for name, stat in _newest(store).items() if name == model]
        if not keys:
            return None
        key = keys[0].removesuffix(card.CARD)
        return _open(store, key, key.split("/")[2], where=f"{settings.store}/{key}")
    except errors.LegiblyError as error:
        _log.warning("the pack %s of the store cannot be used: %s", model, error)
        return None


def _open(store: Store, key: str, version: str, *, where: str) -> Pack:
    with tempfile.TemporaryDirectory(prefix="legibly-pack-") as folder:
        _download(store, key, Path(folder))
        pack = packs.open_pack(Path(folder))
    _check_version(pack.model.version, version, where=where)
    return pack


def _download(store: Store, key: str, folder: Path) -> None:
    (folder / card.CARD).write_bytes(store.read(f"{key}{card.CARD}"))
    for name in _networks(folder):
        (folder / name).write_bytes(store.read(f"{key}{name}"))


def _check_version(actual: str, expected: str, *, where: str) -> None:
    if actual != expected:
        raise errors.Invalid(
            "has the content of version {version}.",
            where=where,
            remedy="Add the pack again.",
            version=actual,
        )


def _networks(folder: Path) -> list[str]:
    """The names of the files that a pack's card says are loaded. Raises Invalid for other paths."""
    own = card.read_card(folder)
    names = [] if own.remote else sorted(own.digests)
    for name in names:
        if not network.is_plain_name(name):
            message = "names a file outside its folder: {name}"
            raise errors.Invalid(message, where=str(folder / card.CARD), name=repr(name)[:200])
    return names


def _newest(store: Store) -> dict[str, Stat]:
    """The card of the newest version of each pack in the store."""
    newest: dict[str, Stat] = {}
    for stat in sorted(store.list(FOLDER), key=lambda stat: stat.modified_at):
        match = _KEY.fullmatch(stat.key)
        if match and match[1] != _BY_VERSION and network.is_plain_name(match[1]):
            newest[match[1]] = stat
    return newest


def _copy(store: Store, stat: Stat, target: Path, *, replaces: bool) -> None:
    """Copy a pack to `target` unless it is there; one of another version is replaced on request."""
    key = stat.key.removesuffix(card.CARD)
    version = key.split("/")[2]
    mark = target / _VERSION
    if target.exists() and (not replaces or _read(mark) == version):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _download(store, key, partial)
        _check_version(packs.folder_version(partial), version, where=f"{store.url}/{key}")
        (partial / _VERSION).write_text(version)
        if replaces:
            shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except errors.LegiblyError as error:
        _log.warning("the pack %s of the store is not used: %s", target.name, error)
    except OSError as error:
        if not target.exists():  # otherwise another process was faster
            _log.warning("the pack %s cannot be copied: %s", target.name, error)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _is_address(model: str) -> bool:
    return "://" in model
