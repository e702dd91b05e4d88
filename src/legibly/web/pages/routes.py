"""The routes of the HTML pages: the general ones; the others are in their modules."""

import json
import mimetypes
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from legibly import object_keys, records
from legibly.errors import NotFound
from legibly.forms.stored import StoredForms
from legibly.images import thumbnails
from legibly.records import Image
from legibly.web.pages import (
    accuracy,
    api_docs,
    batches,
    classrooms,
    handwriting,
    handwriting_reports,
    history,
    people,
    projects,
    review,
    signin,
    signin_oidc,
)
from legibly.web.pages import models as models_page
from legibly.web.pages.rendering import Pages, classes_of
from legibly.web.security.principal import principal_of, require_visible
from legibly.web.services import state_of
from legibly.web.text import i18n

_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", **_NOSNIFF}
_PICTURE = {"Cache-Control": "private, max-age=31536000, immutable", **_NOSNIFF}


_MODULES = (
    *(accuracy, history, batches, handwriting, review, api_docs),
    *(signin, signin_oidc, people, projects, classrooms),
)


def install(app: FastAPI) -> None:
    """Add all pages to the application, including error pages."""
    pages = Pages()
    app.state.error_page = pages.error
    app.state.handwriting_reports = handwriting_reports.HandwritingReports()
    app.include_router(router(pages))


def router(pages: Pages) -> APIRouter:
    """The routes of all pages."""
    routes = APIRouter()
    _add_static(routes, pages)
    _add_pages(routes, pages)
    _add_pictures(routes, pages)
    for module in _MODULES:
        module.add(routes, pages)
    for route in routes.routes:
        if isinstance(route, APIRoute):
            route.include_in_schema = route.path.startswith("/api/")
    return routes


def _add_static(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/static/{version}/{name}")
    async def static(request: Request, version: str, name: str) -> Response:
        asset = pages.assets.get(name)
        if asset is None:
            raise NotFound("there is no such file.", where=name)
        is_current = version == pages.assets.version
        headers = _FOREVER if is_current else {"Cache-Control": "no-cache"}
        headers = {**headers, "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(asset.data, headers=headers, media_type=asset.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, headers=headers, media_type=asset.media_type)

    @routes.get("/language/{language}")
    async def language(language: str, request: Request) -> Response:
        """Set the language, and return to the previous page."""
        back = urlsplit(request.headers.get("referer", ""))
        response = RedirectResponse(signin.safe_path(back.path or "/"), 303)
        if language in i18n.LANGUAGES:
            response.set_cookie(
                i18n.COOKIE, language, max_age=365 * 86400, samesite="lax", httponly=True
            )
        return response

    @routes.get("/manifest.webmanifest")
    async def manifest() -> Response:
        """The manifest that phones need to install the app."""
        return Response(json.dumps(_manifest(pages)), media_type="application/manifest+json")

    @routes.get("/favicon.ico")
    async def favicon() -> Response:
        return RedirectResponse(pages.assets.url("icon.svg"), 308)


def _manifest(pages: Pages) -> dict[str, Any]:
    names = {"name": "Legibly", "short_name": "Legibly", "id": "/", "start_url": "/"}
    look = {"display": "standalone", "background_color": "#faf8f3", "theme_color": "#faf8f3"}
    icons = [
        {"sizes": "any", "type": "image/svg+xml", "purpose": "any"},
        {"sizes": "192x192", "type": "image/png"},
        {"sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
    ]
    files = ("icon.svg", "icon-192.png", "icon-512.png")
    sources = [{"src": pages.assets.url(file)} for file in files]
    return {**names, **look, "icons": [a | b for a, b in zip(sources, icons, strict=True)]}


def _add_pages(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/")
    def classify(request: Request) -> Response:
        """Write, drop, paste, choose, photograph; answers stream in."""
        values = accuracy.report_values(request)
        return pages.render(request, "classify.html", classes=classes_of(request), **values)

    @routes.get("/about")
    def about(request: Request) -> Response:
        """What happens to pictures, what a confidence means, and how programs can use the API."""
        return pages.render(request, "about.html", base=str(request.base_url).rstrip("/"))

    @routes.get("/forms")
    def forms(request: Request, form: str = "") -> Response:
        """The stored forms, or one of them with the values of its scans."""
        stored = [] if form else list(StoredForms(state_of(request).store))
        return pages.render(request, "forms.html", stored=stored, current=form)

    @routes.get("/models")
    def models(request: Request) -> Response:
        """The installed packs and the present one."""
        trials = models_page.trials(state_of(request))
        report = accuracy.report_values(request)["report"]
        gettext = i18n.catalogue_for(request).gettext
        packs = models_page.packs(state_of(request), report, gettext)
        return pages.render(request, "models.html", packs=packs, **trials)


def _add_pictures(routes: APIRouter, pages: Pages) -> None:
    cache = thumbnails.ThumbnailCache()

    @routes.get("/images/{image_id}")
    def image(request: Request, image_id: str) -> Response:
        """One picture with all its facts."""
        record = _find(request, image_id)
        shown = state_of(request).service.document(record)
        return pages.render(
            request, "image.html", image=shown, facts=_facts(record), classes=classes_of(request)
        )

    @routes.get("/images/{image_id}/picture")
    def picture(request: Request, image_id: str, size: Annotated[int, Query()] = 640) -> Response:
        """The picture, upright and small."""
        record = _find(request, image_id)
        state = state_of(request)
        if thumbnails.is_small(record):
            data = state.store.read(record.key)
            return Response(data, headers=_PICTURE, media_type=record.media_type)
        side = next((side for side in thumbnails.SIZES if side >= size), thumbnails.SIZES[-1])
        shrunk = cache.get(image_id, side)
        if shrunk is None:
            original = state.store.read(record.key)
            shrunk = thumbnails.shrink(original, side=side, max_pixels=state.settings.max_pixels)
            cache.put(image_id, side, shrunk)
        return Response(shrunk, headers=_PICTURE, media_type="image/webp")


def _find(request: Request, image_id: str) -> Image:
    if not object_keys.is_id(image_id):
        raise NotFound("there is no such picture.", where=image_id[:80])
    return require_visible(state_of(request).index.get(image_id), principal_of(request))


def _facts(image: Image) -> list[tuple[str, str]]:
    size = f"{image.width} × {image.height}" if image.width else "–"
    kind = (mimetypes.guess_extension(image.media_type) or image.media_type).strip(".").upper()
    facts = {
        "name": image.name or "–",
        "received": records.stamp(image.received_at),
        "picture": f"{kind}, {size}, {image.bytes:,} bytes",
        "writer": image.writer or "–",
    }
    if image.reading:
        times = [f"{name} {value:.1f} ms" for name, value in image.reading.milliseconds.items()]
        facts["model"] = f"{image.reading.model.name} {image.reading.model.version}"
        facts["took"] = ", ".join(times) or "–"
    return [*facts.items(), ("id", image.id)]
