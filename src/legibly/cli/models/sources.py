"""Fetches the source of `legibly models add`: folder, file, zip, https:// or s3://."""

import os
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from legibly import errors
from legibly.packs import network
from legibly.store import open_store

MAX_BYTES = 4_000_000_000
MAX_ENTRIES = 200
MAX_RATIO = 200
"""Largest ratio of unpacked to compressed bytes in a zip; weights hardly shrink at all."""
TIMEOUT_SECONDS = 60.0
_BLOCK = 1 << 20


def fetch(source: str, workspace: Path) -> Path:
    """A local file or folder. Raises errors.NotFound, errors.Invalid and errors.Unavailable."""
    if source.startswith("https://"):
        path = _download(source, workspace)
    elif source.startswith("s3://"):
        path = _from_s3(source, workspace)
    elif "://" in source:
        remedy = "Use a path, https:// or s3://."
        raise errors.Invalid("packs cannot be fetched from there", where=source, remedy=remedy)
    else:
        path = Path(source).expanduser()
    if not path.exists():
        raise errors.NotFound("there is no such file or folder.", where=source)
    if path.suffix.lower() == ".zip":
        return unpack(path, workspace / "unpacked")
    return path


def _download(url: str, workspace: Path) -> Path:
    path = workspace / _last(url)
    request = urllib.request.Request(url)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            if not response.url.startswith("https://"):
                raise errors.Invalid("redirects to an address without TLS", where=url)
            with path.open("wb") as file:
                _copy(response, file, MAX_BYTES, where=url)
    except (OSError, urllib.error.URLError) as error:
        raise errors.Unavailable(f"cannot be fetched: {error}", where=url) from error
    return path


def _from_s3(url: str, workspace: Path) -> Path:
    parts = urlsplit(url)
    store = open_store(f"s3://{parts.netloc}", environ=os.environ)
    key = parts.path.strip("/")
    if key.endswith((".onnx", ".zip")):
        path = workspace / _last(url)
        path.write_bytes(store.read(key))
        return path
    folder = workspace / _last(url)
    folder.mkdir()
    for stat in store.list(f"{key}/"):
        name = stat.key.removeprefix(f"{key}/")
        if network.is_plain_name(name) and stat.size <= MAX_BYTES:
            (folder / name).write_bytes(store.read(stat.key))
    return folder


def unpack(path: Path, target: Path) -> Path:
    """Unpack a zip within limits; return the folder of its files. Raises errors.Invalid."""
    target.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            for entry in archive.infolist():
                if not entry.is_dir():
                    _extract(archive, entry, target)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise errors.Invalid(f"is not a readable zip: {error}", where=str(path)) from error
    entries = list(target.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else target


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise errors.Invalid(
            f"holds {len(entries)} files; {MAX_ENTRIES} are allowed", where=str(path)
        )
    if size > MAX_BYTES or size > MAX_RATIO * max(packed, 10_000):
        raise errors.Invalid(f"would unpack to {size} bytes: a zip bomb", where=str(path))
    for entry in entries:
        parts = entry.filename.rstrip("/").split("/")
        is_link = entry.external_attr >> 16 & 0o170000 == 0o120000
        if is_link or not all(network.is_plain_name(part) for part in parts):
            message = f"holds {entry.filename[:100]!r}: links, hidden files and paths are refused"
            raise errors.Invalid(message, where=str(path))


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    path = target / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, path.open("wb") as file:
        # The header may lie about the size.
        _copy(packed, file, entry.file_size, where=entry.filename)


def _copy(source: IO[bytes], target: IO[bytes], limit: int, *, where: str) -> None:
    count = 0
    while block := source.read(_BLOCK):
        count += len(block)
        if count > limit:
            raise errors.Invalid(f"is larger than {limit} bytes", where=where)
        target.write(block)


def _last(url: str) -> str:
    name = Path(unquote(urlsplit(url).path)).name
    if not network.is_plain_name(name):
        raise errors.Invalid("its last part is not a file name", where=url)
    return name
