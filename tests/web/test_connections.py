"""Connections that only wait: closed in time, so that they take nobody's place."""

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import services
from legibly.cli.serve.processes import Server
from legibly.web.security import body_limit

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n"
MAX_CONNECTIONS = 8


async def length(request: Request) -> PlainTextResponse:
    """How long the body is."""
    return PlainTextResponse(f"{len(await request.body())} bytes")


@pytest.fixture
def port() -> Iterator[int]:
    """A server of at most 8 connections, which waits a second for the head of a request."""
    app = Starlette(routes=[Route("/", length, methods=["GET", "POST"])])
    app.add_middleware(body_limit.BodyLimit, limit=10_000)
    port = services.free_port()
    config = uvicorn.Config(
        app, port=port, log_level="critical", lifespan="off", timeout_keep_alive=120
    )
    server = Server(config, most=MAX_CONNECTIONS, request_seconds=0.5)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    services.wait_for(lambda: server.started, subject="the server")
    yield port
    server.should_exit = True
    thread.join(10)


def connect(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(data)
    return connection


def test_a_request_that_is_never_complete_ends_and_others_stay(port: int) -> None:
    """Half a head is waited for, and no longer; a connection that rests between two requests is
    kept meanwhile.
    """
    resting = connect(port, REQUEST)
    assert b"200 OK" in resting.recv(1000)
    with connect(port, REQUEST[:20]) as slow, connect(port, b"") as silent:
        assert slow.recv(1000) == b""
        assert silent.recv(1000) == b""
    resting.sendall(REQUEST)
    assert b"200 OK" in resting.recv(1000)
    resting.close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closed it; takes what it answered."""
    try:
        return connection.recv(1000) == b""
    except BlockingIOError:
        return False


def test_resting_connections_make_way_where_many_are_open(port: int) -> None:
    """Never does more than half of what there may be rest for long."""
    crowd = [connect(port, REQUEST) for _ in range(MAX_CONNECTIONS - 1)]
    for connection in crowd:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.setblocking(False)
    least = len(crowd) - MAX_CONNECTIONS // 2
    services.wait_for(lambda: sum(map(is_closed, crowd)) >= least, subject="the server")
    with connect(port, REQUEST) as late:
        assert b"200 OK" in late.recv(1000)
    for connection in crowd:
        connection.close()


def test_a_body_that_comes_too_slowly_is_refused(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of which a byte came is not waited for; of one that came faster the rest is, as long
    as its bytes pay for.
    """
    monkeypatch.setattr(body_limit, "SECONDS", 0.3)
    monkeypatch.setattr(body_limit, "MIN_RATE", 20)
    with connect(port, UPLOAD + bytes(1000)) as steady, connect(port, UPLOAD + b"x") as slow:
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        services.wait_for(lambda: is_closed(slow), subject="the server")
        steady.sendall(bytes(1000))
        answer = steady.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"2000 bytes")
