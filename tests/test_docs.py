"""The documentation: links lead somewhere, commands exist, settings are complete."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from legibly.cli.main import cli
from legibly.settings import Settings

ROOT = Path(__file__).parents[1]
TOP_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = sorted([*TOP_PAGES, *(ROOT / "docs").rglob("*.md")])


def commands(page: Path) -> list[str]:
    """The `legibly` commands of a page's blocks, without comments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*$", "", line) for block in blocks for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    return [line for line in lines if re.match(r"legibly [a-z]", line) and "…" not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder of the repository."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    """Every `legibly` command of a page is understood as written."""
    for line in commands(page):
        words = shlex.split(line)[1:]
        group: click.Command = cli
        context = click.Context(group)
        while isinstance(group, click.Group):
            command = group.get_command(context, words[0])
            assert command is not None, line
            group = command
            words = words[1:]
        try:
            group.make_context(group.name, words)
        except click.BadParameter as error:  # the reader's own files are not here
            if "does not exist" not in error.message:
                raise


def test_the_reference_lists_every_setting_with_its_default() -> None:
    """Name, default and meaning in the table are those of the program."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for field in fields(Settings):
        default = f"`{field.default}`" if field.default != "" else "none"
        meaning = field.metadata["meaning"]
        assert f"| `LEGIBLY_{field.name.upper()}` | {default} | {meaning} |" in text


def test_the_index_names_every_page() -> None:
    """A reader who starts at docs/index.md reaches every guide, tutorial and reference."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for folder in ("guides", "tutorial", "reference"):
        for page in (ROOT / "docs" / folder).glob("*.md"):
            assert f"({folder}/{page.name})" in index


@pytest.mark.parametrize(("page", "count"), [("guarantees.md", 20), ("guides/aws.md", 12)])
def test_each_test_that_a_page_names_exists(page: str, count: int) -> None:
    """Every row of the tables of promises has its file and its function."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) >= count
    for path, function in named:
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), function
