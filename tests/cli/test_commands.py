"""The command line, as a shell calls it."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pictures


def legibly(
    *words: str, folder: Path, status: int = 0, stdin: bytes = b"", **environ: str
) -> tuple[str, str]:
    """Run the program; gives what it printed on both outputs."""
    done = subprocess.run(
        [sys.executable, "-m", "legibly", *words],
        cwd=folder,
        env={**os.environ, **environ},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def test_help_lists_the_commands_without_loading_them(tmp_path: Path) -> None:
    """`legibly --help` names every command and imports none of the heavy libraries."""
    out, _ = legibly("--help", folder=tmp_path)
    assert {"serve", "classify", "evaluate", "accuracy", "models", "reindex", "doctor"} <= set(
        out.split()
    )
    script = (
        "import sys; from legibly.cli.main import main\ntry: main(['--help'])\nexcept SystemExit:"
        " pass\n"
    )
    script += (
        "print([m for m in ('numpy', 'onnxruntime', 'fastapi', 'sqlalchemy', 'duckdb') if m in"
        " sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    """Unknown commands and options are usage errors."""
    legibly("no-such-command", folder=tmp_path, status=2)
    legibly("serve", "--no-such-flag", folder=tmp_path, status=2)


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    """What went wrong, where, what to do; the traceback comes with --debug alone."""
    for words in (("reindex",), ("serve", "--port", "0", "--workers", "2")):
        _, err = legibly(*words, folder=tmp_path, status=1, LEGIBLY_STORE="ftp://x")
        assert (
            err == "legibly: ftp://x: this is not a store. Use file://FOLDER, s3://BUCKET/PREFIX or"
            " memory://.\n"
        )
    _, err = legibly("--debug", "reindex", folder=tmp_path, status=1, LEGIBLY_STORE="ftp://x")
    assert "Traceback" in err


def test_nothing_secret_is_printed(tmp_path: Path) -> None:
    """A password in a setting appears neither in an error, nor with --debug, nor in what the doctor
    prints.
    """
    database = "postgresql://legibly:s3cret-word@127.0.0.1:1/x"
    for words in (
        ("serve", "--port", "0"),
        ("--debug", "reindex"),
        ("doctor",),
        ("doctor", "--json"),
    ):
        out, err = legibly(*words, folder=tmp_path, status=1, LEGIBLY_DATABASE=database)
        assert "s3cret-word" not in out + err


def test_the_doctor_says_what_works(tmp_path: Path) -> None:
    """In a fresh folder everything needed is fine; JSON is the only thing on stdout with --json."""
    out, _ = legibly("doctor", folder=tmp_path)
    assert "object store" in out
    assert "MISSING" not in out
    document = json.loads(legibly("doctor", "--json", folder=tmp_path)[0])
    assert all(finding["fine"] for finding in document["findings"] if finding["needed"])


def test_a_taken_port_is_told_with_another(tmp_path: Path) -> None:
    """`serve` on a port that somebody has says so before it loads anything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _, err = legibly("serve", "--port", str(port), folder=tmp_path, status=1)
    assert f"--port {port + 1}" in err


def test_a_store_in_memory_cannot_be_shared(tmp_path: Path) -> None:
    """Several processes over memory:// would each see their own."""
    words = ("serve", "--port", "0", "--workers", "2", "--store", "memory://")
    _, err = legibly(*words, folder=tmp_path, status=1)
    assert "--workers 1" in err


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder with a picture of a 7, one of a 0, and one file that is no picture."""
    (tmp_path / "seven è.png").write_bytes(pictures.png())
    (tmp_path / "zero.png").write_bytes(pictures.png(pictures.ZERO))
    return tmp_path


def test_classify_reads_files_folders_globs_and_stdin(digits: Path) -> None:
    """One JSON object a line, each with its source; a 0 is an answer."""
    for words in ((".",), ("*.png",), ("seven è.png", "zero.png")):
        out, _ = legibly("classify", "--json", *words, folder=digits)
        lines = [json.loads(line) for line in out.splitlines()]
        assert sorted((Path(line["source"]).name, line["text"]) for line in lines) == [
            ("seven è.png", "7"),
            ("zero.png", "0"),
        ]
    out, _ = legibly("classify", "--json", "-", folder=digits, stdin=pictures.png())
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["7"]


def test_classify_names_what_it_could_not_read(digits: Path) -> None:
    """The rest is read, the failure stands on stderr, the exit status is 1."""
    (digits / "notes.png").write_text("no picture")
    out, err = legibly("classify", "--json", "notes.png", "zero.png", folder=digits, status=1)
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["0"]
    assert "notes.png" in err
    legibly("classify", "nothing-here.png", folder=digits, status=1)
    legibly("classify", folder=digits, status=2)


def test_the_worker_alone_reads_what_is_pending(digits: Path) -> None:
    """Without a web server, pictures in the folder get their readings; SIGTERM ends it in order."""
    images = digits / "legibly-data" / "objects" / "images"
    images.mkdir(parents=True)
    (digits / "zero.png").rename(images / "zero.png")
    command = [sys.executable, "-m", "legibly", "worker"]
    with subprocess.Popen(command, cwd=digits, stderr=subprocess.DEVNULL) as worker:
        readings = digits / "legibly-data" / "objects" / "records" / "readings"
        deadline = time.monotonic() + 60
        while not list(readings.rglob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.1)
        worker.terminate()
        assert worker.wait(20) == 0
    (record,) = readings.rglob("*.jsonl")
    assert json.loads(record.read_text(encoding="utf-8"))["text"] == "0"


def test_status_says_what_waits_what_failed_and_what_to_do(tmp_path: Path) -> None:
    """An empty system has nothing to do; a skipped name and a late picture are named."""
    out, _ = legibly("status", folder=tmp_path)
    assert "nothing to do" in out
    images = tmp_path / "legibly-data" / "objects" / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "a\tb.png").write_bytes(pictures.png())
    folder = images / "2026-01-01"
    folder.mkdir()
    late = "019b7a2e-0000-7000-8000-000000000001"
    (folder / f"{late}.png").write_bytes(pictures.png())
    legibly("reindex", folder=tmp_path)
    out, _ = legibly("status", "--json", folder=tmp_path, status=1)
    report = json.loads(out)
    assert report["images"] == {"pending": 1}
    assert list(report["skipped"]) == ["images/a\tb.png"]
    assert len(report["advice"]) == 2
