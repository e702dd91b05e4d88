"""My handwriting: the report, its page, the practice page, and the API's `/api/legibility`."""

import itertools
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from legibly.errors import LegiblyError, NotFound
from legibly.exchange import exports
from legibly.handwriting import advice, report
from legibly.images import thumbnails
from legibly.index.port import Filter
from legibly.records import Image
from legibly.web.pages.rendering import Pages
from legibly.web.security.principal import principal_of, require_visible
from legibly.web.services import state_of
from legibly.web.text import i18n

MOST_IMAGES = 2000
_WRITER = Annotated[str | None, Query(max_length=200, description="one writer's pictures only")]
_MARGIN = 0.15


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @routes.get("/handwriting")
    def handwriting(request: Request, writer: _WRITER = None) -> Response:
        """How legible each digit is, and what would help."""
        handwriting_report = own_report(request, writer)
        return pages.render(
            request,
            "handwriting.html",
            legibility=handwriting_report,
            writer=writer or "",
            most=MOST_IMAGES,
        )

    @routes.get("/handwriting/practice")
    def practice(request: Request, writer: _WRITER = None) -> Response:
        """The app asks for digits and tells at once how legible they are."""
        handwriting_report = own_report(request, writer)
        weights = {row["digit"]: row["legibility"]["value"] for row in handwriting_report["digits"]}
        return pages.render(request, "practice.html", weights=weights, writer=writer or "")

    @routes.get("/api/legibility", tags=["accuracy"])
    def get_legibility(request: Request, writer: _WRITER = None) -> JSONResponse:
        """The principal's own handwriting report.

        For each digit its legibility, trend, examples and advice.
        """
        return JSONResponse(own_report(request, writer))

    @routes.get("/images/{image_id}/items/{number}/picture")
    def item(request: Request, image_id: str, number: int) -> Response:
        """One item of a picture, cut out upright with a little room around it."""
        image = _find(request, image_id)
        if image.reading is None or not 0 <= number < len(image.reading.digits):
            raise NotFound("this picture has no such item.")
        state = state_of(request)
        data = thumbnails.cut(
            state.store.read(image.key),
            box=image.reading.digits[number].box,
            margin=_MARGIN,
            side=192,
            max_pixels=state.settings.max_pixels,
        )
        headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(data, headers=headers, media_type="image/webp")

    @routes.get("/images/{image_id}/items/{number}/why")
    def why(request: Request, image_id: str, number: int) -> JSONResponse:
        """One sentence on why an item was read so; empty where this model gives none."""
        image = _find(request, image_id)
        state = state_of(request)
        explain = getattr(state.views, "explanation", None)
        if explain is None or image.reading is None or image.reading.model != state.views.model:
            return JSONResponse({"sentence": ""})
        explanation = explain(state.store.read(image.key), number)
        return JSONResponse({"sentence": explanation.sentence(i18n.catalogue_for(request).gettext)})


def own_report(request: Request, writer: str | None) -> dict[str, Any]:
    """The report of the principal's newest pictures, or of one writer whom the principal may see."""
    image_filter = Filter(owner=principal_of(request).account, writer=writer, state="read")
    if writer:
        image_filter = Filter(owner=principal_of(request).owner, writer=writer, state="read")
    state = state_of(request)
    images = list(itertools.islice(exports.matching(state.index, image_filter), MOST_IMAGES))
    legibility = report.report(images, classes=[str(digit) for digit in range(10)])
    for row in legibility["digits"]:
        if row["read_as"]:
            row["advice"] = _advice(request, row)
    return legibility


def _advice(request: Request, row: dict[str, Any]) -> str:
    """The advice for the least legible example that was read as that other digit, from its ink."""
    intended = row["digit"]
    read = row["read_as"]
    for example in row["worst"] + row["best"]:
        if example["read"] == read:
            try:
                data = state_of(request).store.read(_find(request, example["image"]).key)
                return advice.pair(
                    intended, read, state_of(request).views.inputs(data)[example["item"]]
                )
            except (LegiblyError, IndexError):
                break
    return advice.pair(intended, read)


def _find(request: Request, image_id: str) -> Image:
    return require_visible(state_of(request).index.get(image_id), principal_of(request))
