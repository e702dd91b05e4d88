"""Checks a card against `card.schema.json`, which other programs can use too.

Only implements the keywords that the schema uses; a test checks that.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ),
}
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, limit: value >= limit, "must be at least {}"),
    "maximum": (lambda value, limit: value <= limit, "must be at most {}"),
    "exclusiveMinimum": (lambda value, limit: value > limit, "must be above {}"),
    "minItems": (lambda value, limit: len(value) >= limit, "must have at least {} entries"),
    "maxItems": (lambda value, limit: len(value) <= limit, "must have at most {} entries"),
    "minLength": (lambda value, limit: len(value) >= limit, "must have at least {} characters"),
    "maxLength": (lambda value, limit: len(value) <= limit, "must have at most {} characters"),
    "pattern": (lambda value, limit: re.search(limit, value) is not None, "must match {}"),
}
_NUMERIC = {"minimum", "maximum", "exclusiveMinimum"}
_SIZED = {"minItems", "maxItems"}


@cache
def document() -> dict[str, Any]:
    """The JSON Schema of card format 2."""
    text = resources.files(__package__).joinpath("card.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def validate(value: Any, schema: Mapping[str, Any] | None = None, *, where: str = "") -> None:
    """Raises ValueError with the first key that violates the schema, and its allowed values."""
    schema = document() if schema is None else schema
    name = where or "the card"
    _check_kind(value, schema, name)
    for keyword, (holds, phrase) in _LIMITS.items():
        if keyword in schema and _applies(keyword, value) and not holds(value, schema[keyword]):
            raise ValueError(f"{name} {phrase.format(schema[keyword])}")
    if isinstance(value, Mapping):
        _check_object(value, schema, where)
    if isinstance(value, list) and "items" in schema:
        for number, entry in enumerate(value):
            validate(entry, schema["items"], where=f"{where}[{number}]")


def _check_kind(value: Any, schema: Mapping[str, Any], name: str) -> None:
    if "const" in schema and value != schema["const"]:
        raise ValueError(f"{name} is {value!r}, not {schema['const']!r}")
    if "enum" in schema and not any(
        value == entry and type(value) is type(entry) for entry in schema["enum"]
    ):
        choices = ", ".join(json.dumps(entry) for entry in schema["enum"])
        raise ValueError(f"{name} is {value!r}, known are {choices}")
    if "type" in schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_TYPES[kind](value) for kind in kinds):
            raise ValueError(f"{name} must be of type {' or '.join(kinds)}, not {value!r:.60}")


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> None:
    properties = schema.get("properties", {})
    prefix = f"{where}." if where else ""
    for key in schema.get("required", ()):
        if key not in value:
            raise ValueError(f"the card lacks '{prefix}{key}'")
    extra = schema.get("additionalProperties", True)
    for key, entry in value.items():
        if key in properties:
            validate(entry, properties[key], where=f"{prefix}{key}")
        elif extra is False:
            known = ", ".join(properties)
            raise ValueError(f"'{prefix}{key}' is no key of a card; known here are {known}")
        elif isinstance(extra, Mapping):
            validate(entry, extra, where=f"{prefix}{key}")


def _applies(keyword: str, value: Any) -> bool:
    if keyword in _NUMERIC:
        return isinstance(value, int | float)
    return isinstance(value, list) if keyword in _SIZED else isinstance(value, str)
