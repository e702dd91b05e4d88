"""My handwriting: the report, its page, the practice page, and the API's `/api/legibility`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from legibly.errors import NotFound
from legibly.images import thumbnails
from legibly.index.port import Filter
from legibly.records import Image
from legibly.web.pages.handwriting_reports import MAX_IMAGES, HandwritingReports
from legibly.web.pages.rendering import Pages, classes_of, sure_from
from legibly.web.security.principal import principal_of, require_visible
from legibly.web.services import state_of
from legibly.web.text import i18n

_PATIENCE_SECONDS = 0.12
_DIGITS = [str(digit) for digit in range(10)]
_WRITER = Annotated[str | None, Query(max_length=200, description="one writer's pictures only")]
_MARGIN = 0.15


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""
    _add_report(routes, pages)
    _add_practice(routes, pages)
    _add_items(routes)


def _add_report(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/handwriting")
    def handwriting(request: Request, writer: _WRITER = None) -> Response:
        """The legibility of each digit with advice; a slow report is loaded after the page."""
        legibility = report_of(request, own_filter(request, writer), seconds=_PATIENCE_SECONDS)
        return pages.render(
            request,
            "handwriting.html",
            legibility=legibility,
            writer=writer or "",
            person=writer or "",
            most=MAX_IMAGES,
        )

    @routes.get("/handwriting/report")
    def fragment(request: Request, writer: _WRITER = None) -> Response:
        """Only the report, for a page that did not wait for it."""
        legibility = report_of(request, own_filter(request, writer))
        return pages.render(
            request,
            "_handwriting_report.html",
            legibility=legibility,
            most=MAX_IMAGES,
            person=writer or "",
        )

    @routes.get("/api/legibility", tags=["accuracy"])
    def get_legibility(request: Request, writer: _WRITER = None) -> JSONResponse:
        """The principal's own handwriting report.

        For each digit its legibility, trend, examples and advice.
        """
        return JSONResponse(report_of(request, own_filter(request, writer)))


def _add_practice(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/handwriting/practice")
    def practice(request: Request, writer: _WRITER = None) -> Response:
        """The app asks for digits, and shows at once how legible they are."""
        legibility = report_of(request, own_filter(request, writer), seconds=_PATIENCE_SECONDS)
        digits = legibility["digits"] if legibility else []
        names = [row["digit"] for row in digits] or _DIGITS
        weights = dict.fromkeys(names) | {
            row["digit"]: row["legibility"]["value"] for row in digits
        }
        counts = {row["digit"]: row["n"] for row in digits}
        return pages.render(
            request, "practice.html", weights=weights, counts=counts, writer=writer or ""
        )


def _add_items(routes: APIRouter) -> None:
    @routes.get("/images/{image_id}/items/{number}/picture")
    def item(request: Request, image_id: str, number: int) -> Response:
        """One item of a picture, cropped upright with a margin."""
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
        """A sentence that explains how an item was read; empty if the model has none."""
        image = _find(request, image_id)
        state = state_of(request)
        explain = getattr(state.views, "explanation", None)
        if explain is None or image.reading is None or image.reading.model != state.views.model:
            return JSONResponse({"sentence": ""})
        explanation = explain(state.store.read(image.key), number)
        return JSONResponse({"sentence": explanation.sentence(i18n.catalogue_for(request).gettext)})


def reports_of(request: Request) -> HandwritingReports:
    """The reports cached by this process."""
    reports: HandwritingReports = request.app.state.handwriting_reports
    return reports


def report_of(
    request: Request, image_filter: Filter, *, seconds: float | None = None
) -> dict[str, Any] | None:
    """The report on these images by the present model; None if it takes longer."""
    classes = [name for name in classes_of(request) if len(name) == 1] or _DIGITS
    return reports_of(request).get(
        state_of(request), image_filter, classes=classes, sure=sure_from(request), seconds=seconds
    )


def own_filter(request: Request, writer: str | None) -> Filter:
    """The principal's images, or those of one writer whom the principal may see."""
    principal = principal_of(request)
    if writer:
        return Filter(**principal.visibility, writer=writer, state="read")
    return Filter(owner=principal.account, state="read")


def _find(request: Request, image_id: str) -> Image:
    return require_visible(state_of(request).index.get(image_id), principal_of(request))
