"""Opens the pack of a model setting: shipped, added, in a folder, or remote."""

from pathlib import Path

from legibly.packs import registry, remote
from legibly.packs.pack import Pack, open_pack


def open_model(model: str, *, added: Path | None = None) -> Pack:
    """Open a pack's name, a pack's folder or a remote model's address.

    Raises errors.Invalid, errors.NotFound and errors.Unavailable.
    """
    if remote.is_remote(model):
        return remote.open_remote(model)
    return open_pack(registry.find(model, added=added))
