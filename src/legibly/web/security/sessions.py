"""Signed cookies: sessions, and the state of a sign-in by OpenID Connect."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Self

from fastapi import Request, Response

from legibly.people.accounts import Account


@dataclass(frozen=True, slots=True)
class Session:
    """A session; `epoch` is the account's at sign-in, `until` a Unix time in seconds."""

    id: str
    account: str
    epoch: int
    until: int

    @classmethod
    def of(cls, account: Account, *, hours: int) -> Self:
        """A fresh session."""
        return cls(
            secrets.token_urlsafe(16), account.id, account.epoch, int(time.time()) + hours * 3600
        )

    @classmethod
    def for_pupil(cls, owner: str, *, hours: int) -> Self:
        """The session of a pupil."""
        return cls(secrets.token_urlsafe(16), owner, 0, int(time.time()) + hours * 3600)

    def seal(self, key: bytes) -> str:
        """The cookie's value."""
        return seal("session", [self.id, self.account, self.epoch, self.until], key)

    @classmethod
    def unseal(cls, value: str, key: bytes) -> Self | None:
        """The session in a cookie; None if it was not sealed with `key` or is over."""
        values = unseal("session", value, key)
        session = cls(*values) if values is not None else None
        return session if session and session.until > time.time() else None


def seal(kind: str, values: list[Any], key: bytes) -> str:
    """Sign values with `key`, and return them as text; it can only be unsealed as the same kind."""
    body = _encoded(json.dumps(values).encode())
    return f"{body}.{_encoded(_signature(key, kind, body))}"


def unseal(kind: str, text: str, key: bytes) -> list[Any] | None:
    """The sealed values; None if kind or key are different."""
    body, _, signature = text.partition(".")
    if not hmac.compare_digest(_encoded(_signature(key, kind, body)).encode(), signature.encode()):
        return None
    return list(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def _signature(key: bytes, kind: str, body: str) -> bytes:
    return hmac.digest(key, f"{kind}:{body}".encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_SECURE = "__Host-legibly"
_PLAIN = "legibly-session"
"""Browsers refuse the first one from other hosts and without TLS; plain HTTP can only use the
second.
"""


def is_secure(request: Request) -> bool:
    """Whether the browser uses TLS, with us or a proxy."""
    signs = (
        request.url.scheme,
        request.headers.get("x-forwarded-proto", ""),
        request.headers.get("origin", ""),
    )
    return any(text.startswith("https") for text in signs)


def begin(request: Request, response: Response, session: Session, key: bytes) -> None:
    """Set the session cookie."""
    seconds = max(0, session.until - int(time.time()))
    put(
        request,
        response,
        _SECURE if is_secure(request) else _PLAIN,
        session.seal(key),
        seconds=seconds,
    )


def put(request: Request, response: Response, name: str, value: str, *, seconds: int) -> None:
    """Set a cookie that scripts cannot read and other sites' forms do not send."""
    secure = is_secure(request)
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
    )


def drop(request: Request, response: Response, name: str) -> None:
    """Remove a cookie set by `put`."""
    response.delete_cookie(name, path="/", secure=is_secure(request), httponly=True, samesite="lax")


def cookie_value(request: Request) -> str:
    """The cookie's value or empty; with TLS only the cookie that TLS protects."""
    secure = request.cookies.get(_SECURE) or ""
    return secure if is_secure(request) else secure or request.cookies.get(_PLAIN) or ""


def end(response: Response) -> None:
    """Remove the session cookie."""
    response.delete_cookie(_SECURE, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(_PLAIN, path="/", httponly=True, samesite="lax")
