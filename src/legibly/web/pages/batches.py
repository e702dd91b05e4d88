"""Batches: the list, and the result table of one."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from legibly import object_keys
from legibly.index.port import BatchCount
from legibly.web.pages.rendering import Pages, classes_of
from legibly.web.security.principal import principal_of, visible_batch
from legibly.web.services import state_of

MAX_BATCHES = 200


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @routes.get("/batches")
    def listed(request: Request) -> Response:
        """The newest batches with their counts."""
        return pages.render(request, "batches.html", batches=newest(request))

    @routes.get("/batches/{batch_id}")
    def batch(request: Request, batch_id: str) -> Response:
        """One batch: its images as a table."""
        count = visible_batch(state_of(request).index, batch_id, principal_of(request))
        return pages.render(request, "batch.html", batch=entry(count), classes=classes_of(request))


def newest(request: Request) -> list[dict[str, Any]]:
    """The newest batches that the caller may see."""
    visibility = principal_of(request).visibility
    counts = state_of(request).index.batches(**visibility, limit=MAX_BATCHES)
    return [entry(count) for count in counts]


def entry(count: BatchCount) -> dict[str, Any]:
    """The values of a batch for a page."""
    moment = object_keys.received_at(count.batch.id)
    return {"id": count.batch.id, "name": count.batch.name, "at": moment, "count": count}
