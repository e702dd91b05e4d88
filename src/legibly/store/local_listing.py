"""Lists the files of a folder store, despite odd names, links and permissions."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_UNFINISHED = re.compile(r"#\d+$")
"""The suffix of files that the store is still writing."""
_NO_KEY = re.compile(r"[\x00-\x1f\x7f\udc80-\udcff]")
"""Characters that keys cannot have: control characters and bytes that are not UTF-8."""


def files(
    root: Path, prefix: str, *, skip: Callable[[str, str], None]
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield key and facts of each file below `prefix`.

    `skip` is called with the name and the reason for each one that cannot be an object.
    """
    yield from _walk(root / prefix, prefix, skip)


def _walk(
    folder: Path, prefix: str, skip: Callable[[str, str], None]
) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in listed:
        name = prefix + entry.name
        if _NO_KEY.search(entry.name):
            skip(name, "this name cannot be a key")
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{name}/", skip)
        elif not _UNFINISHED.search(entry.name):
            facts = _facts(entry, name, skip)
            if facts is not None:
                yield name, facts


def _facts(
    entry: os.DirEntry[str], name: str, skip: Callable[[str, str], None]
) -> os.stat_result | None:
    try:
        # A link could show any file of this machine to users who may see pictures.
        if entry.is_symlink():
            skip(name, "this is a link: copy the file itself")
            return None
        if not entry.is_file():
            skip(name, "this is not a file")
            return None
        return entry.stat()
    except FileNotFoundError:
        return None  # deleted since it was listed
    except OSError as error:
        skip(name, f"{error.strerror}")
        return None
