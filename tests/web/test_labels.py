"""True labels over HTTP: what can be one, no digit at all, and who decides what was asked for."""

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
