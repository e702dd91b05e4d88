"""Traces as a collector gets them: OTLP over HTTP, from a server as a user starts it."""

import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

import pictures
import services
from server import Server

protobuf = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="the exporter is missing: pip install 'legibly[otel]'",
)


class Collector(ThreadingHTTPServer):
    """Takes spans at /v1/traces: their names by trace, and the names of the senders."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Traces)
        self.stages: dict[str, list[str]] = defaultdict(list)
        self.senders: set[str] = set()

    def add(self, body: bytes) -> None:
        """Decode one request."""
        request = protobuf.ExportTraceServiceRequest.FromString(body)
        for part in request.resource_spans:
            names = {entry.key: entry.value.string_value for entry in part.resource.attributes}
            self.senders.add(names["service.name"])
            for span in (span for scope in part.scope_spans for span in scope.spans):
                assert span.start_time_unix_nano <= span.end_time_unix_nano
                self.stages[str(uuid.UUID(bytes=span.trace_id))].append(span.name)


class Traces(BaseHTTPRequestHandler):
    """Answers the exporter."""

    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.add(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_each_image_is_a_trace_at_the_collector(tmp_path: Path, collector: Collector) -> None:
    """An upload, and a picture that was put into the store, each with all its stages in the trace
    that has its id.
    """
    address = f"http://127.0.0.1:{collector.server_port}"
    tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Server.started(tmp_path, LEGIBLY_SWEEP_SECONDS="0.2", **tracing) as server:
        files = {"file": ("seven.png", pictures.png())}
        upload = httpx.post(f"{server.url}/api/images?wait=20", files=files, timeout=60).json()
        folder = server.objects / "images"
        folder.mkdir(exist_ok=True)
        (folder / "zero.png").write_bytes(pictures.png(pictures.ZERO))
        services.wait_for(lambda: len(complete(collector)) == 2, subject="the collector")
    stages = collector.stages
    assert sorted(stages.pop(upload["id"])) == ["index", "read", "store"]
    assert [sorted(names) for names in stages.values()] == [["adopt", "index", "read"]]
    assert collector.senders == {"legibly"}


def complete(collector: Collector) -> list[str]:
    """The images of which three stages came."""
    return [image for image, names in list(collector.stages.items()) if len(names) == 3]
