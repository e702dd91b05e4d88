"""The OpenAPI document: valid, complete, and true of the responses."""

from typing import Any

import httpx
import jsonschema
import openapi_spec_validator
import pytest

import pictures


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    """The document of a running server."""
    described: dict[str, Any] = client.get("/openapi.json").json()
    return described


def test_the_document_is_valid_and_knows_no_response_that_is_never_sent(
    document: dict[str, Any],
) -> None:
    """OpenAPI 3.1; every success and every problem has content, and no 422 of FastAPI's kind."""
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            success = [code for code in operation["responses"] if code.startswith("2")]
            assert success, (method, path)
            assert {code for code in operation["responses"] if code[0] in "45"} or (
                path == "/healthz"
            )


def test_responses_are_what_the_document_says(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    """Uploads, pages, labels, reports and problems validate against their schemas."""
    image = client.post("/api/images?wait=20", files={"file": pictures.png()})
    identity = image.json()["id"]
    answers = [
        ("post", "/api/images", image),
        ("get", "/api/images", client.get("/api/images")),
        ("get", "/api/images/{image_id}", client.get(f"/api/images/{identity}")),
        ("get", "/api/images/{image_id}", client.get("/api/images/x")),
        (
            "put",
            "/api/images/{image_id}/label",
            client.put(f"/api/images/{identity}/label", json={"text": "", "nothing": True}),
        ),
        (
            "put",
            "/api/images/{image_id}/label",
            client.put(f"/api/images/{identity}/label", json={"text": "hello 7x"}),
        ),
        ("get", "/api/images", client.get("/api/images?limit=0")),
        ("get", "/api/accuracy", client.get("/api/accuracy")),
        ("post", "/api/preview", client.post("/api/preview", files={"file": pictures.png()})),
        ("get", "/healthz", client.get("/healthz")),
        ("get", "/readyz", client.get("/readyz")),
    ]
    for method, path, answer in answers:
        response = document["paths"][path][method]["responses"][str(answer.status_code)]
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = {**response["content"][media_type]["schema"], "components": document["components"]}
        jsonschema.validate(answer.json(), schema)
