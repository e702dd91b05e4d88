"""Buckets with keys that obstore refuses."""

import html
import http.server
import threading
from collections.abc import Iterator

import pytest

from legibly.store import open_store

GOOD = ["images/good.png", "images/é.png", "images/a b+c#?.png"]
STRANGE = ["images//x.png", "images/./b.png", "images/../c.png", "images/t\tab.png"]


class _Listing(http.server.BaseHTTPRequestHandler):
    """Answers each request with one listing of all keys."""

    def do_GET(self) -> None:
        entries = "".join(
            f"<Contents><Key>{html.escape(key).replace(chr(9), '&#9;')}</Key><Size>3</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in sorted(GOOD + STRANGE)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        data = b"<?xml version='1.0'?>" + body.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An S3 server with these keys."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("url", "prefix"), [("s3://b", "images/"), ("s3://b/images", "")])
def test_strange_keys_are_skipped_and_named(endpoint: str, url: str, prefix: str) -> None:
    """Empty, `.` and `..` segments and tabs stop no listing; every other key is listed."""
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    store = open_store(url, environ={"AWS_ENDPOINT_URL": endpoint, **credentials})
    cut = len("images/") - len(prefix)
    for _ in range(2):
        assert {stat.key for stat in store.list(prefix)} == {key[cut:] for key in GOOD}
    assert set(store.skipped) == {key[cut:] for key in STRANGE}
