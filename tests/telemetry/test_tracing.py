"""Traces: every stage of an image, whoever does it, in the trace of its id."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import pictures
from legibly.index.port import Filter
from legibly.index.sql import open_index
from legibly.ingest.batch import BatchReader
from legibly.ingest.consumer import Consumer, MemoryQueue
from legibly.ingest.s3_documents import Event, Message
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service
from legibly.store import open_store
from legibly.telemetry import tracing
from legibly.vision.reading import Reader

LIMIT = 1_000_000


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Those of this process, as they end."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:9")
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.tracer.cache_clear()
    yield exporter
    tracing.tracer.cache_clear()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    index = open_index(f"sqlite:///{tmp_path}/index.db")
    store = open_store("memory://", environ={})
    reader = Reader(open_pack(registry.find("digits")), max_pixels=LIMIT)
    yield Service(store=store, index=index, reader=reader, max_bytes=LIMIT, max_pixels=LIMIT)
    index.close()


def stages(spans: InMemorySpanExporter) -> dict[str, list[str]]:
    """Which stages ended in the trace of each image."""
    result = defaultdict(list)
    for span in spans.get_finished_spans():
        assert span.context is not None
        result[str(uuid.UUID(int=span.context.trace_id))].append(span.name)
    return dict(result)


def test_an_upload_is_one_trace(service: Service, spans: InMemorySpanExporter) -> None:
    """Storing, reading and the index, in the trace that has the image's id."""
    image = service.receive(pictures.png())
    service.classify(image)
    assert stages(spans) == {image.id: ["store", "read", "index"]}


def test_a_picture_of_the_store_is_one_trace(service: Service, spans: InMemorySpanExporter) -> None:
    """What the function reads and what a server takes in from its record's event belong together,
    though neither told the other of a trace.
    """
    service.store.replace("images/a.png", pictures.png())
    stat = service.store.head("images/a.png")
    event = Event("bucket", stat.key, "created", size=stat.size, at=stat.modified_at)
    function = BatchReader(store=service.store, reader=service.reader, max_bytes=LIMIT, attempts=1)
    function.read([Message(id="1", events=(event,))])
    [record] = service.store.list("records/readings/")
    message = Message(id="2", events=(Event("bucket", record.key, "created"),))
    Consumer(service, MemoryQueue()).take([message])
    [image] = service.index.page(Filter(), limit=10)
    assert stages(spans) == {image.id: ["read", "adopt", "index"]}


def test_without_an_address_there_are_no_traces() -> None:
    """Nothing of OpenTelemetry is asked for."""
    tracing.tracer.cache_clear()
    assert tracing.tracer() is None


def test_spans_that_wait_are_sent_before_a_function_freezes(spans: InMemorySpanExporter) -> None:
    """A batch of spans waits for seconds; `flush` sends it at once."""
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=60_000)
    provider.add_span_processor(processor)
    with tracing.span("read", str(uuid.uuid4())):
        pass
    assert not exporter.get_finished_spans()
    tracing.flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["read"]
    processor.shutdown()  # type: ignore[no-untyped-call]
