"""Reading without storing, and deletion with its undo, over the API."""

import base64

import httpx
import pytest

import pictures


def preview(client: httpx.Client, data: bytes, query: str = "") -> dict[str, object]:
    """The answer of the preview for a picture."""
    response = client.post(f"/api/preview{query}", files={"file": ("a.png", data)})
    response.raise_for_status()
    document: dict[str, object] = response.json()
    return document


def test_a_preview_reads_and_stores_nothing(client: httpx.Client) -> None:
    """The reading, the size and the inputs come back; no image, reading or file is left behind."""
    before = client.get("/api/images").json()["images"]
    document = preview(client, pictures.png())
    reading = document["reading"]
    assert isinstance(reading, dict)
    assert reading["verdict"]
    inputs = document["inputs"]
    assert isinstance(inputs, list)
    assert len(inputs) == len(reading["items"])
    for uri in inputs:
        assert base64.b64decode(uri.partition(",")[2]).startswith(b"\x89PNG")
    assert client.get("/api/images").json()["images"] == before


def test_a_preview_of_no_picture_is_refused(client: httpx.Client) -> None:
    """Bytes that are no picture get 415, an empty body 400 or 415, never 500."""
    for data in (b"hello", b""):
        response = client.post("/api/preview", files={"file": ("a.png", data)})
        assert response.status_code in (400, 415)


def test_a_deletion_holds_at_once_and_can_be_undone(client: httpx.Client) -> None:
    """After the answer the image is gone; the token brings it back once, with name and label."""
    files = {"file": ("seven.png", pictures.png())}
    image = client.post("/api/images?wait=10", files=files, data={"label": "7"}).json()
    answer = client.post("/history/delete", data={"ids": image["id"]}).json()
    assert answer["count"] == 1
    assert client.get(f"/api/images/{image['id']}").status_code == 404
    restored = client.post("/history/restore", data={"token": answer["undo"]}).json()["images"]
    assert [(entry["name"], entry["label"]["text"]) for entry in restored] == [("seven.png", "7")]
    assert client.get(f"/api/images/{restored[0]['id']}").status_code == 200
    again = client.post("/history/restore", data={"token": answer["undo"]})
    assert again.status_code == 404


@pytest.mark.parametrize("token", ["", "x", "../../etc"])
def test_an_unknown_token_restores_nothing(client: httpx.Client, token: str) -> None:
    """A wrong token is refused in one line."""
    response = client.post("/history/restore", data={"token": token})
    assert response.status_code in (400, 404, 422)
