"""Signing in through an OpenID provider and out again; errors appear on the sign-in page."""

import logging
import secrets
import time
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Self

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import Forbidden, Invalid, NotFound, Unavailable
from legibly.people.accounts import Account
from legibly.web.pages import signin
from legibly.web.security import authentication, rate_limits, sessions
from legibly.web.security.client_address import address_of, network_of
from legibly.web.services import state_of

if TYPE_CHECKING:
    from legibly.people import oidc
    from legibly.web.pages.rendering import Pages

_log = logging.getLogger(__name__)
_SECONDS = 600
_TRIES_A_MINUTE = 20
_BACK = "/login/oidc/back"

TROUBLE: dict[type[Exception], tuple[int, str]] = {
    Unavailable: (503, "The sign-in service is not responding. Try again in a moment."),
    Invalid: (
        400,
        (
            "This sign-in attempt has expired, was already used, or was started in another"
            " browser. Please start again."
        ),
    ),
    Forbidden: (
        403,
        "The response of the sign-in service could not be verified, so you were not signed in.",
    ),
}
"""The messages for errors of the sign-in; the log has the details."""
_REFUSED = "The sign-in service refused to sign you in."
_STRANGER = (
    "Your e-mail address is not allowed to sign in here. Ask the administrator of this server."
)
_DISABLED = "This account is disabled. Ask the administrator of this server."


class _Refusal(Exception):
    """A refused sign-in, with the reason for the person."""


@dataclass(frozen=True, slots=True)
class _SignInState:
    """The state of one sign-in at the provider, sealed in a cookie."""

    state: str
    nonce: str
    verifier: str
    next: str
    back: str
    until: int

    @classmethod
    def out(cls, *, next_path: str, back: str) -> Self:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, next_path, back, int(time.time()) + _SECONDS)

    @classmethod
    def returned(cls, request: Request, key: bytes) -> Self:
        """The one for this response's `state`. Raises Invalid if it is missing or expired."""
        state = request.query_params.get("state", "")
        matches = sessions.unseal("way", request.cookies.get(_cookie(request, state), ""), key)
        if matches is not None:
            way = cls(*matches)
            is_same = secrets.compare_digest(way.state.encode(), state.encode())
            if is_same and way.until > time.time():
                return way
        raise Invalid("this response does not match any sign-in from this browser.")


def _cookie(request: Request, state: str) -> str:
    """A separate name for each sign-in, so that two tabs do not interfere."""
    mark = "".join(letter for letter in state[:12] if letter.isalnum() and letter.isascii())
    return f"{'__Host-' if sessions.is_secure(request) else ''}legibly-way-{mark}"


def add(routes: APIRouter, pages: "Pages") -> None:
    """Add the routes."""
    addresses = rate_limits.Buckets(_TRIES_A_MINUTE)

    @routes.get("/login/oidc")
    def leave(request: Request, next: str = "/") -> Response:  # noqa: A002
        """Redirect to the provider."""
        try:
            return _send(request, next_path=signin.safe_path(next))
        except (Unavailable, Invalid, Forbidden) as error:
            return _show_error(pages, request, error)

    @routes.get(_BACK)
    def come_back(request: Request) -> Response:
        """Return from the provider, with a code or an error."""
        provider = _provider(request)
        address = address_of(request)
        wait = addresses.take(network_of(request))
        if wait:
            return authentication.too_many_requests(request, wait)
        try:
            account, next_path = _sign_in(request, provider)
        except (_Refusal, Unavailable, Invalid, Forbidden) as error:
            signin.accounts_of(request).audit_log.record(
                "sign-in refused", by=None, address=address
            )
            response = _show_error(pages, request, error)
        else:
            addresses.give_back(network_of(request))
            response = RedirectResponse(next_path, 303)
            signin.remember(request, response, account)
        sessions.drop(request, response, _cookie(request, request.query_params.get("state", "")))
        response.headers["Cache-Control"] = "no-store"
        return response

    @routes.get("/login/oidc/exit")
    def sign_out_there(request: Request) -> Response:
        """Redirect to the sign-out page of the provider."""
        try:
            url = _provider(request).logout_url(redirect_uri=f"{_address(request)}/login")
            return RedirectResponse(url or "/login", 303)
        except (Unavailable, Invalid, Forbidden) as error:
            return _show_error(pages, request, error)


def _send(request: Request, *, next_path: str) -> Response:
    """Redirect to the provider's page, with the state that must come back."""
    back = _address(request) + _BACK
    way = _SignInState.out(next_path=next_path, back=back)
    address = _provider(request).authorization_url(
        state=way.state, nonce=way.nonce, verifier=way.verifier, redirect_uri=back
    )
    response = RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})
    sealed = sessions.seal("way", list(astuple(way)), signin.accounts_of(request).signing_key())
    sessions.put(request, response, _cookie(request, way.state), sealed, seconds=_SECONDS)
    return response


def _show_error(pages: "Pages", request: Request, error: Exception) -> Response:
    """The sign-in page with the problem."""
    if isinstance(error, _Refusal):
        return signin.form(pages, request, status=403, problem=str(error))
    _log.warning("signing in by OpenID Connect: %s", error)
    status, problem = TROUBLE[type(error)]
    return signin.form(pages, request, status=status, problem=problem)


def _sign_in(request: Request, provider: "oidc.Provider") -> tuple[Account, str]:
    """Sign in the person who came back, and redirect to the page that they wanted."""
    accounts = signin.accounts_of(request)
    supplied = request.query_params
    way = _SignInState.returned(request, accounts.signing_key())
    if "code" not in supplied:
        raise _Refusal(_REFUSED)
    person = provider.person(
        supplied["code"],
        issuer=supplied.get("iss"),
        nonce=way.nonce,
        verifier=way.verifier,
        redirect_uri=way.back,
    )
    if not _may_enter(person.email, domains=state_of(request).settings.oidc_domains):
        raise _Refusal(_STRANGER)
    account, is_new = accounts.from_provider(person.identity, name=person.name)
    if account.disabled:
        raise _Refusal(_DISABLED)
    address = address_of(request)
    if is_new:
        accounts.audit_log.record("account made", by=account.id, on=account.id, address=address)
    accounts.audit_log.record("signed in", by=account.id, address=address)
    return account, way.next


def _may_enter(email: str | None, *, domains: str) -> bool:
    allowed = {name.strip().lower() for name in domains.split(",")}
    return "*" in allowed or (email is not None and email.rpartition("@")[2].lower() in allowed)


def _provider(request: Request) -> "oidc.Provider":
    signin.accounts_of(request)
    provider = state_of(request).provider
    if provider is None:
        raise NotFound(
            "this server does not use OpenID Connect.", remedy="Set LEGIBLY_OIDC_ISSUER."
        )
    return provider


def _address(request: Request) -> str:
    """This server's address, as seen by the browser."""
    public_url = state_of(request).settings.public_url
    if public_url:
        return public_url.rstrip("/")
    return (
        f"{'https' if sessions.is_secure(request) else 'http'}://{request.headers.get('host', '')}"
    )
