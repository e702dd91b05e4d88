"""The two older pair formats, counted as they stream: text `predicted,actual,predicted,actual,…`
and JSON objects `{"predicted_class": …, "actual_class": …}`, one per line or per file.

These pairs have no image, model, confidence or time: every pair counts, and the report's other
tables stay empty. One pass on one core is faster than starting a cluster, so all engines read these
files this way.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from legibly.errors import Invalid
from legibly.statistics import aggregates

CHUNK_BYTES = 1 << 24
VALUE_BYTES = 1 << 26
"""The largest file that is read as one JSON object over several lines."""

LONG_LINE = 24
"""Lines of at least this length hardly repeat, so that it pays to count their pairs at once."""
_PADDING = " \t\r\ufeff"
_INTEGRAL = re.compile(r"(-?[0-9]+)[.]0+")
_HEADER_WORDS = {
    *("predicted", "prediction", "predicted_class", "pred", "y_pred", "label", "target"),
    *("actual", "actual_class", "true", "truth", "y_true"),
}

Bad = Callable[[str, int, str], None]
"""Called for every bad line with the file, the line number from 1, and the fault."""


@dataclass(slots=True)
class Counts:
    """How often each pair (predicted, actual) occurs, and the number of unusable lines."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    malformed: int = 0

    def table(self) -> aggregates.Table:
        """The count rows of these pairs: undated, unknown model and source, no confidence."""
        undated = (aggregates.UNDATED_US, aggregates.UNKNOWN, aggregates.UNKNOWN)
        rows = (
            aggregates.Counted(*undated, predicted, actual, aggregates.NO_CONFIDENCE, n, 0)
            for (predicted, actual), n in self.pairs.items()
        )
        table = aggregates.collect(rows)
        table.skipped["malformed"] += self.malformed
        return table


def kind(head: bytes) -> str | None:
    """A file's format by its first bytes: `text`, `objects` (older JSON), `records`, `parquet`."""
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        return "objects" if b"predicted_class" in start or b"actual_class" in start else "records"
    return "text" if b"\0" not in start else None


def count_files(paths: Iterable[Path], *, bad: Bad) -> Counts:
    """Count files in the older formats. Raises Invalid for any other file."""
    counts = Counts()
    for path in paths:
        with path.open("rb") as file:
            count(file, name=str(path), counts=counts, bad=bad)
    return counts


def count(file: BinaryIO, *, name: str, counts: Counts, bad: Bad) -> None:
    """Add one file to `counts`. Raises Invalid if it has neither older format."""
    head = file.read(65_536)
    file.seek(0)
    format_ = kind(head)
    if format_ == "text":
        _count_text(file, name=name, counts=counts, bad=bad)
    elif format_ in ("objects", "records"):
        _count_objects(file, name=name, counts=counts, bad=bad)
    else:
        remedy = "Give text lines, JSON objects, or a store's URL."
        raise Invalid("this holds no pairs.", where=name, remedy=remedy)


def _count_text(file: BinaryIO, *, name: str, counts: Counts, bad: Bad) -> None:
    first = 1
    for block in _blocks(file):
        lines = block.decode("utf-8", errors="replace").split("\n")
        lines.pop()  # nothing follows the last line feed
        if first == 1 and _is_header(lines[0]):
            counts.malformed += 1
            bad(name, 1, "a header, not a pair")
            first = 2
            del lines[0]
        if not (len(block) > LONG_LINE * len(lines) and _count_at_once(lines, counts)):
            _count_lines(lines, first=first, name=name, counts=counts, bad=bad)
        first += len(lines)


def _count_at_once(lines: list[str], counts: Counts) -> bool:
    """Count the pairs of long lines unchecked. Returns False, uncounted, if a line may be bad."""
    if not all(line.count(",") & 1 for line in lines):
        return False
    fields = ",".join(lines).split(",")
    counted = Counter(zip(fields[::2], fields[1::2], strict=True))
    stripped = [
        (_field(predicted), _field(actual), n) for (predicted, actual), n in counted.items()
    ]
    if any(not predicted or not actual for predicted, actual, _ in stripped):
        return False
    for predicted, actual, n in stripped:
        counts.pairs[predicted, actual] += n
    return True


def _count_lines(lines: list[str], *, first: int, name: str, counts: Counts, bad: Bad) -> None:
    """Count equal lines first, so that each distinct line is parsed once."""
    for line, times in Counter(lines).items():
        pairs = _pairs(line)
        if pairs is None:
            counts.malformed += times
            _name_lines(lines, line, first=first, name=name, bad=bad)
        for pair in pairs or ():
            counts.pairs[pair] += times


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Chunks of complete lines, each ending in a line feed, the last one too."""
    rest = b""
    while chunk := file.read(CHUNK_BYTES):
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
    if rest:
        yield rest + b"\n"


def _pairs(line: str) -> list[tuple[str, str]] | None:
    fields = [_field(part) for part in line.split(",")]
    if fields == [""]:
        return []
    if fields[-1] == "" and len(fields) % 2:
        fields.pop()  # a comma at the end separates nothing
    if len(fields) % 2 or "" in fields:
        return None
    places = iter(fields)
    return list(zip(places, places, strict=True))


def _field(text: str) -> str:
    """A label without padding and quotes; `7.0`, as spreadsheets write it, is `7`."""
    label = text.strip(_PADDING)
    if len(label) > 1 and label[0] == label[-1] == '"':
        label = label[1:-1].replace('""', '"').strip(_PADDING)
    integral = _INTEGRAL.fullmatch(label) if label.endswith("0") else None
    return integral[1] if integral else label


def _is_header(line: str) -> bool:
    words = [_field(part).lower() for part in line.split(",")]
    return len(words) > 1 and _HEADER_WORDS.issuperset(words)


def _name_lines(lines: list[str], line: str, *, first: int, name: str, bad: Bad) -> None:
    fields = line.count(",") + 1
    problem = f"{fields} fields, which is an odd number" if fields % 2 else "an empty field"
    for offset, other in enumerate(lines):
        if other == line:
            bad(name, first + offset, problem)


def _count_objects(file: BinaryIO, *, name: str, counts: Counts, bad: Bad) -> None:
    value = _single_value(file)
    if value is not None:
        for number, entry in enumerate(value if isinstance(value, list) else [value], start=1):
            _count_object(entry, name=name, number=number, counts=counts, bad=bad)
        return
    file.seek(0)
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                entry = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except ValueError:
                entry = None
            _count_object(entry, name=name, number=number, counts=counts, bad=bad)


def _single_value(file: BinaryIO) -> Any:
    """The file as one JSON value; None if it has several values or is too large."""
    first = file.readline().removeprefix(b"\xef\xbb\xbf")
    try:
        json.loads(first)
    except ValueError:
        file.seek(0)
        data = file.read(VALUE_BYTES + 1)
        if len(data) > VALUE_BYTES:
            return None
        try:
            return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
        except ValueError:
            return None
    return None if not first.lstrip().startswith(b"[") else json.loads(first)


def _count_object(value: Any, *, name: str, number: int, counts: Counts, bad: Bad) -> None:
    known: dict[str, Any] = value if isinstance(value, dict) else {}
    predicted = _label(known.get("predicted_class"))
    actual = _label(known.get("actual_class"))
    if predicted is None or actual is None:
        counts.malformed += 1
        bad(name, number, "not a JSON object with predicted_class and actual_class")
    else:
        counts.pairs[predicted, actual] += 1


def _label(value: Any) -> str | None:
    """A class as text; numbers as they are written, so that 7 and "7" are one class."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, str):
        return _field(value)
    return str(value) if isinstance(value, int) else None
