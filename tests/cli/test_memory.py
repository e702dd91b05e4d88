"""Memory that a server frees goes back to the system."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from pathlib import Path
from legibly.cli.serve import memory

def megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6

memory.limit_arenas()
blocks = [bytes(2000) for _ in range(50_000)]
blocks = blocks[::100]  # what stays keeps the heap at its size
before = megabytes()
memory.trim()
print(before - megabytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps freed memory like this")
def test_freed_memory_is_returned() -> None:
    """Of 100 MB that are freed but for a hundredth, most goes back to the system."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(result.stdout) > 60
