"""`legibly accuracy`, from the command line to its files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from accuracy import cases
from legibly.accuracy import report

ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def _legibly(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "legibly", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRON, capture_output=True, text=True, check=False, timeout=60
    )


def test_json_is_the_report_and_nothing_else(tmp_path: Path) -> None:
    """--json, --out and the reference agree to the byte."""
    cases.write_lines(tmp_path / "store", [cases.NASTY])
    out = tmp_path / "report.json"
    done = _legibly(
        "accuracy", f"file://{tmp_path}/store", "--json", "--out", str(out), cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        out.read_bytes()
        == done.stdout.encode()
        == report.encode(report.build(cases.expected([cases.NASTY])))
    )


def test_the_table_starts_with_plain_words_and_the_page_is_one_file(tmp_path: Path) -> None:
    """Words first, then figures; the HTML file fetches nothing and holds the same figures."""
    lines = [
        json.dumps(cases.pair(f"i{n}", str(n % 10), str(n % 10 if n % 9 else 3)))
        for n in range(400)
    ]
    cases.write_lines(tmp_path / "store", [lines])
    done = _legibly(
        "accuracy", str(tmp_path / "store"), "--html", str(tmp_path / "a.html"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.match(
        r"Of 1,000 pictures like these, between \d+ and \d+ are read right", done.stdout
    )
    page = (tmp_path / "a.html").read_text()
    assert page.count("<svg") >= 3
    assert not re.search(r"(src|href)=.?https?:|<script|@import", page)
    assert "400" in page
    assert done.stdout.splitlines()[0] in page


def test_an_older_file_names_its_bad_lines_on_stderr(tmp_path: Path) -> None:
    """A folder or file of the older text format; the odd line is named with file and number."""
    (tmp_path / "old.txt").write_text("7,7,1,1\n7,7,1\n" * 15)
    done = _legibly("accuracy", "old.txt", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert "old.txt:2: 3 fields" in done.stderr
    result = json.loads(done.stdout)
    assert (result["pairs"], result["skipped"]["malformed"]) == (30, 15)


def test_an_error_is_one_line(tmp_path: Path) -> None:
    """Nothing there, or nothing of use: exit 1, one line that says what to do."""
    done = _legibly("accuracy", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"legibly: nowhere: there is nothing here\. Give .*\n", done.stderr)


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    """No labels at all is no error."""
    (tmp_path / "store" / "records").mkdir(parents=True)
    done = _legibly("accuracy", str(tmp_path / "store"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("There are no true labels yet")
