"""Every database under the index: SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from legibly.index.sql import SqlIndex, open_index


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgres"))]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database is."""
    return (
        f"sqlite:///{tmp_path}/index.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres"))
    )


@pytest.fixture
def index(url: str) -> Iterator[SqlIndex]:
    """An empty index."""
    opened = open_index(url)
    opened.clear()
    yield opened
    opened.close()
