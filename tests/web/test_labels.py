"""True labels over HTTP: what can be one, no digit at all, and who decides what was asked for."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import pictures
from legibly.statistics import sampling
from server import Server

RATE = 0.5


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that asks for the labels of half of its images."""
    folder = tmp_path_factory.mktemp("labels")
    with (
        Server.started(folder, LEGIBLY_ASK_RATE=str(RATE)) as server,
        httpx.Client(base_url=server.url, timeout=30) as opened,
    ):
        yield opened


def image(client: httpx.Client, *, is_sampled: bool | None = None) -> dict[str, Any]:
    """A fresh image that was read; of the random sample or not."""
    while True:
        document: dict[str, Any] = client.post(
            "/api/images?wait=20", files={"file": pictures.png()}
        ).json()
        if is_sampled is None or sampling.asks(document["id"], RATE) is is_sampled:
            return document


def put(client: httpx.Client, image_id: str, **body: Any) -> httpx.Response:
    return client.put(f"/api/images/{image_id}/label", json=body)


@pytest.mark.parametrize("is_sampled", [True, False])
@pytest.mark.parametrize("source", ["asked", "volunteered", None])
def test_the_server_alone_decides_what_was_asked_for(
    client: httpx.Client, *, is_sampled: bool, source: str | None
) -> None:
    """Whatever source a client sends, its label counts as asked for only in the random sample."""
    fresh = image(client, is_sampled=is_sampled)
    assert fresh["ask"] is is_sampled
    for text in ("7", "1"):  # a correction keeps the source
        labelled = put(client, fresh["id"], text=text, source=source).json()
        assert labelled["label"]["source"] == ("asked" if is_sampled else "volunteered")
        assert labelled["ask"] is False
    assert put(client, fresh["id"], text=None).json()["ask"] is is_sampled


def test_a_label_at_upload_is_never_asked_for(client: httpx.Client) -> None:
    """An image that came with its label is not asked about, and stays of that source."""
    files = {"file": pictures.png()}
    for _ in range(6):
        sent = client.post("/api/images?wait=20", files=files, data={"label": "7"}).json()
        assert sent["ask"] is False
        assert sent["label"]["source"] == "at_upload"
        assert put(client, sent["id"], text="1").json()["label"]["source"] == "volunteered"


def test_no_digit_here_is_a_label(client: httpx.Client) -> None:
    """An empty text with its flag is stored, filtered by ∅, and can be taken back."""
    identity = image(client)["id"]
    label = put(client, identity, text="", nothing=True).json()["label"]
    assert (label["text"], label["nothing"]) == ("", True)
    listed = client.get("/api/images", params={"label": "∅"}).json()["images"]
    assert [entry["id"] for entry in listed] == [identity]
    assert put(client, identity, text=None).json()["label"] is None
    assert put(client, identity, text="").json()["code"] == "label-empty"
    assert put(client, identity, text="7", nothing=True).status_code == 400


def test_a_label_that_no_reading_could_be_is_refused(client: httpx.Client) -> None:
    """422 with the allowed classes, for a label given later, at upload, and announced."""
    identity = image(client)["id"]
    refused = put(client, identity, text="hello 7x")
    assert refused.status_code == 422
    problem = refused.json()
    assert problem["type"].endswith("/problems/label-not-allowed")
    assert problem["params"]["allowed"] == list("0123456789")
    assert client.get(f"/api/images/{identity}").json()["label"] is None
    sent = client.post("/api/images", files={"file": pictures.png()}, data={"label": "cat"})
    assert (sent.status_code, sent.json()["code"]) == (422, "label-not-allowed")
    judged = client.put(f"/api/review/{identity}", json={"text": "hello 7x"})
    assert judged.status_code == 422
    assert put(client, identity, text="７").json()["label"]["text"] == "7"


@pytest.mark.parametrize("text", ["\ud800", "7\x00"])
def test_what_is_no_text_is_a_malformed_request(client: httpx.Client, text: str) -> None:
    """Lone surrogates and NUL are refused with 400, never a fault of the server."""
    body = b'{"text": "' + text.encode("unicode-escape") + b'"}'
    body = body.replace(b"\\x00", b"\\u0000")
    answer = client.put(
        f"/api/images/{image(client)['id']}/label",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400


def test_boxes_stand_in_the_label_its_exports_and_come_back_with_undo(client: httpx.Client) -> None:
    """A label keeps where its digits lie, cut to the picture; COCO and Label Studio have these
    boxes, Label Studio's come back as boxes, and an undone deletion has them too.
    """
    fresh = image(client)
    side = fresh["width"]
    boxes = [{"box": [5, 6, 20, 30], "label": "7"}, {"box": [side - 10, 6, 40, 30], "label": "1"}]
    label = put(client, fresh["id"], text="7 1", boxes=boxes).json()["label"]
    assert [box["box"] for box in label["boxes"]] == [[5, 6, 20, 30], [side - 10, 6, 10, 30]]
    ids = {"ids": fresh["id"]}
    archive = zipfile.ZipFile(
        io.BytesIO(client.post("/history/download.coco.zip", data=ids).content)
    )
    annotations = json.loads(archive.read("annotations.json"))["annotations"]
    assert [entry["bbox"] for entry in annotations] == [box["box"] for box in label["boxes"]]
    tasks = client.get("/review/label-studio.json").json()
    task = next(entry for entry in tasks if entry["data"]["legibly_id"] == fresh["id"])
    rectangle = task["annotations"][0]["result"][0]["value"]
    assert rectangle["rectanglelabels"] == ["7"]
    assert rectangle["x"] == pytest.approx(100 * 5 / side)
    rectangle["x"] = 100 * 10 / side
    imported = client.post(
        "/review/label-studio", files={"file": ("export.json", json.dumps([task]))}
    )
    assert imported.json()["labelled"] == 1
    label = client.get(f"/api/images/{fresh['id']}").json()["label"]
    assert label["boxes"][0]["box"] == [10, 6, 20, 30]
    token = client.post("/history/delete", data=ids).json()["undo"]
    restored = client.post("/history/restore", data={"token": token}).json()["images"][0]
    assert restored["label"]["boxes"] == label["boxes"]


@pytest.mark.parametrize(
    ("boxes", "code"),
    [
        ([{"box": [0, 0, 5, 5], "label": "1"}], "label-boxes-differ"),
        ([{"box": [9000, 0, 5, 5], "label": "7"}], "label-box-outside"),
        ([{"box": [5, 5, 0, 5], "label": "7"}], "label-box-outside"),
        ([{"box": [5, 5, 5, 5], "label": "x"}], "label-not-allowed"),
        ([{"box": [5, 5, 5], "label": "7"}], None),
    ],
)
def test_boxes_that_do_not_fit_their_label_are_refused(
    client: httpx.Client, boxes: list[dict[str, Any]], code: str | None
) -> None:
    """Another text, a place beside the picture, or a class that the pack has not: 4xx, no label."""
    fresh = image(client)
    refusal = put(client, fresh["id"], text="7", boxes=boxes)
    assert refusal.status_code in (400, 422)
    assert code is None or refusal.json()["code"] == code
    assert client.get(f"/api/images/{fresh['id']}").json()["label"] is None
