"""How the index's connections are used."""

import contextlib
from pathlib import Path

from sqlalchemy import event

from legibly.index import database
from legibly.index.sql import open_index


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


def test_lists_of_any_length_come_in_few_statements(tmp_path: Path) -> None:
    """Looking for 1 to 300 ids takes ten texts of a statement, or each would stay in memory."""
    index = open_index(f"sqlite:///{tmp_path}/index.db")
    texts = set()

    @event.listens_for(index.engine, "before_cursor_execute")
    def note(*call: object) -> None:
        texts.add(call[2])

    for count in range(1, 301):
        assert index.known([f"id{number}" for number in range(count)]) == set()
    index.close()
    assert len(texts) <= 10
