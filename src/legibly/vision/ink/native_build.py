"""Compiles native.c into one library that any Python loads; runs when Legibly is installed.

It needs the standard library alone: `python native_build.py` does it by hand.
"""

import platform
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

SOURCE = Path(__file__).with_name("native.c")
LIBRARY = f"native.{sys.platform}-{platform.machine().lower()}.so"
"""The library for this system; another system's has another name, and is never loaded."""
# Sums keep their order, and no processor is assumed: the same bits everywhere.
_FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared", "-ffp-contract=off", "-fno-math-errno")


def checksum() -> int:
    """The checksum of the source, which the library repeats."""
    return zlib.crc32(SOURCE.read_bytes())


def build(folder: Path) -> Path | None:
    """Compile the library into a folder. None, and a line on standard error, if that fails."""
    compiler = shutil.which("cc")
    if compiler is None:
        _report("there is no C compiler (cc)")
        return None
    target = folder / LIBRARY
    fresh = target.with_suffix(".new")  # a running server has the old one loaded
    words = [compiler, *_FLAGS, f"-DCHECKSUM={checksum()}u", str(SOURCE), "-o", str(fresh)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        _report((done.stderr.strip().splitlines() or ["cc failed"])[0])
        return None
    fresh.replace(target)
    return target


def _report(reason: str) -> None:
    sys.stderr.write(f"legibly: no native kernels, {reason}; NumPy does the same, slower\n")


if __name__ == "__main__":
    sys.exit(build(SOURCE.parent) is None)
