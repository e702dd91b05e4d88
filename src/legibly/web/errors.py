"""Errors at the web's edge: the one table of status codes, and RFC 9457 problem documents."""

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from legibly import errors
from legibly.web.text import i18n

_log = logging.getLogger(__name__)

STATUS: dict[type[errors.LegiblyError], tuple[int, str]] = {
    errors.Invalid: (400, "Malformed request"),
    errors.Forbidden: (403, "Not allowed"),
    errors.NotFound: (404, "Not found"),
    errors.Conflict: (409, "Conflict"),
    errors.TooLarge: (413, "Too many bytes"),
    errors.NotAnImage: (415, "Not a picture that we read"),
    errors.Unusable: (422, "A picture that cannot be used"),
    errors.Unavailable: (503, "Not available for the moment"),
}


_PLAIN = {
    404: "There is nothing at this address. It may have been deleted, or the link may be mistyped.",
    405: "This address does not take that method.",
}


def problem(
    status: int, title: str, detail: str, *, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def problem_document(error: errors.LegiblyError) -> JSONResponse:
    """The problem document of one of our errors."""
    status, title = STATUS[type(error)]
    headers: dict[str, str] = {}
    if isinstance(error, errors.Forbidden) and not error.authenticated:
        status, title, headers = 401, "Who are you?", {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return problem(status, title, public_message(error), headers=headers)


def public_message(error: errors.LegiblyError) -> str:
    """The error without its place: where a server keeps things is nobody's business but its keeper's."""
    if isinstance(error, errors.Unavailable | errors.Forbidden) and error.where:
        _log.warning("%s", error)
    parts = [error.what[:1].upper() + error.what[1:], error.remedy]
    return " ".join(part for part in parts if part)


def error_response(request: Request, document: JSONResponse) -> Response:
    """A problem document in the caller's language, or the page of the same status where a browser asked for a page."""
    catalogue, said = i18n.catalogue_for(request), json.loads(bytes(document.body))
    title, detail = catalogue.gettext(said["title"]), catalogue.gettext(said["detail"])
    page = getattr(request.app.state, "error_page", None)
    path, accepted = request.url.path, request.headers.get("accept", "")
    if page is not None and not path.startswith(("/api/", "/v2/")) and "text/html" in accepted:
        response: Response = page(request, document.status_code, title, detail)
        return response
    if catalogue.language == "en":
        return document
    kept = {
        name: value for name, value in document.headers.items() if not name.startswith("content-")
    }
    headers = {**kept, "Content-Language": catalogue.language, "Vary": "Accept-Language, Cookie"}
    return problem(document.status_code, title, detail, headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of the application leave as a problem document, or as a page where a person's browser asked."""

    async def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, errors.LegiblyError):
            return await unexpected(request, error)
        return error_response(request, problem_document(error))

    async def invalid(request: Request, error: Exception) -> Response:
        details: list[Any] = (
            list(error.errors()) if isinstance(error, RequestValidationError) else []
        )
        told = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in details
        )
        return error_response(
            request, problem(400, "Malformed request", told or "The request is malformed.")
        )

    async def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await unexpected(request, error)
        headers = dict(error.headers) if error.headers else None
        detail = _PLAIN.get(error.status_code, str(error.detail))
        return error_response(
            request, problem(error.status_code, str(error.detail), detail, headers=headers)
        )

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
        return error_response(
            request,
            problem(
                500, "A fault of ours", "Something went wrong on the server; it has been logged."
            ),
        )

    app.add_exception_handler(errors.LegiblyError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
