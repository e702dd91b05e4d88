"""Cards of format 2: strict, described by a schema, and survived by what they say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from legibly import errors
from legibly.packs import card as cards
from legibly.packs import schema
from packs import networks

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "model-card.md"


def test_a_card_of_format_2_survives_its_file(tmp_path: Path) -> None:
    """Names, keys, words, preprocessing and calibration are read as they were written."""
    changes = {
        "classes": [{"id": "r", "name": "Red", "key": "r"}, {"id": "g"}, {"id": "b"}],
        "words": {"singular": "colour", "plural": "colours"},
        "prepare": {"resize": "longest_edge", "size": [9, 9], "fill": [1, 2, 3], "std": [0.5]},
        "calibration": {"method": "temperature", "data": "d", "at": "t", "figures": {"n": 1}},
    }
    folder = networks.write_pack(tmp_path, networks.colour_model(), **changes)
    card = cards.read_card(folder)
    assert (card.names, card.keys, card.is_calibrated) == ({"r": "Red"}, {"r": "r"}, True)
    cards.write_card(folder, card)
    assert cards.read_card(folder) == card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "rgb"}, "'colour' is no key of a card"),
        ({"input": {"height": 8, "width": 8, "channel": 3}}, "'input.channel' is no key"),
        ({"input": {"height": 0, "width": 8}}, "input.height must be at least 1"),
        ({"input": {"height": 8, "width": 8, "layout": "HWC"}}, "input.layout is 'HWC'"),
        ({"prepare": {"std": [0]}}, "prepare.std[0] must be above 0"),
        ({"prepare": {"mean": [0.5, 0.5]}}, "prepare.mean needs one number, or 3"),
        ({"prepare": {"colour": "grey"}}, "does not fit 3 channels"),
        ({"classes": [{"id": "a"}, {"id": "a"}]}, "classes must be different"),
        ({"output": {}}, "lacks 'output.kind'"),
        ({"temperature": float("nan")}, "temperature must be of type number"),
        ({"layout": "ink"}, "'prepare' is for the layout whole"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """An unknown key, a wrong type, a value out of range: the key and what it may be."""
    changes = {**changes, **({"prepare": {"scale": 1}} if changes.get("layout") == "ink" else {})}
    folder = networks.write_pack(tmp_path, networks.colour_model(), **changes)
    with pytest.raises(errors.Invalid, match=re.escape(message)):
        cards.read_card(folder)


def test_the_reference_names_every_key() -> None:
    """docs/reference/model-card.md has each key of the schema, and its example is a card."""
    text = REFERENCE.read_text(encoding="utf-8")
    properties = schema.document()["properties"]
    names = set(properties) | set(properties["prepare"]["properties"])
    assert not [name for name in sorted(names) if f"`{name}`" not in text]
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example
    assert cards.Card.from_json(json.loads(example[1])).remote


def test_the_schema_uses_only_keywords_that_are_checked() -> None:
    """A keyword that our own validator does not know would promise more than it holds."""
    known = {
        "$schema", "title", "description", "type", "required", "additionalProperties", "const",
        "properties", "enum", "items", *schema._LIMITS,
    }  # fmt: skip

    def check(part: Any, *, is_schema: bool) -> None:
        if isinstance(part, dict):
            if is_schema:
                assert set(part) <= known, set(part) - known
            for key, value in part.items():
                check(value, is_schema=key in ("items", "additionalProperties") or not is_schema)

    check(schema.document(), is_schema=True)
