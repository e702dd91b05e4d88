"""How the index's connections are used."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import event

from legibly import errors, wiring
from legibly.cli import doctor
from legibly.index import database
from legibly.index.sql import open_index
from legibly.settings import Settings


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


def test_data_newer_than_the_program_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor` and `serve` say that a newer Legibly wrote the index, and what to do; it stays."""
    monkeypatch.chdir(tmp_path)
    path = Path("legibly-data") / "index.db"
    path.parent.mkdir()
    open_index(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE counters SET value = 99 WHERE name = 'schema'")
    examined = CliRunner().invoke(doctor.command, [])
    assert examined.exit_code == 1
    assert "A newer Legibly wrote them: upgrade this one." in examined.output
    with pytest.raises(errors.Invalid, match=r"version 99.*newer Legibly"):
        wiring.begin(Settings(), workers=1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute(
            "SELECT value FROM counters WHERE name = 'schema'"
        ).fetchone()
    assert version == 99


def test_sqlite_loads_nothing_of_postgresql_and_has_partial_indexes(tmp_path: Path) -> None:
    """Opening an index on SQLite imports no other dialect; columns that few images have are indexed
    only where they are set.
    """
    script = (
        "import sys\nfrom legibly.index.opening import open_tables\n"
        "open_tables(sys.argv[1]).dispose()\n"
        "print([name for name in sys.modules if 'dialects.postgresql' in name])"
    )
    path = tmp_path / "index.db"
    command = [sys.executable, "-c", script, f"sqlite:///{path}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"[]\n"
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(query).fetchone() == (6,)
