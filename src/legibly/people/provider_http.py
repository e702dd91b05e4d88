"""Requests to an OpenID provider: few at once, each within a time, no redirects."""

import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from legibly.errors import Unavailable

_AT_ONCE = 4
_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 15.0
_MAX_BYTES = 1_000_000


class ProviderHttp:
    """Fetches JSON for the threads of a server, whatever the provider does: at most four threads
    wait for it, for `seconds` each, and for a while after that nobody does.
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._failed_until = 0.0

    def fetch(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an address. Raises Unavailable if there is none."""
        is_pause = time.monotonic() < self._failed_until
        if is_pause or not self._slots.acquire(timeout=_WAIT_SECONDS):
            raise Unavailable("the provider does not answer.", where=url)
        began = time.monotonic()
        try:
            status, body = _exchange(url, form, headers or {}, seconds=self._seconds)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                "the provider does not answer: {error}.", where=url, error=str(error)
            ) from error
        finally:
            self._slots.release()
            if time.monotonic() - began > 0.9 * self._seconds:
                self._failed_until = time.monotonic() + _PAUSE_SECONDS
        return status, _json_object(url, status, body)


def _json_object(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status >= 500 or status == 429 or not isinstance(answer, dict):
        raise Unavailable(
            "the provider answers {status}, and no JSON object.", where=url, status=status
        )
    return answer


def _exchange(
    url: str, form: Mapping[str, str] | None, headers: Mapping[str, str], *, seconds: float
) -> tuple[int, bytes]:
    """Status and body. The whole takes no longer than `seconds`, however slowly bytes come."""
    data = urlencode(form).encode() if form is not None else None
    all_headers = {"Accept": "application/json", **headers}
    request = urllib.request.Request(url, data, all_headers)  # noqa: S310
    deadline = _Deadline(seconds)
    opener = urllib.request.build_opener(_Stay, _Handler(deadline))
    try:
        with opener.open(request, timeout=seconds) as response:
            return response.status, response.read(_MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_MAX_BYTES)
    except ValueError as error:  # a response without a status line that can be read
        raise http.client.HTTPException(str(error)) from error
    finally:
        deadline.cancel()


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: what we send is meant for one address."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Deadline:
    """Ends a connection in time; a socket's own time-out begins again with each byte."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Start; the copy stays valid when TLS takes the socket over."""
        self._socket = connection.dup()
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already


class _WatchedConnection(http.client.HTTPConnection):
    deadline: _Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.watch(self.sock)


class _WatchedTlsConnection(http.client.HTTPSConnection, _WatchedConnection):
    """Its handshake is watched too: the plain connection is made first."""


class _Handler(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._opened(_WatchedConnection, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._opened(_WatchedTlsConnection, req)

    def _opened(self, kind: type, request: urllib.request.Request) -> http.client.HTTPResponse:
        connection: Any = type("Connection", (kind,), {"deadline": self._deadline})
        return self.do_open(connection, request)
