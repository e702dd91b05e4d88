"""The pure modules of the pages do what `*.test.mjs` beside this file says."""

import shutil
import subprocess
from pathlib import Path

import pytest

import services


@pytest.mark.service("node")
def test_the_pure_modules_of_the_pages_pass_their_tests() -> None:
    """`node --test` passes for every module that imports nothing."""
    if shutil.which("node") is None:
        services.missing("node", "make test-all")
    files = sorted(map(str, Path(__file__).parent.glob("*.test.mjs")))
    assert files
    run = subprocess.run(["node", "--test", *files], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout
