"""Prometheus metrics: the work of this process, and the images of the index by state."""

import os
import time
from collections.abc import Iterator

from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly.index.port import Filter
from legibly.records import now
from legibly.statistics import coverage_drift
from legibly.statistics.coverage_drift import CoverageDrift
from legibly.telemetry import measures
from legibly.web.security.principal import principal_of
from legibly.web.services import State

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class _State(Collector):
    """What is the same in every process, and must not be summed: images, the queue, the model."""

    def __init__(self, state: State) -> None:
        self._state = state

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Describe the metrics in advance, so that registering does not query the database."""
        for name, text, labels in (
            ("images", "Images that the index knows.", ["state"]),
            ("model_info", "The model that reads.", ["name", "version"]),
            ("oldest_pending_seconds", "Seconds that the oldest pending image waits.", []),
            ("sweep_failing", "1 where the last look for pictures failed.", []),
            ("skipped_names", "Names in the store that cannot be keys.", []),
        ):
            yield GaugeMetricFamily(f"legibly_{name}", text, labels=labels)

    def collect(self) -> Iterator[Metric]:
        state = self._state
        counts = state.index.counts()
        oldest = state.index.page(Filter(state="pending", sort="oldest"), limit=1)
        seconds = (now() - oldest[0].received_at).total_seconds() if oldest else 0.0
        values: tuple[dict[tuple[str, ...], float], ...] = (
            {(name,): counts.get(name, 0) for name in ("pending", "read", "failed")},
            {(state.views.model.name, state.views.model.version): 1},
            {(): seconds},
            {(): float(bool(state.worker.problem))},
            {(): len(state.store.skipped)},
        )
        for family, samples in zip(self.describe(), values, strict=True):
            for labels, value in samples.items():
                family.add_metric(labels, value)
            yield family


class _Deeper:
    """Counts the measurements of the reader, the decoders, the store and the index."""

    def __init__(self, registry: CollectorRegistry, state: State) -> None:
        self._state = state
        self._drift = CoverageDrift()
        self._drift_gauge = Gauge(
            "legibly_verdict_drift",
            "Population stability index of `read` or not, the last 1,000 readings of this process"
            " against the model's card; 0 before 200.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._readings = Counter(
            "legibly_readings",
            "Pictures that were read, by verdict and version of the model.",
            ["verdict", "version"],
            registry=registry,
        )
        self._stages = Histogram(
            "legibly_stage_seconds",
            "Seconds that a stage of reading a picture took.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._errors = Counter(
            "legibly_store_errors",
            "Requests to the store that failed: away (no answer) or refused.",
            ["kind"],
            registry=registry,
        )
        texts = {
            "database_errors": "Transactions that the database failed.",
            "decoder_ends": "Decoding processes that a picture ended, by a crash or a limit.",
        }
        self._plain = {
            name: Counter(f"legibly_{name}", text, registry=registry)
            for name, text in texts.items()
        }
        for kind in ("away", "refused"):
            self._errors.labels(kind)

    def measure(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Add a measurement."""
        if name == "readings":
            self._readings.labels(**labels).inc(value)
            self._follow_drift(**labels)
        elif name == "stage_seconds":
            self._stages.labels(**labels).observe(value)
        elif name == "store_errors":
            self._errors.labels(**labels).inc(value)
        else:
            self._plain[name].inc(value)

    def _follow_drift(self, verdict: str, version: str) -> None:
        if version != self._state.views.model.version:
            return  # of a canary
        expected = coverage_drift.reference(self._state.views.pack.card.risk)
        index = self._drift.add(verdict, version, expected) if expected else None
        if index is not None:
            self._drift_gauge.set(index)


class _Counting:
    """Counts the application's requests; Starlette's base class needs a task for each."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "legibly_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "legibly_request_seconds",
            "Seconds until the answer began.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Routes, not paths: ids in a label would make a series for each image.
                route = getattr(scope.get("route"), "path", "other")
                self._requests.labels(scope["method"], route, str(message["status"])).inc()
                self._seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def share_counts(folder: str) -> None:
    """Share the counts of this process and its forks in files of `folder`: all have the sum."""
    os.environ[_FOLDER] = folder
    # The library has chosen at its import, before the number of processes was known.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def _counted(own: CollectorRegistry) -> CollectorRegistry:
    if _FOLDER not in os.environ:
        return own
    together = CollectorRegistry()
    multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def install(app: FastAPI, state: State) -> None:
    """Count the application's requests, and serve all metrics at `/metrics`."""
    counting = CollectorRegistry()
    registry = CollectorRegistry()
    registry.register(_State(state))
    measures.follow(_Deeper(counting, state).measure)
    app.add_middleware(_Counting, registry=counting)

    @app.get("/metrics", tags=["health"], response_class=Response)
    def get_metrics(request: Request) -> Response:
        """Metrics in Prometheus' text format, for a reviewer's token; for all where there are no
        accounts.
        """
        principal_of(request).require_role("reviewer")
        text = generate_latest(registry) + generate_latest(_counted(counting))
        return Response(text, media_type=CONTENT_TYPE_LATEST)
