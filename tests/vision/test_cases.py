"""Pictures that were once read wrongly and surely: right now, or at least never sure."""

from pathlib import Path

import pytest

from legibly.vision.reading import Reader

READ = {
    "boxes_clear_90210.png": "90210",
    "sym_3.14.png": "314",
    "sym_-5.png": "5",
    "small_34px_on_4000x3000.jpg": "86274",
    "table_tight_1x4_blank.png": "8633",
    "table_margin6_1x4_lines_as_ones.png": "8633",
    "tiff_orientation3_9.tif": "9",
}
NEVER_SURE = {
    "boxes_one_touches_90210.png": "90210",
    "circled_touching_4729.png": "4729",
    "sym_03slash12.png": "0312",
    "sym_(020)_7946.png": "0207946",
    "sym_3+4=7.png": "347",
}
SEPARATORS = {"sym_3.14.png": ".", "sym_-5.png": "-", "sym_03slash12.png": "/"}


@pytest.fixture
def cases(data: Path) -> Path:
    """The folder of these pictures, beside the data sets."""
    folder = data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: pass --data with `cases` beside it")
    return folder


@pytest.mark.parametrize("name", READ)
def test_what_was_lost_is_read(reader: Reader, cases: Path, name: str) -> None:
    """Frames, tables, small writing and turned TIFFs lose no digit and add none."""
    reading = reader.read((cases / name).read_bytes()).reading
    assert (reading.verdict, reading.text) == ("read", READ[name])


@pytest.mark.parametrize("name", NEVER_SURE)
def test_what_cannot_be_read_is_not_sure(reader: Reader, cases: Path, name: str) -> None:
    """What touches a frame, and signs of arithmetic, may be misread, but never surely."""
    reading = reader.read((cases / name).read_bytes()).reading
    assert reading.verdict != "read" or reading.text == NEVER_SURE[name]


@pytest.mark.parametrize("name", SEPARATORS)
def test_marks_between_digits_are_items(reader: Reader, cases: Path, name: str) -> None:
    """A point, a dash and a slash are items of the kind `separator`, and no part of the text."""
    reading = reader.read((cases / name).read_bytes()).reading
    marks = [item.label for item in reading.items if item.kind == "separator"]
    assert marks == [SEPARATORS[name]]
    assert SEPARATORS[name] not in reading.text
    assert len(reading.digits) == len(reading.items) - 1
