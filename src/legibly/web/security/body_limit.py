"""Limits the size of request bodies and the time that they take.

A larger one is read to its end so that the client gets the answer.
"""

import asyncio

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly.errors import Unavailable
from legibly.web.errors import BodyTooLarge, error_response, problem_of_http, respond

_DRAIN_FACTOR = 4
"""A body up to this multiple of the limit is read and dropped; beyond it the connection breaks."""
_DRAIN_SECONDS = 20.0
SECONDS = 20.0
"""A body may take this long, and longer as it comes at MIN_RATE."""
MIN_RATE = 5_000
_LARGE_BYTES = 1_000_000
_MAX_LARGE_BYTES = 256_000_000
"""Limit on the total size of large bodies in progress, since each is kept in memory."""


class BodyLimit:
    """ASGI middleware: 413 for bodies of more than `limit` bytes, 408 for those that come too
    slowly, 503 for too many large ones.

    A client such as urllib sends its whole body before it reads the answer. It sees a broken pipe
    when the server stops reading.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._large_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            await self._drain(receive)
            refusal = respond(request, problem_of_http(BodyTooLarge(self._limit)))
            await refusal(scope, receive, send)
            return
        # A body of unknown length counts as the largest allowed.
        size = int(length) if length.isdecimal() else self._limit
        chunked = "transfer-encoding" in request.headers
        if size <= _LARGE_BYTES or not (chunked or length):
            await self._app(scope, self._limited(receive), send)
            return
        if self._large_bytes and self._large_bytes + size > _MAX_LARGE_BYTES:
            await self._drain(receive)
            error = Unavailable("too many large pictures are being processed.", code="busy")
            await error_response(request, error)(scope, receive, send)
            return
        self._large_bytes += size
        try:
            await self._app(scope, self._limited(receive), send)
        finally:
            self._large_bytes -= size

    def _limited(self, receive: Receive) -> Receive:
        """Limit the received bytes, regardless of the declared length, and the time they take."""
        total = 0
        due: float | None = asyncio.get_running_loop().time() + SECONDS

        async def limited() -> Message:
            nonlocal total, due
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            size = len(message.get("body", b""))
            total += size
            # After the body, the next message is that the client has left.
            due = due + size / MIN_RATE if due and message.get("more_body") else None
            if total > self._limit:
                if message.get("more_body"):
                    await self._drain(receive)
                raise BodyTooLarge(self._limit)
            return message

        return limited

    async def _drain(self, receive: Receive) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                total = 0
                while total < self._limit * _DRAIN_FACTOR:
                    message = await receive()
                    total += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return
