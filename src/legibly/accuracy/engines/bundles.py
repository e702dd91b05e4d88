"""Bundles many small files of JSON lines into a few large local ones; lines keep their key.

Engines open files one by one, at a cost for each; fetching them in parallel and reading a bundle is
many times faster.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from legibly.accuracy.engines import reference
from legibly.errors import NotFound
from legibly.store import Store

KEY = "_key"
"""The field added to each line."""
_BUNDLE_FILES = 5000
_THREADS = 32
_THREAD_FILES = 20


def write(store: Store, keys: Sequence[str], folder: Path) -> dict[str, Sequence[str]]:
    """Fetch objects, write bundles into a folder, return the keys in each bundle by its path."""
    keys_of_bundle: dict[str, Sequence[str]] = {}
    for start in range(0, len(keys), _BUNDLE_FILES):
        part = keys[start : start + _BUNDLE_FILES]
        path = folder / f"bundle-{len(keys_of_bundle)}.jsonl"
        with path.open("wb") as file:
            for key, content in fetched(store, part):
                file.writelines(_marked(key, content))
        keys_of_bundle[str(path)] = part
    return keys_of_bundle


def flawed(store: Store, keys: Sequence[str]) -> Iterator[str]:
    """Return the keys of the objects that hold a malformed line."""
    for key, content in fetched(store, keys):
        lines = content.decode("utf-8", errors="replace").split("\n")
        if any(row.predicted is None for row in reference.rows_of_lines(lines)):
            yield key


def fetched(store: Store, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield objects in order, fetched in parallel; skip those deleted in the meantime.

    Each task fetches several, since starting a task costs as much as fetching a file.
    """
    parts = [keys[start : start + _THREAD_FILES] for start in range(0, len(keys), _THREAD_FILES)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for contents in pool.map(lambda part: list(_present(store, part)), parts):
            yield from contents


def _present(store: Store, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for key in keys:
        with contextlib.suppress(NotFound):
            yield key, store.read(key)


def _marked(key: str, content: bytes) -> Iterator[bytes]:
    """Add the key as first field to each line with text; only the key if it is no object."""
    start = f'{{"{KEY}":{json.dumps(key)}'.encode()
    for line in content.split(b"\n"):
        bare = line.strip(b" \t\r")
        if bare[:1] == b"{":
            yield start + b"," + bare[1:] + b"\n"
        elif bare:
            yield start + b"}\n"
