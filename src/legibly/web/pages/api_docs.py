"""The API page: renders the OpenAPI document, without third-party scripts."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from legibly.web.pages.rendering import Pages

_METHODS = ("get", "post", "put", "patch", "delete")


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the route."""

    @routes.get("/docs")
    def reference(request: Request) -> Response:
        """Every operation by its tag."""
        document = request.app.openapi()
        base = str(request.base_url).rstrip("/")
        return pages.render(
            request, "docs.html", groups=groups(document, base), info=document["info"]
        )


def groups(document: dict[str, Any], base: str) -> dict[str, list[dict[str, Any]]]:
    """The operations of an OpenAPI document by their first tag, in the document's order."""
    operations: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = _operation(document, path, method, item[method], base)
                operations.setdefault((item[method].get("tags") or ["other"])[0], []).append(
                    operation
                )
    return operations


def _operation(
    document: dict[str, Any], path: str, method: str, operation_object: dict[str, Any], base: str
) -> dict[str, Any]:
    parameters = [
        {
            "name": entry["name"],
            "in": entry["in"],
            "required": entry.get("required", False),
            "type": _type(entry.get("schema", {})),
            "about": entry.get("description", ""),
        }
        for entry in operation_object.get("parameters", ())
    ]
    bodies = operation_object.get("requestBody", {}).get("content", {})
    example = (
        _example(document, bodies.get("application/json", {}).get("schema", {})) if bodies else None
    )
    return {
        "id": f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
        "method": method.upper(),
        "path": path,
        "about": operation_object.get("description", operation_object.get("summary", "")),
        "parameters": parameters,
        "bodies": list(bodies),
        "answers": [
            (status, answer.get("description", ""))
            for status, answer in operation_object.get("responses", {}).items()
        ],
        "curl": _curl(base + path, method, bodies, example),
    }


def _type(schema: dict[str, Any]) -> str:
    kinds = [schema.get("type"), *(entry.get("type") for entry in schema.get("anyOf", ()))]
    text = " or ".join(str(kind) for kind in kinds if kind and kind != "null")
    return (
        f"{text}, {schema['default']} by default"
        if schema.get("default") not in (None, "")
        else text
    )


def _example(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A body with each property's example, or the name of its type."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        schema = document["components"]["schemas"][name]
    properties = schema.get("properties", {})
    return {
        key: (value.get("examples") or [_type(value) or "…"])[0]
        for key, value in properties.items()
    }


def _curl(url: str, method: str, bodies: dict[str, Any], example: dict[str, Any] | None) -> str:
    words = ["curl"] + (["-X", method.upper()] if method not in ("get", "post") else [])
    if "multipart/form-data" in bodies:
        words += ["-F", "file=@seven.png"]
    elif bodies:
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(example)}'"]
    elif method == "post":
        words += ["-X", "POST"]
    return " ".join([*words, f'"{url}"'])
