"""How many passwords are checked at once."""

import contextlib

import pytest

from legibly import errors
from legibly.people import passwords


def test_few_passwords_are_checked_at_once() -> None:
    """Each takes 64 MiB: two are checked and eight wait, and further callers are sent away."""
    book = passwords.Passwords()
    with contextlib.ExitStack() as full:
        for _ in range(10):
            full.enter_context(passwords._queued_hashes)
        with pytest.raises(errors.Unavailable, match="too many people are signing in"):
            book.verify(None, "a wrong password")
    assert not book.verify(None, "a wrong password")
