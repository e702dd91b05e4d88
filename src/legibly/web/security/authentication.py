"""Controls access to all routes: checks host name, origin, principal and rate of a request.

Without accounts it still refuses forged requests from other sites and foreign host names.
"""

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

from anyio import to_thread
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from legibly import text_rules
from legibly.errors import Forbidden, Invalid, LegiblyError, NotFound
from legibly.people.accounts import Accounts
from legibly.people.classrooms import Classes, is_pupil
from legibly.people.tokens import Scope as TokenScope
from legibly.settings import Settings
from legibly.web import errors
from legibly.web.security import rate_limits, sessions
from legibly.web.security.client_address import network_of
from legibly.web.security.principal import LOCAL, Principal

_SAFE = ("GET", "HEAD", "OPTIONS")
_PUBLIC = (
    "/healthz",
    "/readyz",
    "/login",
    "/about",
    "/favicon.ico",
    "/manifest.webmanifest",
    "/api/events/s3",
    "/join",
)
_PUBLIC_FOLDERS = ("/static/", "/language/", "/v2/health/", "/login/")
_KEY_SECONDS = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AccessMiddleware:
    """Wraps the application. `accounts` is None without accounts."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        accounts: Accounts | None,
        classes: Classes | None = None,
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._classes = classes
        self._hosts = _host_names(settings)
        if self._hosts or (accounts is None and settings.accounts != "elsewhere"):
            self._hosts = (*self._hosts, *LOOPBACK)
        self._buckets = rate_limits.Buckets(settings.rate if accounts is not None else 0)
        self._key = b""
        self._key_at = -_KEY_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            refusal = await self._refusal(request)
        except LegiblyError as error:
            refusal = errors.error_response(request, error)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """The response that refuses the request; None lets it pass, with its principal."""
        self._check_host(request)
        _check_text(request)
        _check_origin(request)
        principal = await self._authenticate(request)
        network = network_of(request)
        wait = self._buckets.take(principal.account if principal and principal.account else network)
        if wait:
            return too_many_requests(request, wait)
        if principal is None:
            return _challenge(request)
        scope = required_scope(request.method, request.scope["path"])
        principal.require(scope)
        _check_project(request, principal)
        request.state.principal = principal
        request.state.authenticate = functools.partial(self._authenticate_again, request)
        return None

    async def _authenticate_again(self, request: Request) -> Principal | None:
        principal = await self._authenticate(request)
        if principal is not None:
            _check_project(request, principal)
        return principal

    def _check_host(self, request: Request) -> None:
        """Refuse foreign host names, which could abuse trust in this machine (DNS rebinding)."""
        host = _host(request.headers.get("host", ""))
        if (
            self._hosts
            and host not in self._hosts
            and request.scope["path"] not in ("/healthz", "/readyz")
        ):
            raise Forbidden(
                "this server does not answer to that host name.", remedy="Add it to LEGIBLY_HOSTS."
            )

    async def _authenticate(self, request: Request) -> Principal | None:
        """Authenticate the request. None means that authentication is required but missing."""
        accounts = self._accounts
        if accounts is None:
            return LOCAL
        if accounts.is_stale:
            await to_thread.run_sync(accounts.refresh)
        principal = _by_token(request, accounts) or await self._by_cookie(request, accounts)
        if principal is not None and principal.role == "reviewer":
            return await self._reviewer(principal)
        if principal is None and is_public(request.url.path):
            return Principal(role="writer", account="", scopes=frozenset({"read", "write"}))
        return principal

    async def _by_cookie(self, request: Request, accounts: Accounts) -> Principal | None:
        value = sessions.cookie_value(request)
        if not value:
            return None
        session = sessions.Session.unseal(value, await self._signing_key(accounts))
        if session is None or accounts.is_session_ended(session.id):
            return None
        if is_pupil(session.account):
            return await self._pupil(session)
        try:
            account = accounts.get(session.account)
        except NotFound:
            return None
        if account.disabled or account.epoch != session.epoch:
            return None
        name = account.name
        role = account.role
        return Principal(
            account=account.id, name=name, role=role, session=session.id, until=session.until
        )

    async def _signing_key(self, accounts: Accounts) -> bytes:
        """The key that signs sessions, which may be rotated at any time."""
        if time.monotonic() - self._key_at > _KEY_SECONDS:
            self._key = await to_thread.run_sync(accounts.signing_key)
            self._key_at = time.monotonic()
        return self._key

    async def _reviewer(self, principal: Principal) -> Principal:
        """A reviewer, who cannot see pupils of other teachers."""
        classes = await self._fresh_classes()
        if classes is None or principal.account is None:
            return principal
        return replace(principal, classes=classes.visible_to(principal.account))

    async def _fresh_classes(self) -> Classes | None:
        if self._classes is not None and self._classes.is_stale:
            await to_thread.run_sync(self._classes.refresh)
        return self._classes

    async def _pupil(self, session: sessions.Session) -> Principal | None:
        """A pupil while the class exists: a writer who sees their own images."""
        classes = await self._fresh_classes()
        pupil = classes.pupil(session.account) if classes else None
        if pupil is None:
            return None
        name = pupil.nickname
        return Principal(
            account=pupil.owner, name=name, role="writer", session=session.id, until=session.until
        )


def _by_token(request: Request, accounts: Accounts) -> Principal | None:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or request.url.path == "/api/events/s3":
        return None
    owner = accounts.token_owner(secret.strip())
    if owner is None:
        raise Forbidden("this token is unknown, revoked or expired.", authenticated=False)
    account, token = owner
    return Principal(
        account=account.id, name=account.name, role=account.role, scopes=frozenset(token.scopes)
    )


def _check_project(request: Request, principal: Principal) -> None:
    project = request.scope.get("legibly.project")
    if project is not None and not project.admits(principal.account, principal.role):
        raise NotFound("there is no such project.", where=project.name)


def is_public(path: str) -> bool:
    """Whether a path is accessible without signing in."""
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)


def required_scope(method: str, path: str) -> TokenScope:
    """The scope that a token needs for a request."""
    if method in _SAFE:
        return "read"
    if method == "DELETE" or path == "/history/delete":
        return "delete"
    if path.endswith("/label") or path.startswith(("/api/review/", "/review/")):
        return "label"
    return "read" if path.startswith("/history/download") else "write"


def _check_text(request: Request) -> None:
    """Refuse NUL and other control characters in addresses, which databases do not accept."""
    query = request.scope["query_string"].decode("latin-1")
    if "%" in query or "+" in query:
        query = unquote(query.replace("+", " "))
    if not (text_rules.is_plain(request.scope["path"]) and text_rules.is_plain(query)):
        raise Invalid("the address contains characters that are not allowed.", code="text-invalid")


def _check_origin(request: Request) -> None:
    """Changes must come from our own pages, or from a program, which sends no origin."""
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site in ("cross-site", "same-site"):
        raise Forbidden("this request came from another site.", code="other-site")
    if (
        origin is not None
        and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    ):
        raise Forbidden("this request came from another site.", code="other-site")


def _host_names(settings: Settings) -> tuple[str, ...]:
    """The host names of this server besides loopback; None if none are configured."""
    listed = [name.strip().lower() for name in settings.hosts.split(",")]
    return tuple(filter(None, [*listed, urlsplit(settings.public_url).hostname]))


@functools.lru_cache(maxsize=128)
def _host(header: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _challenge(request: Request) -> Response:
    """Redirect a person to the sign-in page, and tell a program that it must authenticate."""
    headers: Mapping[str, str] = request.headers
    if request.method == "GET" and "text/html" in headers.get("accept", ""):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(path, safe='')}", 303)
    raise Forbidden(
        "you have to sign in.", authenticated=False, remedy="Send a token: Authorization: Bearer …"
    )


def too_many_requests(request: Request, seconds: float) -> Response:
    """A response 429 with the time to wait."""
    wait = max(1, math.ceil(seconds))
    problem = errors.Problem(
        429,
        "too-many-requests",
        "Too many requests. Try again in {seconds} s.",
        params={"seconds": wait},
        headers={"Retry-After": str(wait)},
    )
    return errors.respond(request, problem)
