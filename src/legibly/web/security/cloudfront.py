"""Takes the client's address and protocol from CloudFront's headers, if only it can connect.

Source: "CloudFront-Viewer-Address" and "CloudFront-Forwarded-Proto" in the CloudFront Developer
Guide, "Add CloudFront request headers". CloudFront replaces these headers if a caller sends them.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class CloudFrontMiddleware:
    """Set client and scheme of each request from CloudFront's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            address, _, port = headers.get(b"cloudfront-viewer-address", b"").rpartition(b":")
            if address and port.isdigit():  # an IPv6 address has no brackets
                scope["client"] = (address.decode("latin-1"), int(port))
            scheme = headers.get(b"cloudfront-forwarded-proto", b"").decode("latin-1")
            if scheme in ("http", "https"):
                scope["scheme"] = scheme
        await self._app(scope, receive, send)
