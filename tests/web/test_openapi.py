"""The OpenAPI document: valid, complete, and true of the responses."""

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
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


def test_operations_have_short_names(document: dict[str, Any]) -> None:
    """Generated clients call them `post_image`, not after their whole path; no two share one."""
    operations = [operation for methods in document["paths"].values() for operation in methods]
    names = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(names)) == len(operations)
    assert {"post_image", "get_images", "put_label", "get_accuracy", "get_model"} <= set(names)
    assert [name for name in names if "_api_" in name] == []


def test_a_generated_client_works(
    client: httpx.Client, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openapi-python-client writes a package from the document that uploads, labels and lists."""
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(document), encoding="utf-8")
    generator = Path(sys.executable).with_name("openapi-python-client")
    output = tmp_path / "legibly_api"
    command: list[str | Path] = [
        generator,
        "generate",
        "--path",
        described,
        "--meta",
        "none",
        "--output-path",
        output,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout
    assert "will not be generated" not in run.stdout
    monkeypatch.syspath_prepend(str(tmp_path))
    api = importlib.import_module("legibly_api")
    models = importlib.import_module("legibly_api.models")
    types = importlib.import_module("legibly_api.types")

    picture = types.File(payload=io.BytesIO(pictures.png()), file_name="seven.png")
    with api.Client(base_url=str(client.base_url)) as caller:

        def call(name: str, *values: object, **options: object) -> Any:
            module = importlib.import_module(f"legibly_api.api.images.{name}")
            return module.sync(*values, client=caller, **options)

        image = call("post_image", body=models.PostImageFilesBody(file=picture), wait=20)
        assert image.reading.items[0].box
        labelled = call("put_label", image.id, body=models.LabelBody(text="7"))
        assert labelled.label.text == "7"
        assert call("get_images", limit=1).images[0].id == image.id
        assert call("get_image", "nothing").status == 404
