"""Sessions: a cookie that says who and until when, signed so that nobody else can write it."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Self

from fastapi import Request, Response

from legibly.accounts import Account


@dataclass(frozen=True, slots=True)
class Session:
    """Who signed in; `epoch` is the account's at that time, `until` a Unix time in seconds."""

    id: str
    account: str
    epoch: int
    until: int

    @classmethod
    def of(cls, account: Account, *, hours: int) -> Self:
        """A fresh session."""
        return cls(secrets.token_urlsafe(16), account.id, account.epoch, int(time.time()) + hours * 3600)

    @classmethod
    def for_pupil(cls, owner: str, *, hours: int) -> Self:
        """The session of somebody who joined a class."""
        return cls(secrets.token_urlsafe(16), owner, 0, int(time.time()) + hours * 3600)

    def seal(self, key: bytes) -> str:
        """The cookie's value."""
        body = _encoded(json.dumps([self.id, self.account, self.epoch, self.until]).encode())
        return f"{body}.{_encoded(_signature(key, body))}"

    @classmethod
    def unseal(cls, value: str, key: bytes) -> Self | None:
        """The session of a cookie; None where it was not sealed with `key`, or is over."""
        body, _, signature = value.partition(".")
        if not hmac.compare_digest(_encoded(_signature(key, body)).encode(), signature.encode()):
            return None
        try:
            session = cls(*json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except (binascii.Error, ValueError, TypeError):
            return None
        return session if session.until > time.time() else None


def _signature(key: bytes, body: str) -> bytes:
    return hmac.digest(key, body.encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_SECURE, _PLAIN = "__Host-legibly", "legibly-session"
"""Browsers refuse the first one from other hosts and without TLS; plain HTTP can only have the second."""


def is_secure(request: Request) -> bool:
    """Whether the browser came over TLS, to us or to a proxy in front, by what either says of it."""
    told = (request.url.scheme, request.headers.get("x-forwarded-proto", ""), request.headers.get("origin", ""))
    return any(text.startswith("https") for text in told)


def begin(request: Request, response: Response, session: Session, key: bytes) -> None:
    """Give the browser its cookie."""
    secure = is_secure(request)
    response.set_cookie(
        _SECURE if secure else _PLAIN,
        session.seal(key),
        max_age=max(0, session.until - int(time.time())),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def carried(request: Request) -> str:
    """The cookie's value; empty where there is none."""
    return request.cookies.get(_SECURE) or request.cookies.get(_PLAIN) or ""


def end(response: Response) -> None:
    """Take the cookie away, whichever it is."""
    response.delete_cookie(_SECURE, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(_PLAIN, path="/", httponly=True, samesite="lax")
