"""The HTTP contract, over a real socket."""

import io
import json
import re
import threading
import time
from typing import Any

import httpx
import pytest
from PIL import Image

import pictures
from server import Server


def upload(
    client: httpx.Client, data: bytes, *, wait: int = 20, name: str = "digit.png", **fields: str
) -> dict[str, Any]:
    """Upload a picture and give its image once it is read."""
    response = client.post(f"/api/images?wait={wait}", files={"file": (name, data)}, data=fields)
    assert response.status_code == 200, response.text
    image: dict[str, Any] = response.json()
    return image


def text(image: dict[str, Any]) -> str:
    return str(image["reading"]["text"])


def test_an_upload_is_answered_with_its_reading(client: httpx.Client) -> None:
    """A form and a bare body both end in the image of the contract, with one item that fits its
    box.
    """
    formed = upload(client, pictures.png())
    bare = client.post(
        "/api/images?wait=20", content=pictures.png(), headers={"Content-Type": "image/png"}
    ).json()
    for image in (formed, bare):
        assert image["state"] == "read"
        assert (image["width"], image["height"], image["media_type"]) == (280, 280, "image/png")
        (item,) = image["reading"]["items"]
        assert image["reading"]["text"] == item["label"] == "7"
        assert abs(sum(item["probabilities"].values()) - 1) < 1e-3
        left, top, width, height = item["box"]
        assert 40 <= left <= 62
        assert 40 <= top <= 62
        assert 190 <= left + width <= 225
        assert 225 <= top + height <= 250


def test_without_waiting_it_is_accepted_and_read_later(client: httpx.Client) -> None:
    """202 with the place of the image, where the reading stands soon after."""
    response = client.post("/api/images", files={"file": pictures.png()})
    assert response.status_code == 202
    assert response.json()["state"] in ("pending", "read")
    place = response.headers["location"]
    deadline = time.monotonic() + 20
    while client.get(place).json()["state"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert text(client.get(place).json()) == "7"


def test_a_predicted_zero_is_shown(client: httpx.Client) -> None:
    """0 is an answer, not the absence of one: in the reading, in a filter, and on the page."""
    image = upload(client, pictures.png(pictures.ZERO))
    assert text(image) == "0"
    matches = client.get("/api/images", params={"text": "0"}).json()["images"]
    assert image["id"] in [entry["id"] for entry in matches]


def test_two_uploads_of_one_name_stay_two(client: httpx.Client) -> None:
    """The name of a file is never its key."""
    first = upload(client, pictures.png(), name="digit.png")
    second = upload(client, pictures.png(pictures.ZERO), name="digit.png")
    assert first["id"] != second["id"]
    assert client.get(f"/api/images/{first['id']}/original").content == pictures.png()
    assert client.get(f"/api/images/{second['id']}/original").content == pictures.png(pictures.ZERO)


@pytest.mark.parametrize(
    "name",
    ["with space+plus.png", "ünï çödé 数字.png", "../../etc/passwd", "a\\b:c?.png", "<b>.png"],
)
def test_any_name_is_kept_as_a_name(client: httpx.Client, server: Server, name: str) -> None:
    """Odd names come back as they were (a form's own escapes apart), and nothing is written outside
    the store.
    """
    image = upload(client, pictures.png(), name=name)
    assert image["name"] == name
    assert text(image) == "7"
    outside = [
        path
        for path in server.folder.rglob("*.png")
        if server.objects / "images" not in path.parents
    ]
    assert outside == []
    assert len(list(server.objects.rglob(f"{image['id']}.png"))) == 1


def test_a_dim_grey_photo_reads_like_a_clean_crop(client: httpx.Client) -> None:
    """Dark ink on shadowed grey paper, and white ink on black, read the same."""
    white_on_black = pictures.encoded(Image.eval(pictures.drawing(), lambda value: 255 - value))
    assert text(upload(client, pictures.grey_photo())) == "7"
    assert text(upload(client, white_on_black)) == "7"


def test_a_label_makes_a_pair_and_moves_the_accuracy(client: httpx.Client) -> None:
    """Confirming, correcting and taking back a label each show in the accuracy at once."""
    image = upload(client, pictures.png())
    pairs, right = counted(client)

    def put(label: str | None) -> tuple[int, int]:
        response = client.put(f"/api/images/{image['id']}/label", json={"text": label})
        assert response.status_code == 200
        return counted(client)

    assert put("7") == (pairs + 1, right + 1)
    assert put(" 1 ") == (pairs + 1, right)
    assert client.get(f"/api/images/{image['id']}").json()["label"]["text"] == "1"
    assert put(None) == (pairs, right)
    assert client.get(f"/api/images/{image['id']}").json()["label"] is None


def counted(client: httpx.Client) -> tuple[int, int]:
    """Pairs so far, and how many of them are right."""
    report = client.get("/api/accuracy").json()
    return report["pairs"], round(report["pairs"] * (report["accuracy"]["value"] or 0))


def test_a_label_at_upload_counts_when_the_reading_is_there(client: httpx.Client) -> None:
    """Who knows the truth beforehand sends it along; the pair says so."""
    pairs, right = counted(client)
    upload(client, pictures.png(), label="7", writer="Ada")
    assert counted(client) == (pairs + 1, right + 1)
    assert "at_upload" in [
        source["source"] for source in client.get("/api/accuracy").json()["by_source"]
    ]


def test_what_the_model_saw_can_be_looked_at(client: httpx.Client) -> None:
    """The input is a 28×28 greyscale picture, dark ink on white; an item that is not there is not
    found.
    """
    image = upload(client, pictures.png())
    response = client.get(f"/api/images/{image['id']}/items/0/input.png")
    known = Image.open(io.BytesIO(response.content))
    assert (known.size, known.mode, known.getpixel((0, 0))) == ((28, 28), "L", 255)
    assert client.get(f"/api/images/{image['id']}/items/1/input.png").status_code == 404


def test_pages_follow_each_other(client: httpx.Client) -> None:
    """`next` leads through all images once, newest first, and is null at the end."""
    ids = [upload(client, pictures.png(), writer="pager")["id"] for _ in range(5)]
    known = []
    cursor = ""
    while cursor is not None:
        page = client.get(
            "/api/images",
            params={"limit": 2, "writer": "pager", **({"after": cursor} if cursor else {})},
        ).json()
        known += [image["id"] for image in page["images"]]
        cursor = page["next"]
    assert known == ids[::-1]


def test_deleting_leaves_nothing(client: httpx.Client, server: Server) -> None:
    """Picture, reading, label and pair are gone from API and store; a tombstone alone names the
    id.
    """
    pairs, _ = counted(client)
    image = upload(client, pictures.png(), label="7", writer="Ada")
    assert client.delete(f"/api/images/{image['id']}").status_code == 204
    assert client.get(f"/api/images/{image['id']}").status_code == 404
    assert counted(client)[0] == pairs
    left = [path.parent.parent.name for path in server.objects.rglob(f"*{image['id']}*")]
    assert left == ["deletions"]


def test_live_tells_of_readings_and_labels(client: httpx.Client, server: Server) -> None:
    """A listener hears of a new reading and of its label, in order, and can go on where it left
    off.
    """
    heard: list[dict[str, Any]] = []
    numbers: list[str] = []
    listening = threading.Event()
    hearing = threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{server.url}/api/live", timeout=20) as stream:
            for line in stream.iter_lines():
                listening.set()
                if line.startswith("id: "):
                    numbers.append(line[4:])
                if line.startswith("data: "):
                    heard.append(json.loads(line[6:]))
                    hearing.set()
                    if len(heard) == 2:
                        return

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(10)
    image = upload(client, pictures.png())
    assert hearing.wait(10)  # two changes within a moment may be told as one
    client.put(f"/api/images/{image['id']}/label", json={"text": "7"})
    thread.join(20)
    assert [entry["label"] and entry["label"]["text"] for entry in heard] == [None, "7"]
    with httpx.stream(
        "GET", f"{server.url}/api/live", headers={"Last-Event-ID": numbers[0]}, timeout=20
    ) as again:
        first = next(line for line in again.iter_lines() if line.startswith("data: "))
    assert json.loads(first[6:])["id"] == image["id"]


@pytest.mark.parametrize("after", ["99999999999999999", "", "x", "-1"])
def test_live_begins_with_its_response(client: httpx.Client, server: Server, after: str) -> None:
    """Whoever sees the stream open hears of what comes next, also with a number that an index
    before this one gave.
    """
    url = f"{server.url}/api/live?after={after}"
    image = upload(client, pictures.png())
    with httpx.stream("GET", url, timeout=20) as stream:
        assert stream.status_code == 200
        client.delete(f"/api/images/{image['id']}")
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert json.loads(data[6:]) == {"id": image["id"]}


def test_a_page_follows_from_the_moment_it_was_made(client: httpx.Client, server: Server) -> None:
    """What changes between the page and its stream comes with the stream."""
    number = re.search(r'data-sequence="(\d+)"', client.get("/history").text)
    assert number is not None
    image = upload(client, pictures.png())
    url = f"{server.url}/api/live?after={number[1]}"
    with httpx.stream("GET", url, timeout=20) as stream:
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert json.loads(data[6:])["id"] == image["id"]


def test_a_picture_dropped_into_the_folder_is_read(client: httpx.Client, server: Server) -> None:
    """Whoever copies a file under images/, with any name, finds its reading; folders' markers are
    no pictures.
    """
    folder = server.objects / "images" / "from elsewhere"
    folder.mkdir(parents=True)
    (folder / "my scän +1.png").write_bytes(pictures.png())
    deadline = time.monotonic() + 20
    matches: list[dict[str, Any]] = []
    while not matches and time.monotonic() < deadline:
        images = client.get("/api/images", params={"state": "read"}).json()["images"]
        matches = [entry for entry in images if entry["name"] == "my scän +1.png"]
        time.sleep(0.1)
    assert [text(entry) for entry in matches] == ["7"]


def test_a_dropped_file_that_is_no_picture_fails_with_its_reason(
    client: httpx.Client, server: Server
) -> None:
    """What cannot be read is marked as failed, says why, and is not tried for ever."""
    (server.objects / "images").mkdir(parents=True, exist_ok=True)
    (server.objects / "images" / "notes.png").write_text("no picture at all")
    deadline = time.monotonic() + 20
    matches: list[dict[str, Any]] = []
    while not matches and time.monotonic() < deadline:
        matches = client.get("/api/images", params={"state": "failed"}).json()["images"]
        time.sleep(0.1)
    assert [entry["name"] for entry in matches] == ["notes.png"]
    assert matches[0]["error"]


def test_health_and_openapi(client: httpx.Client) -> None:
    """Liveness, readiness and a readable description of the API."""
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json()["status"] == "ready"
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/api/images", "/api/live", "/api/accuracy"} <= set(document["paths"])
    assert client.get("/docs").status_code == 200


def test_unknown_things_are_problem_documents(client: httpx.Client) -> None:
    """404s and 400s are RFC 9457 documents without a place on the server's disk."""
    for path, status in [
        ("/api/images/nothing", 404),
        ("/api/images/01a20404-3fbf-7163-8b0a-5224f87eb93e/original", 404),
        ("/api/images?limit=0", 400),
    ]:
        response = client.get(path)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
    assert client.put("/api/images/x/label", content=b"{").status_code in (400, 404)


def test_a_file_with_pages_becomes_an_image_a_page(client: httpx.Client) -> None:
    """A PDF and a TIFF: named by file and page, in one batch, read, the pages in the store; sent
    again under its key it is the same images.
    """
    for kind, name in (("PDF", "scan.pdf"), ("TIFF", "scan.tif")):
        data = pictures.pages(kind, [pictures.SEVEN, pictures.ZERO])
        headers = {"Idempotency-Key": f"pages of a {kind}"}
        send: dict[str, Any] = {
            "files": {"file": (name, data)},
            "headers": headers,
            "data": {"writer": "ada"},
        }
        first = client.post("/api/images?wait=20", **send)
        assert first.status_code == 200, first.text
        images = first.json()["images"]
        assert [(image["name"], text(image)) for image in images] == [
            (f"{name} p. 1", "7"),
            (f"{name} p. 2", "0"),
        ]
        assert {image["writer"] for image in images} == {"ada"}
        batch = client.get(f"/api/batches/{first.json()['batch']}").json()
        assert (batch["name"], batch["images"]) == (name, 2)
        picture = client.get(f"/api/images/{images[0]['id']}/original")
        assert picture.headers["content-type"] == "image/png"
        again = client.post("/api/images?wait=20", **send).json()
        assert [image["id"] for image in again["images"]] == [image["id"] for image in images]
        assert again["batch"] == first.json()["batch"]


def test_a_pdf_of_one_page_is_one_image_without_a_batch(client: httpx.Client) -> None:
    """The answer has `images` all the same, and a label is allowed, as a bare body too."""
    data = pictures.pages("PDF", [pictures.SEVEN])
    answer = client.post(
        "/api/images?wait=20&label=7", content=data, headers={"Content-Type": "application/pdf"}
    )
    (image,) = answer.json()["images"]
    assert (image["name"], image["label"]["text"], answer.json()["batch"]) == (
        "scan p. 1",
        "7",
        None,
    )


def test_files_with_pages_are_refused_by_name(client: httpx.Client) -> None:
    """Too many pages, a label for several, a batch that is none: nothing is stored."""
    before = len(client.get("/api/images?limit=500").json()["images"])
    many = pictures.pages("PDF", [pictures.ONE] * 51)
    two = pictures.pages("TIFF", [pictures.ONE] * 2)
    for data, fields, status, code in (
        (many, {}, 422, "too-many-pages"),
        (two, {"label": "7"}, 400, "label-of-pages"),
        (two, {"batch": "no batch"}, 404, "not-found"),
        (b"%PDF-1.4 broken", {}, 422, "damaged"),
    ):
        response = client.post("/api/images", files={"file": ("s.pdf", data)}, data=fields)
        assert (response.status_code, response.json()["code"]) == (status, code)
    assert len(client.get("/api/images?limit=500").json()["images"]) == before
