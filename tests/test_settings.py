"""Settings: where they come from, which wins, what is refused."""

from pathlib import Path

import pytest

from legibly.errors import Invalid
from legibly.settings import Settings


def test_the_later_source_wins(tmp_path: Path) -> None:
    """Environment, then file, then flags; what none of them names keeps its default."""
    file = tmp_path / "legibly.toml"
    file.write_text('store = "memory://"\nmax_bytes = 5\n')
    environ = {
        "LEGIBLY_STORE": "file://./a",
        "LEGIBLY_MAX_BYTES": "4",
        "LEGIBLY_QUEUE": "q",
        "OTHER": "x",
    }
    settings = Settings.load(environ=environ, file=file, max_bytes=6, model=None)
    assert (settings.store, settings.max_bytes, settings.queue, settings.model) == (
        "memory://",
        6,
        "q",
        "digits",
    )


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    """A mistyped setting is an error that names it and lists what there is."""
    with pytest.raises(Invalid, match=r"LEGIBLY_STOER.*store"):
        Settings.load(environ={"LEGIBLY_STOER": "x"})
    file = tmp_path / "legibly.toml"
    file.write_text("stoer = 1\n")
    with pytest.raises(Invalid, match=r"legibly.toml.*stoer"):
        Settings.load(environ={}, file=file)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"LEGIBLY_MAX_BYTES": "many"}, "LEGIBLY_MAX_BYTES: 'many' is no int"),
        ({"LEGIBLY_MAX_PIXELS": "0"}, "max_pixels must be at least 1"),
        ({"LEGIBLY_MAX_PAGES": "0"}, "max_pages must be at least 1"),
        ({"LEGIBLY_TEXT": "words"}, "text must be digits or numbers, not 'words'"),
        ({"LEGIBLY_ASK_RATE": "2"}, "between 0 and 1"),
    ],
)
def test_bad_values_are_named(environ: dict[str, str], message: str) -> None:
    """What cannot be used says where it stands and why."""
    with pytest.raises(Invalid, match=message):
        Settings.load(environ=environ)


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    """A settings file that was asked for has to be there and be TOML."""
    with pytest.raises(Invalid, match="does not exist"):
        Settings.load(environ={}, file=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("store = ")
    with pytest.raises(Invalid, match="not TOML"):
        Settings.load(environ={}, file=tmp_path / "bad.toml")


def test_passwords_are_masked() -> None:
    """What `legibly doctor` prints shows who, where, but no password."""
    settings = Settings(database="postgresql://ada:s3cret@db.example:5432/x?sslmode=require")
    assert settings.masked()["database"] == "postgresql://ada:***@db.example:5432/x?sslmode=require"
