"""The two older formats: streamed, bad lines named, counted and skipped."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legibly.accuracy import older_formats, report
from legibly.errors import Invalid

classes = st.sampled_from(["0", "1", "7", "10", "cat"])


def _count(data: bytes) -> tuple[older_formats.Counts, list[tuple[int, str]]]:
    counts = older_formats.Counts()
    bad = []
    older_formats.count(
        io.BytesIO(data),
        name="f",
        counts=counts,
        bad=lambda _, line, problem: bad.append((line, problem)),
    )
    return counts, bad


@given(
    st.lists(st.lists(st.tuples(classes, classes), max_size=9), min_size=1, max_size=30),
    st.sampled_from([3, 40, 400]),
    st.sampled_from([0, 24]),
)
def test_every_pair_of_every_line_counts(
    lines: list[list[tuple[str, str]]], chunk: int, long: int
) -> None:
    """Lines of any number of pairs, blocks of any size, counted at once or not: what goes in comes
    out.
    """
    text = "\n".join(
        ",".join(f"{predicted},{actual}" for predicted, actual in line) for line in lines
    )
    counts = older_formats.Counts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(older_formats, "CHUNK_BYTES", chunk)
        patch.setattr(older_formats, "LONG_LINE", long)
        older_formats.count(io.BytesIO(text.encode()), name="f", counts=counts, bad=lambda *_: None)
    expected = older_formats.Counts()
    expected.pairs.update(pair for line in lines for pair in line)
    assert counts.pairs == expected.pairs


def test_odd_lines_are_named_by_file_and_number() -> None:
    """Odd counts and empty fields are told with their line, counted and skipped; the others
    count.
    """
    counts, bad = _count(b"7,7,1,1\n7,7,1\n\n 3 , 3 \r\n5,\n,\n4,4,\n7,7,1\n8,8")
    assert dict(counts.pairs) == {
        ("7", "7"): 1,
        ("1", "1"): 1,
        ("3", "3"): 1,
        ("4", "4"): 1,
        ("8", "8"): 1,
    }
    assert sorted(line for line, _ in bad) == [2, 5, 6, 8]
    assert "3 fields" in bad[0][1]
    assert counts.malformed == 4
    assert counts.table().skipped["malformed"] == 4


@pytest.mark.parametrize(
    "line", ["7,7,1,1,2,2,3,3,4,4,5,5,6,6", " 7 ,7\t,1,1,2,2,3,3,4,4,5,5,6,6\r"]
)
@pytest.mark.parametrize("odd", ["7,7,1,1,2,2,3,3,4,4,5,5,6", "7,7,1,1,2,2,3,3,4,4,5,,6,6"])
def test_a_bad_line_among_long_ones_is_found(line: str, odd: str) -> None:
    """Where lines are long and counted at once, a bad one is still named by its number."""
    counts, bad = _count(f"{line}\n{line}\n{odd}\n{line}".encode())
    assert [number for number, _ in bad] == [3]
    assert dict(counts.pairs) == {(digit, digit): 3 for digit in "7123456"}


@pytest.mark.parametrize(
    "text",
    [
        '{"predicted_class": 7, "actual_class": "7"}',
        '{\n  "predicted_class": 7,\n  "actual_class": 7\n}\n',
        '[{"predicted_class": "7", "actual_class": 7.0}]',
        '\ufeff{"predicted_class": "7", "actual_class": "7", "more": [1]}\n\n',
    ],
)
def test_objects_one_a_file_or_one_a_line(text: str) -> None:
    """However it is laid out, 7 and "7" are one class."""
    counts, bad = _count(text.encode())
    assert dict(counts.pairs) == {("7", "7"): 1}
    assert bad == []


def test_a_torn_last_object_is_named() -> None:
    """The line that a crash tore is skipped with its number; a predicted 0 counts."""
    line = json.dumps({"predicted_class": 0, "actual_class": 0})
    counts, bad = _count(f'{line}\n{line}\n{{"predicted_class": 1, "actu'.encode())
    assert dict(counts.pairs) == {("0", "0"): 2}
    assert [number for number, _ in bad] == [3]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """A picture given for pairs is an error that names the file."""
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    with pytest.raises(Invalid, match=r"a\.png"):
        older_formats.count_files([path], bad=lambda *_: None)


def test_the_report_of_older_pairs_claims_nothing_it_cannot_know() -> None:
    """No confidence: no calibration; no time: no days; nobody knows who labelled: it says so."""
    counts, _ = _count(b"7,7\n" * 30 + b"7,1\n")
    result = report.build(counts.table())
    assert (
        result["pairs"],
        result["by_day"],
        result["calibration"]["ece"],
        result["selective"],
    ) == (31, [], None, [])
    assert result["estimate"]["basis"] == "unknown"
