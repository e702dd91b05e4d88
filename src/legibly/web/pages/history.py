"""History: the gallery page and its downloads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, cast, get_args

import numpy as np
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from numpy.typing import NDArray

from legibly import object_keys, records
from legibly.accuracy import label_mode
from legibly.errors import Invalid
from legibly.exchange import exports
from legibly.index.port import Filter, Sort
from legibly.labels.rules import NOTHING
from legibly.records import Image
from legibly.web import deletion
from legibly.web.pages import batches
from legibly.web.pages.rendering import Pages
from legibly.web.security import audit
from legibly.web.security.principal import Principal, principal_of
from legibly.web.services import State, state_of

VERDICTS = ("read", "unsure", "blank", "not_a_digit")
_EXACT = ("verdict", "text", "label", "writer", "state", "since", "until", "batch", "search")
_MAX_IDS = 100_000


def filter_of(query: Mapping[str, str], principal: Principal) -> Filter:
    """The filter in an address, limited to what the principal may see."""
    values = {name: query[name] for name in _EXACT if query.get(name)}
    if values.get("label") == NOTHING:
        values["label"] = ""
    sort = query.get("sort") or "newest"
    if sort not in get_args(Sort):
        raise Invalid("there is no such order.", where=sort[:80])
    labelled = {"true": True, "false": False}.get(query.get("labelled", ""))
    return Filter(
        **values,  # type: ignore[arg-type]
        wrong=query.get("wrong") == "true",
        labelled=labelled,
        confidence_from=_share(query, "confidence_from"),
        confidence_to=_share(query, "confidence_to"),
        sort=cast("Sort", sort),
        **principal.visibility,
    )


def filtered(request: Request, query: Mapping[str, str]) -> Iterator[Image]:
    """The images of an address: of its filter, and of its cell of the confusion matrix."""
    state = state_of(request)
    place = exports.Place.of(
        query.get("actual"),
        query.get("predicted"),
        single_label_models=lambda: label_mode.single_label_models(state.settings),
    )
    image_filter = filter_of(query, principal_of(request))
    return exports.matching(state.index, image_filter, place=place)


def _share(query: Mapping[str, str], name: str) -> float | None:
    try:
        return float(query[name]) if query.get(name) else None
    except ValueError:
        where = f"{name}={query[name][:20]}"
        raise Invalid("this is not a confidence from 0 to 1.", where=where) from None


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @routes.get("/history")
    def history(request: Request) -> Response:
        """The gallery."""
        return pages.render(
            request, "history.html", verdicts=VERDICTS, batches=batches.newest(request)
        )

    @routes.get("/history/download.{kind}")
    def all_matching(request: Request, kind: exports.Format) -> Response:
        """All images of the filter in the address."""
        return _download(state_of(request), filtered(request, request.query_params), kind)

    @routes.post("/history/download.{kind}")
    def selected(request: Request, kind: exports.Format, ids: Annotated[str, Form()]) -> Response:
        """The images with these ids, separated by spaces."""
        return _download(state_of(request), _named(request, ids), kind)

    _add_deletion(routes)


def _add_deletion(routes: APIRouter) -> None:
    @routes.post("/history/delete")
    def delete(request: Request, ids: Annotated[str, Form()]) -> JSONResponse:
        """Delete the images with these ids, separated by spaces, and all their records.

        `undo` is a token for `/history/restore`, null if there is too much to undo.
        """
        principal = principal_of(request)
        principal.require("delete")
        images = list(_named(request, ids))
        audit.record_deletion(request, images)
        token = deletion.delete(state_of(request), images, account=principal.account)
        body = {"count": len(images), "undo": token, "seconds": deletion.UNDO_SECONDS}
        return JSONResponse(body)

    @routes.post("/history/restore")
    def restore(request: Request, token: Annotated[str, Form()]) -> JSONResponse:
        """Undo a deletion: the pictures get new ids."""
        state = state_of(request)
        images = deletion.restore(state, token, account=principal_of(request).account)
        state.hub.notify(images)
        return JSONResponse({"images": [state.service.document(image) for image in images]})


def _named(request: Request, ids: str) -> Iterator[Image]:
    image_ids = [image_id for image_id in ids.split()[:_MAX_IDS] if object_keys.is_id(image_id)]
    return exports.by_ids(state_of(request).index, image_ids, may_see=principal_of(request).may_see)


def _download(state: State, images: Iterator[Image], kind: exports.Format) -> Response:
    def inputs(image: Image, data: bytes) -> Sequence[NDArray[np.float32]]:
        is_current = image.reading is not None and image.reading.model == state.views.model
        return state.views.inputs(data) if is_current else ()

    chunks = exports.stream(images, kind, store=state.store, inputs=inputs)
    name = f"legibly-{records.now():%Y-%m-%d-%H%M}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    media_type = exports.MEDIA_TYPES[kind.rpartition(".")[2]]
    return StreamingResponse(chunks, media_type=media_type, headers=headers)
