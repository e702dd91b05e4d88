"""Forms over HTTP: made, read, stored under names, with values that are images."""

import json

import httpx
import pytest
from PIL import Image, ImageDraw

import pictures


def sheet() -> Image.Image:
    """An empty form with three boxes."""
    image = Image.new("L", (1000, 700), 255)
    for left in (100, 400, 700):
        ImageDraw.Draw(image).rectangle((left, 300, left + 160, 460), outline=0, width=3)
    return image


def scan() -> bytes:
    """The form with a 7 in its second box, in another size."""
    filled = sheet()
    filled.paste(pictures.drawing().resize((130, 130)), (415, 315))
    return pictures.encoded(filled.resize((1200, 840)))


@pytest.fixture
def form(client: httpx.Client) -> dict[str, object]:
    """The form of the sheet."""
    files = {"file": ("empty.png", pictures.encoded(sheet()))}
    return dict(client.post("/api/forms?pictures=true", files=files).json())


def test_forms_are_made_and_read_over_http(client: httpx.Client, form: dict[str, object]) -> None:
    """A scan's boxes become a form, which is read from another scan of it; nothing is stored."""
    assert json.dumps(form).count('"cells": 1') == 3
    fields = {"form": json.dumps(form)}
    (page,) = client.post("/api/forms/read", files={"file": ("a.png", scan())}, data=fields).json()[
        "pages"
    ]
    values = {name: (value["text"], value["verdict"]) for name, value in page["fields"].items()}
    assert values == {"field_1": ("", "blank"), "field_2": ("7", "read"), "field_3": ("", "blank")}
    answer = client.post(
        "/api/forms/read?pictures=true", files={"file": ("a.png", scan())}, data=fields
    ).json()
    picture = answer["pages"][0]["fields"]["field_2"]["picture"]
    assert picture.startswith("data:image/png;base64,")
    other = client.post(
        "/api/forms/read", files={"file": ("b.png", pictures.png())}, data=fields
    ).json()
    assert "form was not found" in other["pages"][0]["error"]
    for body in ({}, {"form": "{"}, {"form": '{"format": 1}'}, {"form": "[]"}):
        answer = client.post("/api/forms/read", files={"file": ("a.png", scan())}, data=body)
        assert answer.status_code == 400, answer.text
    assert client.post("/api/forms", content=scan()).status_code == 400


def read(client: httpx.Client, name: str, key: str = "once") -> dict[str, object]:
    """Read the scan with a stored form."""
    files = {"file": ("a.png", scan())}
    headers = {"Idempotency-Key": key}
    response = client.post(f"/api/forms/{name}/read", files=files, headers=headers)
    assert response.status_code == 200, response.text
    (page,) = response.json()["pages"]
    return dict(page)


def test_forms_are_stored_under_names(client: httpx.Client, form: dict[str, object]) -> None:
    """A form is created once, changed only from its newest version, listed, and deleted."""
    path = "/api/forms/Zähler 1"
    created = client.put(path, json=form)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert client.put(path, json=form).status_code == 409
    shorter = {**form, "fields": form["fields"][:2]}  # type: ignore[index]
    first = {"If-Match": '"1"'}
    assert client.put(path, json=shorter, headers=first).headers["etag"] == '"2"'
    assert client.put(path, json=form, headers=first).status_code == 409
    stored = client.get(path).json()
    assert len(stored["fields"]) == 2
    assert stored["picture"] == form["picture"]
    listed = client.get("/api/forms").json()["forms"]
    assert listed == [{"name": "Zähler 1", "version": 2, "fields": 2}]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get("/api/forms").json() == {"forms": []}


@pytest.mark.parametrize(
    ("name", "change", "headers"),
    [
        ("x" * 81, {}, {}),
        ("a", {"picture": "data:text/html;base64,AAAA"}, {}),
        ("a", {"fields": []}, {}),
        ("a", {}, {"If-Match": "new"}),
    ],
)
def test_bad_forms_are_refused(
    client: httpx.Client,
    form: dict[str, object],
    name: str,
    change: dict[str, object],
    headers: dict[str, str],
) -> None:
    """A long name, another kind of picture, no fields, an ETag of something else: 400."""
    response = client.put(f"/api/forms/{name}", json={**form, **change}, headers=headers)
    assert response.status_code == 400, response.text


def test_values_of_scans_are_images(client: httpx.Client, form: dict[str, object]) -> None:
    """Each field of a scan is an image with a reading, once per request, which a label corrects;
    another scan of the same name is another page.
    """
    client.put("/api/forms/meters", json=form)
    page = read(client, "meters")
    assert read(client, "meters") == page
    value = page["fields"]["field_2"]  # type: ignore[index]
    assert (value["text"], value["verdict"], value["truth"]) == ("7", "read", None)
    image = client.get(f"/api/images/{value['image']}").json()
    assert (image["name"], image["reading"]["text"]) == ("a.png [field_2]", "7")
    batch = client.get("/api/forms/meters").json()["batch"]
    query = {"batch": batch, "search": "[field_2]"}
    assert [entry["id"] for entry in client.get("/api/images", params=query).json()["images"]] == [
        image["id"]
    ]
    assert client.put(f"/api/images/{image['id']}/label", json={"text": "1"}).status_code == 200
    assert read(client, "meters", key="again")["source"] == "a.png (2)"
    newest, oldest = client.get("/api/forms/meters/values").json()["pages"]
    assert (newest["source"], oldest["source"]) == ("a.png (2)", "a.png")
    assert oldest["fields"]["field_2"]["truth"] == "1"
    assert set(newest["fields"]) == {"field_1", "field_2", "field_3"}
    client.delete("/api/forms/meters")
    assert client.get(f"/api/images/{image['id']}").status_code == 200
