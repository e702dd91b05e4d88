"""`legibly classify` as people call it: any file name, any number, a reader that goes away."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictures
from legibly import errors, wiring
from legibly.evaluation import datasets, parallel_reading
from legibly.evaluation.parallel_reading import PictureSource
from legibly.settings import Settings


def _picture(path: Path, number: int = 0) -> Path:
    pixels = np.full((60, 60), 255, np.uint8)
    pixels[10:50, 28 + number % 5 : 33 + number % 5] = 0
    Image.fromarray(pixels).save(path, "JPEG", quality=95)
    return path


def _classify(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "legibly", "classify", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_ending_of_a_picture_is_read_and_the_rest_is_named(tmp_path: Path) -> None:
    """`.jfif .jpe .mpo .hif .apng` and none at all are pictures; notes are named as skipped."""
    names = ["a.jfif", "b.jpe", "c.mpo", "d.JPEG", "e"]
    for name in names:
        _picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    result = _classify(str(tmp_path), "--json")
    sources = [json.loads(line)["source"] for line in result.stdout.splitlines()]
    assert [Path(source).name for source in sources] == names
    assert "notes.txt: not a picture; skipped" in result.stderr
    assert result.returncode == 0


def test_an_empty_path_is_an_error() -> None:
    """It is not this folder."""
    result = _classify("")
    assert result.returncode == 1
    assert "the path is empty" in result.stderr


def test_a_reader_of_the_output_that_goes_away_is_no_fault_of_a_picture(tmp_path: Path) -> None:
    """`legibly classify … | head -1` ends quietly."""
    for number in range(30):
        _picture(tmp_path / f"{number}.jpg", number)
    command = f"{sys.executable} -m legibly classify --json {tmp_path}"
    result = subprocess.run(
        ["bash", "-c", f"{command} | head -c 10 >/dev/null"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""


@pytest.mark.timeout(300)
def test_processes_answer_as_threads_do(tmp_path: Path) -> None:
    """In order, with an error for the file that is no picture, whichever way they are read."""
    files = [_picture(tmp_path / f"{number:03d}.jpg", number) for number in range(70)]
    files[5].write_bytes(b"no picture")
    sources = [PictureSource.of_file(file) for file in files]
    settings = Settings(store=f"file://{tmp_path}/objects")
    open_reader = functools.partial(wiring.reader, settings)
    many = list(parallel_reading.read_all(open_reader, sources, workers=2))
    few = [
        answer
        for start in (0, 35)
        for answer in parallel_reading.read_all(open_reader, sources[start : start + 35], workers=2)
    ]
    assert [answer.name for answer in many] == [str(file) for file in files]
    for first, second in zip(many, few, strict=True):
        assert (first.reading is None) == (second.reading is None) == bool(first.error)
        if first.reading and second.reading:
            assert first.reading.text == second.reading.text
            assert first.reading.confidence == second.reading.confidence


def test_a_table_of_labels_in_utf_16_is_read_and_in_other_encodings_refused(tmp_path: Path) -> None:
    """Spreadsheets save UTF-16 with a mark; a byte that is no text is named with its place."""
    _picture(tmp_path / "a.jpg")
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,1\n", encoding="utf-16")
    assert [sample.text for sample in datasets.samples(tmp_path)] == ["1"]
    table.write_bytes(b"file,label\na.jpg,\xe9\n")
    with pytest.raises(errors.Invalid, match="byte 17 is not UTF-8 text"):
        datasets.samples(tmp_path)


def test_each_page_of_a_scan_is_read(tmp_path: Path) -> None:
    """PDF and TIFF in a folder; a page is named and numbered, a broken file is an error."""
    strokes = [pictures.SEVEN, pictures.ZERO]
    (tmp_path / "a.pdf").write_bytes(pictures.pages("PDF", strokes))
    (tmp_path / "b.tif").write_bytes(pictures.pages("TIFF", strokes))
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7 broken")
    result = _classify(str(tmp_path), "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(Path(row["source"]).name, row["page"], row["text"]) for row in rows] == [
        ("a.pdf p. 1", 1, "7"),
        ("a.pdf p. 2", 2, "0"),
        ("b.tif p. 1", 1, "7"),
        ("b.tif p. 2", 2, "0"),
    ]
    assert rows[0]["file"] == str(tmp_path / "a.pdf")
    assert "c.pdf: the PDF is truncated or damaged. Save or scan it again." in result.stderr
    assert result.returncode == 1


def test_a_text_keeps_its_separators_where_that_is_wanted(tmp_path: Path) -> None:
    """`--text numbers` puts the minus before the 7; without it the text is the digit."""
    picture = Image.new("L", (420, 300), 255)
    picture.paste(pictures.drawing(), (140, 10))
    picture.paste(20, (60, 140, 130, 156))
    picture.save(tmp_path / "minus.png")
    for options, text in (([], "7"), (["--text", "numbers"], "-7")):
        result = _classify(str(tmp_path / "minus.png"), "--json", *options)
        assert json.loads(result.stdout)["text"] == text
