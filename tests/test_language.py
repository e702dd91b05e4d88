"""Identifiers are nouns and verbs of the field, and a statement does one thing: see
docs/glossary.md.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


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
def test_no_folder_has_banned_names_or_parallel_assignments(code_shape: Any, kind: str) -> None:
    """Names are nouns and verbs of the field, and a statement assigns one thing."""
    _, shapes = code_shape.measure()
    rows = code_shape.by_package(shapes).items()
    excess = {package: row[kind] for package, row in rows if row[kind]}
    assert not excess, f"{kind}; see `benchmarks/code_shape.py --worst`"


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
