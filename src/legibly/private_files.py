"""Creates folders and files that other users of the machine cannot read."""

from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and missing parents for this user alone; keep old ones. Raises OSError."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # raises if it is a file


def make_file(path: Path) -> None:
    """Make an empty file for this user alone; an existing one stays as it is. Raises OSError."""
    path.touch(mode=0o600)
