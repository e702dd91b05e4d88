"""Defaults of every response: HEAD is GET without a body, and nothing is cached unless asked."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_API = ("/api/", "/v2", "/metrics", "/openapi.json", "/readyz")
_ENDLESS = "/api/live"


class ResponseDefaults:
    """ASGI middleware: answers HEAD, and adds missing headers to API responses."""

    def __init__(self, app: ASGIApp, *, public_url: str = "") -> None:
        self._app = app
        self._scheme = public_url.partition("://")[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._scheme:  # a proxy ended TLS: links and cookies need the public address
            scope = {**scope, "scheme": self._scheme}
        path = scope["path"]
        is_head = scope["method"] == "HEAD" and path != _ENDLESS

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and path.startswith(_API):
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            if message["type"] == "http.response.body" and is_head:
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"} if is_head else scope, receive, sending)
