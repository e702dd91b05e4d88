"""A real server for every module of this folder: the program itself, on a port and a folder of its own."""

from collections.abc import Iterator

import httpx
import pytest

from server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`legibly serve` over a folder that was empty at first."""
    with Server.started(tmp_path_factory.mktemp("serve")) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """An HTTP client of that server."""
    with httpx.Client(base_url=server.url, timeout=30) as opened:
        yield opened
