"""Handles uploads before the framework's router, which takes longer than writing a small picture.

The route is declared in `images` too: for the OpenAPI document, and for malformed parameters.
"""

import re
from types import SimpleNamespace

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from legibly.errors import LegiblyError
from legibly.web import errors
from legibly.web.api import images

_PATH = "/api/images"
_ROUTE = SimpleNamespace(path=_PATH)  # the name in the request metrics
_SECONDS = re.compile(r"\d{1,3}(\.\d{1,6})?")
_MAX_KEY = 200


class UploadRoute:
    """ASGI middleware: answers `POST /api/images`, and forwards everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and scope["path"] == _PATH
        if not is_upload or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        seconds = _seconds(request.query_params.getlist("wait"))
        key = request.headers.get("idempotency-key")
        if seconds is None or (key is not None and not 1 <= len(key) <= _MAX_KEY):
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        try:
            response = await images.answer_upload(request, seconds=seconds, idempotency_key=key)
        except (LegiblyError, HTTPException) as error:
            response = errors.expected_response(request, error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)


def _seconds(values: list[str]) -> float | None:
    """How long an upload waits for its reading; None if the value is invalid."""
    if not values:
        return 0.0
    if len(values) > 1 or _SECONDS.fullmatch(values[0]) is None:
        return None
    seconds = float(values[0])
    return seconds if seconds <= images.MAX_WAIT_SECONDS else None
