"""Traces of what happens to an image, for OpenTelemetry: off unless its variables name a collector.

The id of an image is the id of its trace, so that the server, the function and other workers add to
one trace without telling each other anything.
"""

import contextlib
import functools
import logging
import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

_log = logging.getLogger(__name__)
_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LOW_BITS = (1 << 64) - 1
_FLUSH_MILLISECONDS = 2000


@contextlib.contextmanager
def span(stage: str, *images: str) -> Iterator[None]:
    """Time a stage of these images: a span in the trace of each."""
    active = tracer()
    if active is None:
        yield
        return
    spans = [
        active.start_span(stage, context=_parent(image), attributes={"legibly.image": image})
        for image in images
    ]
    try:
        yield
    except Exception as error:
        for opened in spans:
            opened.record_exception(error)
        raise
    finally:
        for opened in spans:
            opened.end()


@functools.cache
def tracer() -> "Tracer | None":
    """Made with the first span of a process, for its thread does not survive a fork."""
    if not any(os.environ.get(name) for name in _VARIABLES):
        return None
    try:
        return _open_tracer()
    except ImportError as error:
        _log.warning("no traces: %s. Install legibly[otel].", error)
        return None


def flush() -> None:
    """Send the spans that wait, before AWS freezes the process."""
    if tracer() is not None:
        from opentelemetry import trace

        send = getattr(trace.get_tracer_provider(), "force_flush", None)
        if send is not None:
            send(_FLUSH_MILLISECONDS)


def _open_tracer() -> "Tracer":
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # a layer of AWS Lambda brings its own
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create(_name()))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return provider.get_tracer("legibly")


def _name() -> dict[str, str]:
    """The service's name, where OpenTelemetry's own variables give none."""
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if "OTEL_SERVICE_NAME" in os.environ or "service.name=" in attributes:
        return {}
    return {"service.name": "legibly"}


def _parent(image: str) -> "Context":
    """The image itself as the parent of its spans: its id is the id of the trace."""
    from opentelemetry import trace

    number = uuid.UUID(image).int
    return trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                number,
                number & _LOW_BITS,
                is_remote=True,
                trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            )
        )
    )
