"""What request bodies may take together, and that it is given back."""

import asyncio

import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

import services
from legibly.web.security import body_limit

SIZE = 1_500_000


def request(path: str = "/") -> Scope:
    """A POST of `SIZE` bytes."""
    headers = [(b"host", b"localhost"), (b"content-length", str(SIZE).encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "app": FastAPI()}
    return {**scope, "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": ""}


async def receive() -> Message:
    return {"type": "http.request", "body": bytes(SIZE), "more_body": False}


async def status_of(app: body_limit.BodyLimit) -> int:
    """The status of the answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request(), receive, send)
    if sent[0]["status"] == 503:
        assert b"retry-after" in dict(sent[0]["headers"])
    return int(sent[0]["status"])


def test_too_many_large_bodies_are_refused_until_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third is told to come again; after the others were answered there is space."""
    monkeypatch.setattr(body_limit, "_MAX_LARGE_BYTES", 2 * SIZE)

    async def run() -> list[int]:
        ended = asyncio.Event()

        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            await ended.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        app = body_limit.BodyLimit(slow, limit=10_000_000)
        first = [asyncio.create_task(status_of(app)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await status_of(app)
        ended.set()
        return [refused, *await asyncio.gather(*first), await status_of(app)]

    assert services.run_async(run()) == [503, 200, 200, 200]
