"""History: the gallery page and its downloads."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response, StreamingResponse

from legibly import object_keys, records
from legibly.accuracy import whole
from legibly.exchange import exports
from legibly.index.port import Filter
from legibly.records import Image
from legibly.web.security.principal import Principal, principal_of
from legibly.web.services import state_of

if TYPE_CHECKING:
    from legibly.web.pages.rendering import Pages

VERDICTS = ("read", "unsure", "blank", "not_a_digit")
_EXACT = ("verdict", "text", "label", "writer", "state", "since", "until")
_MOST_IDS = 100_000


def filter_of(query: Mapping[str, str], principal: Principal) -> Filter:
    """The filter of an address, only of what the principal may see."""
    values = {name: query[name] for name in _EXACT if query.get(name)}
    return Filter(**values, wrong=query.get("wrong") == "true", owner=principal.owner)  # type: ignore[arg-type]


def add(routes: APIRouter, pages: "Pages") -> None:
    """Add the routes."""

    @routes.get("/history")
    def history(request: Request) -> Response:
        """The gallery."""
        return pages.render(request, "history.html", verdicts=VERDICTS)

    @routes.get("/history/download.{kind}")
    def all_matching(request: Request, kind: exports.Format) -> Response:
        """Everything that the filter in the address wants."""
        state, image_filter = (
            state_of(request),
            filter_of(request.query_params, principal_of(request)),
        )
        cell = (request.query_params.get(name) for name in ("actual", "predicted"))
        place = exports.Place.of(*cell, whole=lambda: whole.models(state.settings))
        matches = exports.matching(state.index, image_filter, place=place)
        return _download(exports.stream(matches, kind, store=state.store), kind)

    @routes.post("/history/download.{kind}")
    def selected(request: Request, kind: exports.Format, ids: Annotated[str, Form()]) -> Response:
        """The images of these ids, separated by spaces."""
        return _download(
            exports.stream(_named(request, ids), kind, store=state_of(request).store), kind
        )

    @routes.post("/history/delete", status_code=204)
    def delete(request: Request, ids: Annotated[str, Form()]) -> Response:
        """Delete the images of these ids, separated by spaces, with every record of them."""
        principal_of(request).require("delete")
        state_of(request).service.remove([image.id for image in _named(request, ids)])
        return Response(status_code=204)


def _named(request: Request, ids: str) -> Iterator[Image]:
    image_ids = [image_id for image_id in ids.split()[:_MOST_IDS] if object_keys.is_id(image_id)]
    return exports.named(state_of(request).index, image_ids, may_see=principal_of(request).may_see)


def _download(chunks: Iterator[bytes], kind: exports.Format) -> Response:
    name = f"legibly-{records.now():%Y-%m-%d-%H%M}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type=exports.MEDIA_TYPES[kind], headers=headers)
