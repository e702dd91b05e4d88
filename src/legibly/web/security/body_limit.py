"""Limits request bodies, and reads a larger one to its end so that the client gets the answer."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly.web.errors import BodyTooLarge, problem_of_http, respond

_DRAIN_FACTOR = 4
"""A body up to so many times the limit is read and dropped; beyond that the connection breaks."""
_DRAIN_SECONDS = 20.0


class BodyLimit:
    """ASGI middleware: 413 for bodies of more than `limit` bytes.

    A client such as urllib sends its whole body before it reads the answer. It sees a broken pipe
    when the server stops reading.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            await self._drain(receive)
            error = BodyTooLarge(self._limit)
            await respond(request, problem_of_http(error))(scope, receive, send)
            return
        total = 0

        async def limited() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._limit:
                if message.get("more_body"):
                    await self._drain(receive)
                raise BodyTooLarge(self._limit)
            return message

        await self._app(scope, limited, send)

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
