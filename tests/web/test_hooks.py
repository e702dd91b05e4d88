"""Events over HTTP from S3 servers, and uploads straight into one: against SeaweedFS, over real
sockets.
"""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest

import pictures
import services
from legibly.people.accounts import Accounts
from legibly.store import open_store
from server import Server

SECRET = "a word between us"
pytestmark = pytest.mark.service("seaweedfs")


@pytest.fixture(scope="module")
def cloudy(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: services.S3Server
) -> Iterator[Server]:
    """`legibly serve` over a bucket's folder, taking events over HTTP."""
    environ = {
        "LEGIBLY_STORE": f"s3://{seaweedfs.bucket}/hooks/here",
        "LEGIBLY_HOOK_SECRET": SECRET,
        "LEGIBLY_SWEEP_SECONDS": "0",
        **seaweedfs.environ,
    }
    with Server.started(tmp_path_factory.mktemp("cloudy"), **environ) as server:
        yield server


@pytest.fixture
def client(cloudy: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cloudy.url, timeout=30) as opened:
        yield opened


def put(server: services.S3Server, key: str, data: bytes) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    s3.put_object(Bucket=server.bucket, Key=key, Body=data)


def event(key: str, bucket: str = "images") -> dict[str, Any]:
    s3 = {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}
    return {
        "EventName": "s3:ObjectCreated:Put",
        "Key": key,
        "Records": [{"eventName": "s3:ObjectCreated:Put", "s3": s3}],
    }


def bearer(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def await_image(client: httpx.Client, name: str) -> dict[str, Any]:
    """The image of this name once it is settled."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for image in client.get("/api/images", params={"limit": 500}).json()["images"]:
            if image["name"] == name and image["state"] != "pending":
                return dict(image)
        time.sleep(0.05)
    raise TimeoutError(name)


def test_an_event_brings_a_picture_in(client: httpx.Client, seaweedfs: services.S3Server) -> None:
    """MinIO's document about an object below the store's prefix: the picture is read; told again,
    it is not new.
    """
    put(seaweedfs, "hooks/here/images/my scan+1.png", pictures.png())
    document = event("hooks/here/images/my+scan%2B1.png")
    answer = client.post("/api/events/s3", json=document, headers=bearer())
    assert (answer.status_code, answer.json()) == (202, {"new": 1})
    assert await_image(client, "my scan+1.png")["reading"]["text"] == "7"
    assert client.post("/api/events/s3", json=document, headers=bearer()).json() == {"new": 0}


def test_seaweedfs_own_webhook_is_understood(
    client: httpx.Client, seaweedfs: services.S3Server
) -> None:
    """The document that SeaweedFS's filer sends, password in the address: `?token=`."""
    put(seaweedfs, "hooks/here/images/weed.png", pictures.png(pictures.ZERO))
    document = {
        "event_type": "create",
        "key": "/buckets/images/hooks/here/images/weed.png",
        "message": {"new_entry": {}},
    }
    answer = client.post("/api/events/s3", params={"token": SECRET}, json=document)
    assert answer.json() == {"new": 1}
    assert await_image(client, "weed.png")["reading"]["text"] == "0"


def test_ceph_may_say_the_secret_as_a_password(client: httpx.Client) -> None:
    """`https://user:SECRET@host/…` arrives as basic authentication; a document without events is no
    error.
    """
    basic = b64encode(f"ceph:{SECRET}".encode()).decode()
    document = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "images"}
    answer = client.post(
        "/api/events/s3", json=document, headers={"Authorization": f"Basic {basic}"}
    )
    assert (answer.status_code, answer.json()) == (202, {"new": 0})


@pytest.mark.parametrize(
    "key",
    [
        "hooks/here/images/not-there.png",
        "images/elsewhere.png",
        "hooks/here/records/readings/x.jsonl",
    ],
)
def test_what_a_document_says_is_looked_up(client: httpx.Client, key: str) -> None:
    """Objects that are not there, lie outside the store or are our own records bring nothing in."""
    assert client.post("/api/events/s3", json=event(key), headers=bearer()).json() == {"new": 0}


@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), {"Authorization": "Basic !!"}, {"Authorization": "Bearer"}]
)
def test_without_the_secret_nothing_is_taken(client: httpx.Client, headers: dict[str, str]) -> None:
    """No secret or a wrong one: 401, as a problem document."""
    answer = client.post("/api/events/s3", json=event("x"), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe"])
def test_a_malformed_document_is_refused(client: httpx.Client, body: bytes) -> None:
    """400 with one line, never a 500."""
    answer = client.post("/api/events/s3", content=body, headers=bearer())
    assert answer.status_code == 400


def test_an_upload_goes_straight_into_the_store(client: httpx.Client) -> None:
    """Announced with label and writer, put with the answer's URL, told of by an event: read,
    labelled, paired.
    """
    data = pictures.png()
    body = {
        "media_type": "image/png",
        "bytes": len(data),
        "label": "7",
        "writer": "Ada",
        "name": "direct.png",
    }
    answer = client.post("/api/uploads", json=body)
    assert answer.status_code == 201
    upload = answer.json()
    assert set(upload) == {"id", "method", "url", "headers", "expires_at"}
    assert client.get(f"/api/images/{upload['id']}").status_code == 404
    done = httpx.request(upload["method"], upload["url"], content=data, headers=upload["headers"])
    assert done.status_code == 200
    key = httpx.URL(upload["url"]).path.partition("/images/")[2]
    assert client.post("/api/events/s3", json=event(key), headers=bearer()).json() == {"new": 1}
    image = await_image(client, "direct.png")
    assert (image["id"], image["writer"], image["label"]["text"]) == (upload["id"], "Ada", "7")
    assert image["reading"]["text"] == "7"


def announced(client: httpx.Client, data: bytes) -> dict[str, Any]:
    return dict(
        client.post("/api/uploads", json={"media_type": "image/png", "bytes": len(data)}).json()
    )


def test_of_many_who_put_at_once_one_wins(client: httpx.Client) -> None:
    """Eight PUTs race for one announced picture: one is stored, seven hear so; nothing is
    overwritten.
    """
    data = pictures.png()
    upload = announced(client, data)

    def put(number: int) -> tuple[int, bytes]:
        content = data[:-1] + bytes([number])
        return httpx.put(
            upload["url"], content=content, headers=upload["headers"], timeout=30
        ).status_code, content

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(put, range(8)))
    assert [status for status, _ in answers] == [200] + [412] * 7
    assert client.post(f"/api/uploads/{upload['id']}").status_code == 202
    assert client.get(f"/api/images/{upload['id']}/original").content == answers[0][1]


def test_an_upload_holds_for_what_was_announced_alone(client: httpx.Client) -> None:
    """Other bytes than announced, another type, or no promise to overwrite nothing: the store
    refuses.
    """
    data = pictures.png()
    upload = announced(client, data)
    for content, headers in (
        (data + b"x", upload["headers"]),
        (data, {**upload["headers"], "Content-Type": "text/html"}),
        (data, {"Content-Type": "image/png"}),
    ):
        assert httpx.put(upload["url"], content=content, headers=headers).status_code == 403
    assert httpx.put(upload["url"], content=data, headers=upload["headers"]).status_code == 200


def test_who_says_that_a_picture_arrived_has_its_image(client: httpx.Client) -> None:
    """Before it lies there: 404. After: the image, the same however often. What is no upload has
    none.
    """
    data = pictures.png()
    upload = announced(client, data)
    assert client.post(f"/api/uploads/{upload['id']}").status_code == 404
    httpx.put(upload["url"], content=data, headers=upload["headers"])
    answers = [client.post(f"/api/uploads/{upload['id']}") for _ in range(3)]
    assert [(answer.status_code, answer.json()["id"]) for answer in answers] == [
        (202, upload["id"])
    ] * 3
    services.wait_for(
        lambda: client.get(f"/api/images/{upload['id']}").json()["state"] == "read",
        subject="reading",
    )
    for strange in ("x", "..%2f..", "01a2049e-0d62-711b-9a31-465688a149a0"):
        assert client.post(f"/api/uploads/{strange}").status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"bytes": 20_000_001}, 413),
        ({"bytes": 0}, 400),
        ({"bytes": "x"}, 400),
        ({"media_type": "text/html"}, 415),
        ({"label": " "}, 400),
    ],
)
def test_an_upload_that_could_not_be_read_is_not_announced(
    client: httpx.Client, change: dict[str, Any], status: int
) -> None:
    """Too large, empty, no picture, a label that is none: refused before anything is signed."""
    body = {"media_type": "image/png", "bytes": 10, **change}
    answer = client.post(
        "/api/uploads", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status


def test_a_folder_store_says_that_it_cannot(server: Server) -> None:
    """Without S3 there is no direct upload and, unless a secret is set, no webhook; both say what
    to do.
    """
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/api/uploads", json={"media_type": "image/png", "bytes": 10})
        assert answer.status_code == 400
        assert "s3://" in answer.json()["detail"]
        answer = client.post("/api/events/s3", json=event("images/a.png"))
        assert answer.status_code == 403
        assert "LEGIBLY_HOOK_SECRET" in answer.text


def test_nobody_learns_of_another_ones_upload(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: services.S3Server
) -> None:
    """With accounts, an announced picture is its sender's: to other writers it does not exist, to
    reviewers it does.
    """
    folder = tmp_path_factory.mktemp("owned")
    place = {"LEGIBLY_STORE": f"s3://{seaweedfs.bucket}/owned"}
    book = Accounts(open_store(place["LEGIBLY_STORE"], environ=seaweedfs.environ))
    people = [
        book.add("ben", role="writer", password=None),
        book.add("cleo", role="writer", password=None),
        book.add("rita", role="reviewer", password=None),
        book.add("ada", role="admin", password=None),
    ]
    tokens = [
        book.add_token(person, name="test", scopes=["read", "write"], days=1)[1]
        for person in people
    ]
    with Server.started(folder, **place, LEGIBLY_ACCOUNTS="on", **seaweedfs.environ) as server:
        ben, cleo, rita, _ = clients = [
            httpx.Client(base_url=server.url, headers=bearer(token)) for token in tokens
        ]
        upload = announced(ben, pictures.png())
        httpx.put(upload["url"], content=pictures.png(), headers=upload["headers"])
        path = f"/api/uploads/{upload['id']}"
        assert [client.post(path).status_code for client in (cleo, ben, rita)] == [404, 202, 202]
        assert httpx.post(f"{server.url}{path}").status_code == 401
        for client in clients:
            client.close()
