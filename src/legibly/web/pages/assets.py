"""The pages' style sheets, modules and icons: read once, named by content, sent compressed."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_IMPORT = re.compile(r'^(?:import|\}) [^;]*?from "\./([\w.]+)";$', re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A file ready to send."""

    name: str
    data: bytes

    @property
    def media_type(self) -> str:
        return TYPES[Path(self.name).suffix]

    @cached_property
    def compressed(self) -> bytes:
        """The bytes, gzipped; always the same for the same content."""
        return gzip.compress(self.data, 9, mtime=0)


class Assets:
    """All assets under one version, the hash of their content. Files of a version never change."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = sorted(path for path in folder.iterdir() if path.suffix in TYPES)
        self._files = {path.name: Asset(path.name, path.read_bytes()) for path in files}
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(name.encode() + b"\0" + asset.data + b"\0")
        self.version = digest.hexdigest()[:12]

    def get(self, name: str) -> Asset | None:
        """A file by its name, or None."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """The URL of a file. Raises KeyError if it does not exist."""
        return f"/static/{self.version}/{self._files[name].name}"

    def modules(self, name: str) -> list[str]:
        """Where a module lies and all that it imports: a page names them, so that the browser
        fetches them at once instead of level by level.
        """
        names = [name]
        for entry in names:  # which grows meanwhile
            source = self._files[entry].data.decode()
            names += [other for other in _IMPORT.findall(source) if other not in names]
        return [self.url(entry) for entry in dict.fromkeys(names)]
