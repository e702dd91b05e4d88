"""Identifiers are nouns and verbs of the field, and a statement does one thing: see
docs/glossary.md.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LIMITS = Path(__file__).with_name("language_limits.json")
"""Counts a folder that may only fall; a folder that is not named has to have none."""


@pytest.fixture(scope="module")
def code_shape() -> Any:
    """The script that measures, as a module."""
    spec = importlib.util.spec_from_file_location(
        "code_shape", ROOT / "benchmarks" / "code_shape.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["code_shape"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["banned", "parallel"])
def test_no_folder_has_more_banned_names_or_parallel_assignments_than_before(
    code_shape: Any, kind: str
) -> None:
    """Banned names and parallel assignments a folder stay within the limits, which only fall."""
    _, shapes = code_shape.measure()
    limits = json.loads(LIMITS.read_text(encoding="utf-8"))
    excess = {
        package: (row[kind], limits.get(package, {}).get(kind, 0))
        for package, row in code_shape.by_package(shapes).items()
        if row[kind] > limits.get(package, {}).get(kind, 0)
    }
    assert not excess, f"(count, limit) of {kind}; see `benchmarks/code_shape.py --worst`"


@pytest.mark.parametrize(
    ("name", "banned"),
    [
        ("found", True),
        ("_told", True),
        ("by_whom", True),
        ("BigRoom", True),
        ("foundation", False),
        ("classroom", False),
        ("someone", False),
        ("principal", False),
    ],
)
def test_the_ban_list_is_about_complete_words(code_shape: Any, name: str, banned: bool) -> None:
    """A part between underscores or capitals is compared, not a run of letters inside a word."""
    assert code_shape.is_banned(name) is banned
