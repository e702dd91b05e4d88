"""Hashes passwords with argon2id, a few at once, and refuses weak ones."""

import contextlib
import secrets
import threading
from collections.abc import Iterator

import argon2

from legibly.errors import Invalid, Unavailable

MIN_LENGTH = 10
_WAIT_SECONDS = 10.0
_running_hashes = threading.BoundedSemaphore(2)
_queued_hashes = threading.BoundedSemaphore(10)


@contextlib.contextmanager
def _password_slot() -> Iterator[None]:
    """Wait for a slot to hash a password, which takes 64 MiB. Raises Unavailable if many wait."""
    if not _queued_hashes.acquire(blocking=False):
        raise _too_busy()
    try:
        if not _running_hashes.acquire(timeout=_WAIT_SECONDS):
            raise _too_busy()
        try:
            yield
        finally:
            _running_hashes.release()
    finally:
        _queued_hashes.release()


def _too_busy() -> Unavailable:
    return Unavailable(
        "too many people are signing in at once.",
        code="sign-in-busy",
        remedy="Try again in a moment.",
        retry_after_seconds=2,
    )


class Passwords:
    """Hashes and verifies. Both may raise Unavailable."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()  # argon2id, RFC 9106's second recommended parameters
        self._dummy_hash = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str, name: str) -> str:
        """Hash a new password of this account. Raises Invalid if it is too weak."""
        if len(password) < MIN_LENGTH:
            raise Invalid(
                "the password is too short: it needs at least {least} characters.",
                code="password-too-short",
                least=MIN_LENGTH,
            )
        if password.casefold() in (name.casefold(), name.casefold() * 2) or len(set(password)) < 4:
            raise Invalid(
                "the password is too easy to guess.",
                code="password-too-easy",
                remedy="Use a few unrelated words.",
            )
        with _password_slot():
            return self._hasher.hash(password[:1000])

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether a password matches the hash; takes as long without a hash."""
        try:
            with _password_slot():
                self._hasher.verify(hashed or self._dummy_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return hashed is not None
