"""Batches over HTTP: opened under a name, named by uploads, filtered, searched and reviewed."""

from typing import Any

import httpx

import pictures
from legibly import object_keys, records


def open_batch(client: httpx.Client, name: str = "Scans", **more: str) -> dict[str, Any]:
    """A batch."""
    answer = client.post("/api/batches", json={"name": name, **more})
    assert answer.status_code == 201
    opened: dict[str, Any] = answer.json()
    return opened


def upload(client: httpx.Client, name: str, **fields: str) -> dict[str, Any]:
    """A picture of a batch, read."""
    answer = client.post("/api/images?wait=20", files={"file": (name, pictures.png())}, data=fields)
    assert answer.status_code == 200, answer.text
    image: dict[str, Any] = answer.json()
    return image


def ids(client: httpx.Client, **query: Any) -> list[str]:
    """The ids of a page of images."""
    return [image["id"] for image in client.get("/api/images", params=query).json()["images"]]


def test_images_of_a_batch_are_filtered_searched_and_counted(client: httpx.Client) -> None:
    """A batch keeps its name and knows its images; a part of a file's name finds one of them."""
    batch = open_batch(client, "Scans of Tuesday")
    images = [upload(client, f"scan-0{at}.png", batch=batch["id"]) for at in range(3)]
    upload(client, "other.png")
    assert set(ids(client, batch=batch["id"])) == {image["id"] for image in images}
    assert ids(client, search="SCAN-01") == [images[1]["id"]]
    by_name = ids(client, batch=batch["id"], sort="name")
    assert by_name == [image["id"] for image in images]
    page = client.get("/api/images", params={"batch": batch["id"], "sort": "name", "limit": 2})
    rest = ids(client, batch=batch["id"], sort="name", after=page.json()["next"])
    assert rest == [images[2]["id"]]
    counted = client.get(f"/api/batches/{batch['id']}").json()
    assert (counted["name"], counted["images"]) == ("Scans of Tuesday", 3)
    assert counted in client.get("/api/batches").json()["batches"]
    for path in (f"/batches/{batch['id']}", "/batches", "/history"):
        assert "Scans of Tuesday" in client.get(path).text


def test_a_batch_that_is_opened_again_is_the_same_one(client: httpx.Client) -> None:
    """A client that did not hear the answer asks again with the id that it chose."""
    identity = object_keys.new_id(records.now())
    first = open_batch(client, "once", id=identity)
    assert open_batch(client, "other name", id=identity) == first


def test_bad_batches_are_refused_by_name(client: httpx.Client) -> None:
    """No name, no id, an unknown batch, a confidence or an order that is none."""
    assert client.post("/api/batches", json={"name": " "}).status_code == 400
    assert client.post("/api/batches", json={"name": "x", "id": "7"}).status_code == 400
    assert client.get("/api/batches/unknown").status_code == 404
    assert client.get("/batches/unknown").status_code == 404
    sent = client.post("/api/images", files={"file": pictures.png()}, data={"batch": "unknown"})
    assert (sent.status_code, sent.json()["code"]) == (404, "not-found")
    assert client.get("/api/images?sort=size").status_code == 400
    assert client.get("/api/images?confidence_from=2").status_code == 400
    assert client.get("/history/download.csv?confidence_from=x").status_code == 400


def test_review_is_of_exactly_what_is_selected_or_filtered(client: httpx.Client) -> None:
    """By ids or by the query of History; what got a label since the review began is done."""
    batch = open_batch(client, "review")
    images = [upload(client, f"{at}.png", batch=batch["id"]) for at in range(3)]

    def queue(**body: Any) -> set[str]:
        page = client.post("/api/review/queue", json=body).json()
        assert page["total"] == len(page["queue"])
        assert {entry["reason"] for entry in page["queue"]} <= {"chosen"}
        return {entry["image"]["id"] for entry in page["queue"]}

    selected = [images[0]["id"], images[2]["id"]]
    assert queue(ids=selected) == set(selected)
    query = f"batch={batch['id']}&labelled=false"
    assert queue(query=query) == {image["id"] for image in images}
    begun = records.stamp(records.now())
    client.put(f"/api/review/{images[0]['id']}", json={"text": "7"})
    assert queue(ids=selected, begun=begun) == {images[2]["id"]}
    assert queue(query=query) == {image["id"] for image in images[1:]}
    assert queue(query=f"batch={batch['id']}") == {image["id"] for image in images}


def test_labels_come_from_a_csv_file_by_name_or_id(client: httpx.Client) -> None:
    """New ones are counted, the same, unknown names, labels that cannot be, and a name of several;
    another table is refused.
    """
    batch = open_batch(client, "csv")["id"]
    images = [upload(client, name, batch=batch) for name in ("c-1.png", "c-2.png", "c-2.png")]
    third = upload(client, "c-3.png", batch=batch)
    table = (
        f"id;file;label\n;c-1.png;7\n{third['id']};;∅\n;c-2.png;1\n;c-9.png;1\n"
        f"{images[1]['id']};;cat\n;c-4.png;\n"
    )

    def sent(text: str) -> httpx.Response:
        return client.post("/review/labels", files={"file": ("labels.csv", text.encode())})

    assert sent(table).json() == {"labelled": 2, "same": 0, "unknown": 1, "refused": 2}
    assert sent(table).json()["same"] == 2
    assert client.get(f"/api/images/{third['id']}").json()["label"]["nothing"] is True
    assert sent("a,b\n1,2\n").status_code == 400
