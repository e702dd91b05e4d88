"""A real server for every module of this folder: the program itself, on a port and a folder of its
own.
"""

from collections.abc import Iterator

import httpx
import pytest

import services
from described import Description
from server import Server


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgres"))],
)
def database(request: pytest.FixtureRequest) -> str:
    """Either database, and an empty one: the URL of PostgreSQL's, nothing for SQLite's, which lies
    in the folder.
    """
    return (
        ""
        if request.param == "sqlite"
        else services.new_database(request.getfixturevalue("postgres"))
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Server]:
    """`legibly serve` over a folder and a database that were empty at first."""
    environ = {"LEGIBLY_DATABASE": database} if database else {}
    with Server.started(tmp_path_factory.mktemp("serve"), **environ) as started:
        yield started


@pytest.fixture(scope="module")
def description(server: Server) -> Description:
    """What the server says of its own responses."""
    return Description.of(server.url)


@pytest.fixture
def client(server: Server, description: Description) -> Iterator[httpx.Client]:
    """An HTTP client of that server, which checks that each response is a described one."""
    hooks = {"response": [description.check]}
    with httpx.Client(base_url=server.url, timeout=30, event_hooks=hooks) as opened:
        yield opened
