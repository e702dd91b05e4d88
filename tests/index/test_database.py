"""How the index's connections are used."""

import contextlib
from pathlib import Path

from legibly.index import database


def test_few_connections_are_used_once_many_were_needed(tmp_path: Path) -> None:
    """After a moment with many connections one serves again, for each fills with pages."""
    engine = database.engine(f"sqlite:///{tmp_path}/index.db")
    with contextlib.ExitStack() as moment:
        for _ in range(5):
            moment.enter_context(engine.connect())
    drivers = set()
    for _ in range(10):
        with engine.connect() as connection:
            drivers.add(id(connection.connection.dbapi_connection))
    engine.dispose()
    assert len(drivers) == 1
