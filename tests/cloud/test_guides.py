"""The guides: their commands exist, their settings too, and their figures are those of the price
table.
"""

import re
import shlex
from pathlib import Path

import click
import pytest

from legibly.cli.main import cli
from legibly.cloud import prices
from legibly.settings import Settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def blocks(name: str) -> list[str]:
    """The lines of a guide's shell blocks, comments taken off."""
    text = (GUIDES / name).read_text(encoding="utf-8")
    matches = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        re.sub(r"\s+# .*$", "", line) for block in matches for line in block.splitlines() if line
    ]


def commands() -> list[str]:
    return [
        line
        for name in ("aws.md", "s3-compatible.md")
        for line in blocks(name)
        if line.startswith("legibly ")
    ]


def test_the_guides_have_commands() -> None:
    """So that the tests below test something: deploy, status, redrive, open and destroy are all
    told of.
    """
    message = {" ".join(line.split()[:3]) for line in commands()}
    verbs = ("synth", "deploy", "status", "redrive", "open", "destroy")
    assert {f"legibly cloud {verb}" for verb in verbs} <= message


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_guides_is_one(line: str) -> None:
    """Each is understood with its options, as it stands there."""
    words = shlex.split(line)[1:]
    group: click.Command = cli
    context = click.Context(group)
    while isinstance(group, click.Group):
        matches = group.get_command(context, words[0])
        assert matches is not None, line
        group = matches
        words = words[1:]
    group.make_context(group.name, words)


def test_every_setting_of_the_guides_is_one() -> None:
    """No guide tells to set what nothing reads."""
    known = {f"LEGIBLY_{name.upper()}" for name in Settings.__dataclass_fields__}
    for name in ("aws.md", "s3-compatible.md"):
        used = set(re.findall(r"LEGIBLY_[A-Z_]+", (GUIDES / name).read_text(encoding="utf-8")))
        assert used <= known


def test_the_costs_in_the_guide_are_those_of_the_table() -> None:
    """The idle costs of `none` and `small`, to the cent."""
    text = (GUIDES / "aws.md").read_text(encoding="utf-8")
    sizes: tuple[prices.Size, ...] = ("none", "small")
    for size in sizes:
        lines = prices.estimate(size=size, classifier="function", pictures=0)
        assert f"{prices.total(lines):.2f}" in text


def test_the_costs_beside_other_services_are_those_of_the_table() -> None:
    """The comparison's rows of Legibly, to the cent."""
    page = (GUIDES.parent / "reference" / "compare-aws.md").read_text(encoding="utf-8")
    sizes: tuple[prices.Size, ...] = ("none", "small")
    for size in sizes:
        few, many = (
            prices.total(prices.estimate(size=size, classifier="function", pictures=pictures))
            for pictures in (10_000, 1_000_000)
        )
        assert f"`--size {size}` | {few:.2f} | {many:.2f} |" in page
