"""Reading without storing, and deletion with its undo, over the API."""

import base64
import json

import httpx
import pytest
from PIL import Image, ImageDraw

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


def test_forms_are_made_and_read_over_http(client: httpx.Client) -> None:
    """A scan's boxes become a form, which is read from another scan of it; nothing is stored."""
    sheet = Image.new("L", (1000, 700), 255)
    draw = ImageDraw.Draw(sheet)
    for left in (100, 400, 700):
        draw.rectangle((left, 300, left + 160, 460), outline=0, width=3)
    form = client.post("/api/forms", files={"file": ("empty.png", pictures.encoded(sheet))}).json()
    assert [field["cells"] for field in form["fields"]] == [1, 1, 1]
    sheet.paste(pictures.drawing().resize((130, 130)), (415, 315))
    scan = pictures.encoded(sheet.resize((1200, 840)))
    fields = {"form": json.dumps(form)}
    (page,) = client.post("/api/forms/read", files={"file": ("a.png", scan)}, data=fields).json()[
        "pages"
    ]
    values = {name: (value["text"], value["verdict"]) for name, value in page["fields"].items()}
    assert values == {"field_1": ("", "blank"), "field_2": ("7", "read"), "field_3": ("", "blank")}
    answer = client.post(
        "/api/forms/read?pictures=true", files={"file": ("a.png", scan)}, data=fields
    ).json()
    picture = answer["pages"][0]["fields"]["field_2"]["picture"]
    assert picture.startswith("data:image/png;base64,")
    other = client.post(
        "/api/forms/read", files={"file": ("b.png", pictures.png())}, data=fields
    ).json()
    assert "form was not found" in other["pages"][0]["error"]
    for body in ({}, {"form": "{"}, {"form": '{"format": 1}'}, {"form": "[]"}):
        answer = client.post("/api/forms/read", files={"file": ("a.png", scan)}, data=body)
        assert answer.status_code == 400, answer.text
    assert client.post("/api/forms", content=scan).status_code == 400
