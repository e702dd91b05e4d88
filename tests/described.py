"""Holds every response that a test sees against the OpenAPI document of its server."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema


@dataclass(frozen=True)
class Description:
    """An OpenAPI document, ready to check responses of `httpx` as one of its event hooks."""

    document: dict[str, Any]

    @classmethod
    def of(cls, url: str) -> "Description":
        """The document of the server at `url`."""
        return cls(httpx.get(f"{url}/openapi.json", timeout=30).json())

    def check(self, response: httpx.Response) -> None:
        """Raise AssertionError for a status or a body that the document does not describe.

        Pages and other paths that it does not name pass, and so do streams.
        """
        request = response.request
        operation = self._operation(request.method.lower(), request.url.path)
        if operation is None:
            return
        where = f"{request.method} {request.url.path}: {response.status_code}"
        described = operation["responses"].get(str(response.status_code))
        assert described is not None, f"{where} is not in the OpenAPI document"
        media_type = response.headers.get("content-type", "").partition(";")[0]
        content = described.get("content", {})
        if not media_type.endswith("json") or not content:
            return
        assert media_type in content, f"{where} with {media_type} is not in the OpenAPI document"
        response.read()
        schema = content[media_type].get("schema", {})
        # Without `jsonschema.validate`, which checks the schema itself each time.
        components = self.document["components"]
        validator = jsonschema.Draft202012Validator({**schema, "components": components})
        validator.validate(response.json())

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, methods in sorted(self.document["paths"].items(), key=_by_variables):
            pattern = re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template))
            if method in methods and re.fullmatch(pattern, path):
                operation: dict[str, Any] = methods[method]
                return operation
        return None


def _by_variables(entry: tuple[str, Any]) -> int:
    """Paths without variables first: `/api/images/bulk` is not an id."""
    return entry[0].count("{")
