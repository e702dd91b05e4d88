"""An upload whose acknowledgement is lost can be sent again under the same name, and is one
picture.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

import pictures
from legibly import object_keys
from legibly.client import Client
from server import Server

PICTURE = pictures.png()


def send(
    client: httpx.Client, name: str, *, picture: bytes = PICTURE, label: str | None = None
) -> httpx.Response:
    """Upload the picture under a name."""
    headers = {"Idempotency-Key": name, "Content-Type": "image/png"}
    return client.post(
        "/api/images",
        content=picture,
        headers=headers,
        params={"wait": "20"} | ({"label": label} if label else {}),
    )


def count(client: httpx.Client) -> int:
    """How many pictures there are."""
    return len(client.get("/api/images?limit=500").json()["images"])


@contextmanager
def deaf(server: Server) -> Iterator[int]:
    """A line to the server that is torn once everything was sent, before the answer; the next one
    holds.
    """
    torn = False
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def carry() -> None:
            nonlocal torn
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                with near, socket.create_connection(("127.0.0.1", server.port)) as far:
                    near.settimeout(0.3)
                    try:
                        while data := near.recv(65536):
                            far.sendall(data)
                    except TimeoutError:
                        pass
                    answer = far.recv(65536)
                    if torn:
                        near.sendall(answer)
                    torn = True

        threading.Thread(target=carry, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_torn_connection_doubles_nothing(server: Server, client: httpx.Client) -> None:
    """The client never heard that its picture had come, sends it again, and it is one image with
    one label.
    """
    before = count(client)
    with deaf(server) as port, Client(f"http://127.0.0.1:{port}", sleep=lambda _: None) as legibly:
        image = legibly.read(PICTURE, label="7")
    assert count(client) == before + 1
    assert image.label is not None
    assert len(list(server.objects.glob(f"records/labels/*/{image.id}.*"))) == 1


def test_the_same_name_is_the_same_image_at_any_time(server: Server, client: httpx.Client) -> None:
    """At once from many sides, after a restart, and after the index was lost and rebuilt."""
    before = count(client)
    with ThreadPoolExecutor(8) as pool:
        first = {
            answer.json()["id"] for answer in pool.map(lambda _: send(client, "many"), range(8))
        }
    assert len(first) == 1
    server.stop()
    for path in server.objects.parent.glob("index.db*"):
        path.unlink()
    environ = {**os.environ, **server.environ}
    subprocess.run(
        [sys.executable, "-m", "legibly", "reindex"], cwd=server.folder, env=environ, check=True
    )
    server.start()
    again = send(client, "many")
    assert (again.status_code, {again.json()["id"]}) == (200, first)
    assert again.json()["reading"] is not None
    assert count(client) == before + 1


def test_another_name_is_another_image(client: httpx.Client) -> None:
    """The same picture may be sent twice on purpose; another picture under a used name is refused,
    and says so.
    """
    entry = send(client, "one").json()["id"]
    two = send(client, "two").json()["id"]
    assert entry != two
    refused = send(client, "one", picture=pictures.png(pictures.ZERO))
    assert (refused.status_code, refused.headers["content-type"]) == (
        409,
        "application/problem+json",
    )
    assert "was already used for another picture" in refused.json()["detail"]
    assert object_keys.request("one", "ben") != object_keys.request("one", "eva")
    assert send(client, "x" * 201).status_code == 400


def test_a_deleted_picture_does_not_come_back(client: httpx.Client) -> None:
    """A late repetition says that the picture was deleted, and stores nothing."""
    image = send(client, "gone").json()["id"]
    before = count(client)
    assert client.delete(f"/api/images/{image}").status_code == 204
    late = send(client, "gone")
    assert (late.status_code, "deleted" in late.json()["detail"]) == (409, True)
    assert count(client) == before - 1
    assert client.get(f"/api/images/{image}").status_code == 404
