"""The templates and AWS's resource schemas, as the cfn-lint package carries them."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
TEMPLATES = ("legibly.yaml", "accuracy.yaml")


@functools.cache
def template(name: str) -> dict[str, Any]:
    """One template, its short forms (`!Ref`) written out."""
    decode = pytest.importorskip(
        "cfnlint.decode", reason="cfn-lint is not installed; `make test-all` brings it"
    )
    document, findings = decode.decode(str(DEPLOY / name))
    assert not findings
    return dict(document)


def resources(name: str) -> dict[str, dict[str, Any]]:
    """The resources of a template by their logical names."""
    return dict(template(name)["Resources"])


@functools.cache
def resource_types() -> frozenset[str]:
    """Every resource type that a template names."""
    return frozenset(
        str(resource["Type"]) for name in TEMPLATES for resource in resources(name).values()
    )


@functools.cache
def schemas() -> dict[str, dict[str, Any]]:
    """AWS's schema of each resource type of the templates."""
    package = pytest.importorskip("cfnlint")
    folder = Path(package.__file__).parent / "data" / "schemas" / "resources"
    types = resource_types()
    documents: dict[str, dict[str, Any]] = {}
    for path in folder.glob("*.json"):
        content = path.read_text(encoding="utf-8")
        if types.intersection(re.findall(r'"typeName": ?"([^"]+)"', content)):
            document = json.loads(content)
            documents[str(document.get("typeName"))] = document
    return documents


def handler_calls(resource_type: str) -> set[str]:
    """What CloudFormation calls to create, read, update and delete resources of this type."""
    handlers = schemas()[resource_type].get("handlers", {})
    return {
        permission
        for name, handler in handlers.items()
        if name != "list"
        for permission in handler.get("permissions", [])
    }
