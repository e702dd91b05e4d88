"""Creates files of a folder store completely or not at all, in five system calls.

The file has no name until its bytes are written, so no reader sees a partial file and a crash
leaves nothing behind. Without support for unnamed files, the store uses its general method.
"""

import errno
import os
import re
from pathlib import Path

_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_=-]*(?:[./][A-Za-z0-9_=-]+)*")
"""Keys that equal their path, as all our own keys do."""
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.EXDEV, errno.EPERM}
_UNNAMED = getattr(os, "O_TMPFILE", 0)


def create(root: Path, key: str, data: bytes) -> bool | None:
    """Create a file at `key` below `root`; False if it exists.

    None means that this method is unsupported, and nothing was written. Raises OSError.
    """
    if not _UNNAMED or _PLAIN_KEY.fullmatch(key) is None:
        return None
    path = f"{root}/{key}"
    try:
        unnamed = _open_unnamed(root, key.rpartition("/")[0])
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    try:
        _write(unnamed, data)
        # The folder descriptor is ignored for absolute paths; giving one makes Python use linkat.
        os.link(f"/proc/self/fd/{unnamed}", path, src_dir_fd=unnamed, follow_symlinks=True)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED or error.errno == errno.ENOENT:  # there is no /proc
            return None
        raise
    finally:
        os.close(unnamed)
    return True


def _open_unnamed(root: Path, folder: str) -> int:
    flags = _UNNAMED | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(f"{root}/{folder}", flags, 0o666)
    except FileNotFoundError:
        path = root  # never created: a volume may be mounted there again
        for name in filter(None, folder.split("/")):
            path = path / name
            path.mkdir(exist_ok=True)
        return os.open(path, flags, 0o666)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
