"""When people who looked at a picture agree."""

from datetime import timedelta

import pytest

from legibly.labels import agreement
from legibly.records import Label, now

RITA, ROB, TOM = (f"review:{name}" for name in ("rita", "rob", "tom"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        ([("ben", "7"), (None, "7")], None),
        ([("ben", "7"), (RITA, "7")], "second"),
        ([(RITA, "7"), (RITA, "7")], "second"),
        ([(RITA, "7"), (ROB, "7")], "agreed"),
        ([(RITA, "7"), (ROB, "1")], "disputed"),
        ([(RITA, "7"), (ROB, "1"), (ROB, "7")], "agreed"),
        ([(RITA, "7"), (ROB, "1"), (TOM, "2")], "disputed"),
        ([(RITA, "7"), (ROB, "1"), (TOM, "1")], "agreed"),
        ([(RITA, "7"), (ROB, "7"), (ROB, None)], "second"),
        ([(RITA, "7"), (ROB, "7"), (ROB, None), (ROB, "1")], "disputed"),
        ([(RITA, "7"), (RITA, None)], None),
    ],
)
def test_two_people_have_to_say_the_same(
    texts: list[tuple[str | None, str | None]], expected: str | None
) -> None:
    """Writers do not count, nobody counts twice, the newest of each counts, and what was taken back
    does not.
    """
    begin = now()
    labels = [
        Label(text, begin + timedelta(milliseconds=n), by=by) for n, (by, text) in enumerate(texts)
    ]
    assert agreement.agreement(reversed(labels)) == expected
