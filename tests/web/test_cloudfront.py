"""Callers' addresses behind CloudFront."""

from starlette.types import Receive, Scope, Send

import services
from legibly.web.security.cloudfront import CloudFrontMiddleware


def observed(*headers: tuple[bytes, bytes]) -> tuple[str, str]:
    """Address and scheme of a request with these headers that comes from an edge by HTTP."""
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope)

    scope = {"type": "http", "headers": headers, "client": ("10.0.0.1", 80), "scheme": "http"}
    services.run_async(CloudFrontMiddleware(app)(scope, None, None))  # type: ignore[arg-type]
    return scopes[0]["client"][0], scopes[0]["scheme"]


def test_a_callers_address_is_not_the_edges() -> None:
    """Limits count callers, and cookies are secure; other headers change nothing."""
    https = (b"cloudfront-forwarded-proto", b"https")
    assert observed((b"cloudfront-viewer-address", b"192.0.2.7:4711"), https) == (
        "192.0.2.7",
        "https",
    )
    address = (b"cloudfront-viewer-address", b"2001:db8::7:4711")
    assert observed(address, https) == ("2001:db8::7", "https")
    assert observed((b"x-forwarded-for", b"192.0.2.7")) == ("10.0.0.1", "http")
    assert observed((b"cloudfront-viewer-address", b"rubbish")) == ("10.0.0.1", "http")
