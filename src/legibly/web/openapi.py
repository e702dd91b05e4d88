"""The OpenAPI document: that of FastAPI plus the possible problem responses."""

from typing import Any

from fastapi import FastAPI

from legibly.web.api import documents
from legibly.web.errors import TITLES
from legibly.web.security import authentication

_EVERYWHERE = (400, 401, 403, 429, 500, 503)
_UPLOADS = (408, 409, 413, 415, 422)
_REFERENCE = "#/components/schemas/Problem"
_METHODS = ("get", "post", "put", "delete", "patch")


def install(app: FastAPI) -> None:
    """Add problem responses to the application's document."""
    derived = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(derived())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # such a 422 is never sent
        schemas.pop(name, None)
    schemas["Problem"] = documents.Problem.model_json_schema()
    _move_definitions(document["paths"], schemas)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        for method in set(_METHODS) & set(methods):
            _describe(methods[method], method, path)
    return document


def _move_definitions(part: Any, schemas: dict[str, Any]) -> None:
    """Move a schema's own definitions to the place that its references name."""
    if isinstance(part, dict):
        schemas.update(part.pop("$defs", {}))
    for value in part.values() if isinstance(part, dict) else part:
        if isinstance(value, dict | list):
            _move_definitions(value, schemas)


def _describe(operation: dict[str, Any], method: str, path: str) -> None:
    """Add the problem responses and the scope of an operation."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _problems(method, path):
        content = {"application/problem+json": {"schema": {"$ref": _REFERENCE}}}
        responses[str(status)] = {"description": TITLES[status], "content": content}
    if path == "/healthz":
        return
    if not authentication.is_public(path):
        scope = authentication.required_scope(method.upper(), path)
        operation["security"] = [{"token": [scope]}, {}]


def _problems(method: str, path: str) -> list[int]:
    if path == "/healthz":
        return []
    problems = {*_EVERYWHERE, 405}
    if "{" in path:
        problems |= {404, 409}
    if method in ("post", "put"):
        problems |= {404, *_UPLOADS}
    return sorted(problems)
