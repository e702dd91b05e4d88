"""Pairs, lines and folders that several accuracy tests use."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from legibly import object_keys
from legibly.accuracy import plan
from legibly.accuracy.engines import reference
from legibly.statistics import aggregates

NASTY = [
    '{"image":"a","predicted":"7","actual":"7","confidence":0.9,"model":"d@1","source":"asked","labelled_at":"2026-11-22T10:00:00.123Z"}',
    '{"image":"a","predicted":"7","actual":"1","confidence":0.9,"model":"d@1","source":"asked","labelled_at":"2026-11-22T10:00:00.124Z"}',
    '{"image":"a","predicted":"4","actual":"4","confidence":1,"model":"d@2","source":"asked","labelled_at":"2026-11-22T10:00:00.124Z"}',
    '{"image":"b","predicted":7,"actual":null,"confidence":NaN,"model":"d@1","labelled_at":"2026-11-22T10:00:00.1+01:00","more":{"a":1}}',
    '{"image":"c","predicted":true,"actual":7,"confidence":"0.5"}',
    '{"image":"d","predicted":"\\u00e9é","actual":"","confidence":Infinity,"labelled_at":"3026-01-01T00:00:00Z"}',
    '{"image":"e","predicted":"1","actual":"1","confidence":1e-3,"labelled_at":"2026-02-30T10:00:00Z"}',
    (
        '{"image":"f","predicted":"12/3'
        ' 4","actual":"12/34","confidence":-1,"labelled_at":"2026-02-03 10:00:00"}'
    ),
    '{"image":"g","predicted":"90210","actual":"90218","confidence":0.9994999,"labelled_at":"1969-12-31T23:59:59Z"}',
    '{"image":"h","predicted":null,"actual":"1"}',
    '{"image":"","predicted":"1","actual":"1"}',
    '{"predicted":"1","actual":"1"}',
    '{"image":"i","predicted":"1","actual":"1","confidence":0.5} trailing',
    '{"image":"j","predicted":"1","actual":"1"}{"image":"k","predicted":"1","actual":"1"}',
    '{"image":"m","predicted":"7","actual":"","verdict":"unsure","nothing":true}',
    '{"image":"n","predicted":"7","actual":"","verdict":"read","nothing":true}',
    '{"image":"o","predicted":"12","actual":"","verdict":7}',
    '{"verdict":"read"}',
    "[1]",
    "55",
    "null",
    '"x"',
    "{}",
    "",
    "   ",
    "not json",
    '{"image":"l","predicted":"1","ac',
]
"""What stood in some file once: every line has to be counted the same way, or skipped with a count.
"""

MODELS = ("digits@111111111111", "digits@222222222222")
moments = st.one_of(
    st.sampled_from(
        ["2026-11-22T10:00:00.000Z", "2026-11-22T10:00:00.001Z", "2026-11-21T23:59:59.999Z"]
    ),
    st.sampled_from(
        [
            "2026-11-22 10:00:00",
            "2026-11-22T10:00:00.1234+05:30",
            "2026-13-01T00:00:00Z",
            "soon",
            "",
        ]
    ),
    st.sampled_from(
        ["2026-11-22T23:30:00-12:00", "2026-11-22T00:10:00+01", "2026-11-22T22:00:00.5-02:00"]
    ),
    st.none(),
)
texts = st.one_of(
    st.sampled_from(["0", "1", "7", "12", "12/3", "90 210", "", "cat", "Ж", "'"]), st.none()
)
records = st.fixed_dictionaries(
    {},
    optional={
        "image": st.one_of(
            st.sampled_from(["a", "b", "c", "d", "", "0192"]), st.none(), st.integers(0, 3)
        ),
        "predicted": texts,
        "actual": texts,
        "confidence": st.one_of(
            st.floats(0, 1),
            st.sampled_from([0, 1, 0.95, 0.999, 2, -0.5, "0.7", "?", True]),
            st.none(),
        ),
        "model": st.one_of(st.sampled_from(MODELS), st.none()),
        "source": st.one_of(st.sampled_from(["asked", "volunteered", "at_upload", ""]), st.none()),
        "labelled_at": moments,
        "writer": st.none(),
        "verdict": st.one_of(st.sampled_from(["read", "unsure", "blank"]), st.none()),
    },
)
lines = st.lists(st.one_of(records.map(json.dumps), st.sampled_from(NASTY)), max_size=25)
deletions = st.sets(st.sampled_from(["a", "d"]))


def write_lines(
    base: Path, parts: Sequence[Sequence[str]], *, deleted: Sequence[str] = ()
) -> plan.Plan:
    """A store of a folder: one file a part, tombstones for the deleted; the plan to read it."""
    for number, part in enumerate(parts):
        put(
            base, f"{object_keys.PAIRS}date=2026-11-22/{number:03d}.jsonl", "\n".join(part).encode()
        )
    for image in deleted:
        put(base, f"{object_keys.DELETIONS}date=2026-11-22/{image}.json", b"{}")
    return planned(base)


def put(base: Path, key: str, data: bytes) -> None:
    """One object of a folder store."""
    path = base / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def planned(base: Path) -> plan.Plan:
    """The plan of a folder store."""
    files = [path for path in base.rglob("*") if path.is_file()]
    sizes = {str(path.relative_to(base)): path.stat().st_size for path in files}
    return plan.make(sizes, read=lambda key: (base / key).read_bytes(), sizes=sizes)


def expected(parts: Sequence[Sequence[str]], *, deleted: Sequence[str] = ()) -> aggregates.Table:
    """What plain Python counts."""
    return reference.table(
        reference.rows_of_lines([line for part in parts for line in part]), deleted=deleted
    )


def pair(image: str, predicted: str, actual: str | None, **more: Any) -> dict[str, Any]:
    """One record as it stands in a file."""
    usual = {"confidence": 0.9, "model": MODELS[0], "writer": None, "source": "volunteered"}
    result = {
        "image": image,
        "predicted": predicted,
        "actual": actual,
        **usual,
        "labelled_at": "2026-11-22T10:00:00.000Z",
    }
    return {**result, **more}
