"""Errors at the edge of the web: status codes, and RFC 9457 problem documents.

The detail of a problem is formatted and translated here, in the language of the request.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly import errors
from legibly.web.text import i18n

_log = logging.getLogger(__name__)

STATUS: dict[type[errors.LegiblyError], int] = {
    errors.Invalid: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.NotAnImage: 415,
    errors.Unusable: 422,
    errors.Unavailable: 503,
}
TITLES = {
    400: "Bad request",
    401: "Authentication required",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}
HTTP = {
    404: (
        "address-unknown",
        "Page not found. It may have been deleted, or the address may be wrong.",
    ),
    405: ("method-not-allowed", "This address does not support that method."),
    408: ("too-slow", "The body of the request arrived too slowly."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document before translation."""

    status: int
    code: str
    template: str
    remedy: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def detail(self, catalogue: i18n.Catalogue) -> str:
        """The message and the remedy in one language."""
        params = {name: _translate(value, catalogue) for name, value in self.params.items()}
        message = errors.fill(catalogue.gettext(self.template), params)
        remedy = errors.fill(catalogue.gettext(self.remedy), params) if self.remedy else ""
        return " ".join(part for part in (message[:1].upper() + message[1:], remedy) if part)


def _translate(value: Any, catalogue: i18n.Catalogue) -> Any:
    return catalogue.gettext(value) if isinstance(value, str) else value


def problem_of(error: errors.LegiblyError) -> Problem:
    """The problem of an error. The places of the server's data are logged, not returned."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    code = error.code
    headers: dict[str, str] = {}
    if isinstance(error, errors.Forbidden) and not error.authenticated:
        status = 401
        headers["WWW-Authenticate"] = "Bearer"
        if code == errors.Forbidden.general_code:
            code = "authentication-required"
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unavailable | errors.Forbidden) and error.where:
        _log.warning("%s", error)
    return Problem(status, code, error.template, error.remedy_template, error.params, headers)


def message_for(request: Request, error: errors.LegiblyError) -> str:
    """Message and remedy of an error in the language of the request, for a page."""
    return problem_of(error).detail(i18n.catalogue_for(request))


def error_response(request: Request, error: errors.LegiblyError) -> Response:
    """The response for one of our errors."""
    return respond(request, problem_of(error))


def respond(request: Request, problem: Problem) -> Response:
    """A problem document, or an error page if a browser navigated."""
    catalogue = i18n.catalogue_for(request)
    title = catalogue.gettext(TITLES.get(problem.status, "Error"))
    detail = problem.detail(catalogue)
    page = getattr(request.app.state, "error_page", None)
    path = request.url.path
    accept = request.headers.get("accept", "")
    if page is not None and not path.startswith(("/api/", "/v2")) and "text/html" in accept:
        response: Response = page(request, problem.status, title, detail)
        response.headers.update(problem.headers)
        return response
    document = {
        "type": f"/problems/{problem.code}",
        "title": title,
        "status": problem.status,
        "detail": detail,
        "code": problem.code,
        "params": problem.params,
    }
    if path.startswith("/v2"):
        document["error"] = detail  # the error format of the Open Inference Protocol
    headers = {
        **problem.headers,
        "Cache-Control": "no-store",
        "Content-Language": catalogue.language,
        "Vary": "Accept-Language, Cookie",
    }
    media_type = "application/problem+json"
    return JSONResponse(document, problem.status, headers=headers, media_type=media_type)


def _problem_of_validation(error: RequestValidationError) -> Problem:
    faults = [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    ]
    text = ", ".join(faults).encode("utf-8", "replace").decode()
    return Problem(400, "invalid-request", "{faults}", params={"faults": text or "malformed"})


def problem_of_http(error: HTTPException) -> Problem:
    """The problem of an error of the framework."""
    if isinstance(error, BodyTooLarge):
        return Problem(
            413,
            "too-large",
            "the request has more than {limit} bytes.",
            params={"limit": error.limit},
        )
    general = ("http-error", str(error.detail))
    code, template = HTTP.get(error.status_code, general)
    return Problem(error.status_code, code, template, headers=dict(error.headers or {}))


class BodyTooLarge(HTTPException):
    """A request body beyond `limit` bytes; an HTTPException, which FastAPI lets pass."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.limit = limit


def internal_error(request: Request, error: Exception) -> Response:
    """The response for an unexpected error, which is logged with its traceback."""
    _log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
    problem = Problem(
        500, "internal-error", "Something went wrong on the server. The error has been logged."
    )
    return respond(request, problem)


class InternalErrors:
    """ASGI middleware: an unexpected exception becomes a response, and the connection stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await internal_error(Request(scope), error)(scope, receive, send)


def expected_response(request: Request, error: Exception) -> Response:
    """The response for our errors and those of the framework."""
    if isinstance(error, errors.LegiblyError):
        return error_response(request, error)
    if isinstance(error, RequestValidationError):
        return respond(request, _problem_of_validation(error))
    if isinstance(error, HTTPException):
        return respond(request, problem_of_http(error))
    return internal_error(request, error)


def install(app: FastAPI) -> None:
    """Turn all errors of the application into problem documents or error pages."""

    async def expected(request: Request, error: Exception) -> Response:
        return expected_response(request, error)

    for kind in (errors.LegiblyError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, expected)
