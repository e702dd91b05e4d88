"""Signing in and out, and the account page: password, tokens, personal data, and deletion."""

import functools
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from legibly import object_keys
from legibly.errors import Forbidden, LegiblyError, NotFound
from legibly.exchange import exports
from legibly.index.port import Filter
from legibly.people import erasure
from legibly.people.accounts import Account, Accounts
from legibly.people.administration import Actor
from legibly.people.classrooms import is_pupil
from legibly.people.tokens import SCOPES
from legibly.web import errors
from legibly.web.pages.rendering import Pages
from legibly.web.security import audit, authentication, rate_limits, sessions
from legibly.web.security.client_address import address_of, network_of
from legibly.web.security.principal import principal_of
from legibly.web.services import image_owners, state_of

_TRIES_A_MINUTE = 5


def accounts_of(request: Request) -> Accounts:
    """The accounts. Raises NotFound if accounts are off."""
    accounts = state_of(request).accounts
    if accounts is None:
        raise NotFound(
            "this server has no accounts.",
            remedy=(
                "To use accounts, run `legibly users add NAME --role admin` on the server,"
                " and start it with LEGIBLY_ACCOUNTS=on."
            ),
        )
    return accounts


def actor_of(request: Request) -> Actor:
    """The actor for the audit log."""
    return Actor(account=principal_of(request).account, address=address_of(request))


def safe_path(path: str) -> str:
    """Return `path` if it is a path within this site, else the first page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and not {"\n", "\r"} & set(path) else "/"


def own_account(request: Request) -> Account:
    """The account of a person at a browser. Raises Forbidden for tokens and pupils."""
    accounts = accounts_of(request)
    principal = principal_of(request)
    if principal.session is None or not principal.account or is_pupil(principal.account):
        raise Forbidden(
            "only a signed-in person may do this.", authenticated=bool(principal.account)
        )
    return accounts.get(principal.account)


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""
    _add_sessions(routes, pages)
    _add_account(routes, pages)
    _add_leaving(routes, pages)


def _add_sessions(routes: APIRouter, pages: Pages) -> None:
    limits = rate_limits.SignInLimits()

    @routes.get("/login")
    def login(request: Request, next: str = "/", left: str = "") -> Response:  # noqa: A002
        """The form to sign in; `left` says how the person was signed in who has just left."""
        return form(pages, request, next_path=next, left=left)

    @routes.post("/login")
    def sign_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)],
        password: Annotated[str, Form(max_length=1000)],
        next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
    ) -> Response:
        """Sign in; rate-limited against guessing."""
        accounts = accounts_of(request)
        address = address_of(request)
        network = network_of(request)
        wait = limits.take(network, name)
        if wait:
            return authentication.too_many_requests(request, wait)
        account = accounts.sign_in(name, password)
        if account is None:
            accounts.audit_log.record("sign-in refused", by=None, address=address)
            problem = "Wrong name or password."
            return form(pages, request, next_path=next, status=401, name=name, problem=problem)
        limits.give_back(network, name)
        accounts.audit_log.record("signed in", by=account.id, address=address)
        response = RedirectResponse(safe_path(next), 303)
        remember(request, response, account)
        return response

    @routes.post("/logout")
    def sign_out(request: Request) -> Response:
        """End this session, including copies of its cookie."""
        principal = principal_of(request)
        left = ""
        page = "/login"
        if principal.session:
            accounts_of(request).end_session(principal.session, until=principal.until)
            left = "?left=oidc" if _is_vouched(request) else ""
            page = "/join" if is_pupil(principal.account or "") else page
        response = RedirectResponse(f"{page}{left}", 303, headers={"Clear-Site-Data": '"cache"'})
        sessions.end(response)
        return response


def form(
    pages: Pages,
    request: Request,
    *,
    next_path: str = "/",
    status: int = 200,
    name: str = "",
    problem: str = "",
    left: str = "",
) -> Response:
    """The page to sign in, with the problem, if any."""
    accounts_of(request)
    provider = state_of(request).provider
    values = {"name": name, "problem": problem, "left": left if provider else ""}
    values["next"] = safe_path(next_path)
    return pages.render(request, "login.html", status=status, provider=provider, **values)


def _is_vouched(request: Request) -> bool:
    principal = principal_of(request)
    return not is_pupil(principal.account or "") and own_account(request).identity is not None


def remember(request: Request, response: Response, account: Account) -> None:
    """Begin a session."""
    key = accounts_of(request).signing_key()
    hours = state_of(request).settings.session_hours
    sessions.begin(request, response, sessions.Session.of(account, hours=hours), key)


def _add_account(routes: APIRouter, pages: Pages) -> None:
    tries = rate_limits.Buckets(_TRIES_A_MINUTE)
    show = functools.partial(_show_account, pages)

    @routes.get("/account")
    def account(request: Request, revoked: str = "") -> Response:
        """The person's own account; after revoking a token with a button to undo it."""
        return show(request, revoked=revoked if object_keys.is_id(revoked) else "")

    @routes.post("/account/password")
    def password(
        request: Request,
        old: Annotated[str, Form(max_length=1000)],
        new: Annotated[str, Form(max_length=1000)],
    ) -> Response:
        """Change the password; ends all other sessions."""
        accounts = accounts_of(request)
        mine = own_account(request)
        wait = tries.take(mine.id)
        if wait:
            return authentication.too_many_requests(request, wait)
        if accounts.sign_in(mine.name, old) is None:
            audit.record(request, "password refused")
            return show(request, problem="The old password is wrong.", status=403)
        try:
            changed = accounts.change(mine, password=new)
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        tries.give_back(mine.id)
        audit.record(request, "password changed")
        notice = "Your password has been changed, and all other sessions have been signed out."
        response = show(request, notice=notice)
        remember(request, response, changed)
        return response

    _add_tokens(routes, show)


def _show_account(pages: Pages, request: Request, *, status: int = 200, **shown: str) -> Response:
    """The page of the principal's account; `secret` is that of a new token, shown only once."""
    account = own_account(request)
    tokens = accounts_of(request).tokens(account.id)
    values = {"secret": "", "notice": "", "problem": "", "revoked": "", **shown}
    return pages.render(
        request,
        "account.html",
        status=status,
        account=account,
        tokens=tokens,
        scopes=SCOPES,
        **values,
    )


def _add_tokens(routes: APIRouter, show: Callable[..., Response]) -> None:
    @routes.post("/account/tokens")
    def make(
        request: Request,
        name: Annotated[str, Form(max_length=64)],
        scopes: Annotated[list[str], Form()],
        days: Annotated[int, Form(ge=0, le=3650)] = 90,
    ) -> Response:
        """Create a token, whose secret is shown only once."""
        token, secret = accounts_of(request).add_token(
            own_account(request), name=name, scopes=scopes, days=days or None
        )
        audit.record(request, "token made", on=token.id)
        return show(request, secret=secret)

    @routes.post("/account/tokens/{token_id}/revoke")
    def revoke(request: Request, token_id: str) -> Response:
        """Revoke one of the principal's own tokens."""
        accounts = accounts_of(request)
        for token in accounts.tokens(own_account(request).id):
            if token.id == token_id:
                accounts.revoke(token)
                audit.record(request, "token revoked", on=token.id)
        return RedirectResponse(f"/account?revoked={quote(token_id)}", 303)

    @routes.post("/account/tokens/{token_id}/restore")
    def restore(request: Request, token_id: str) -> Response:
        """Undo a recent revocation of one of the principal's own tokens."""
        mine = own_account(request)
        if accounts_of(request).restore_token(mine.id, token_id) is None:
            raise NotFound("this token cannot be restored any more.", remedy="Make another one.")
        audit.record(request, "token restored", on=token_id)
        return RedirectResponse("/account", 303)


def _add_leaving(routes: APIRouter, pages: Pages) -> None:
    tries = rate_limits.Buckets(_TRIES_A_MINUTE)

    @routes.get("/account/data.json")
    def data(request: Request) -> Response:
        """The principal's personal data; pictures come with the gallery's download."""
        mine = own_account(request)
        images = exports.matching(state_of(request).index, Filter(owner=mine.id))
        tokens = accounts_of(request).tokens(mine.id)
        document = {
            "account": {"id": mine.id, "name": mine.name, "role": mine.role},
            "tokens": [{"name": token.name, "scopes": token.scopes} for token in tokens],
            "images": [image.to_json() for image in images],
        }
        headers = {"Content-Disposition": 'attachment; filename="legibly-account.json"'}
        return JSONResponse(document, headers=headers)

    @routes.post("/account/erase")
    def erase_self(request: Request, password: Annotated[str, Form(max_length=1000)]) -> Response:
        """Delete the own account with all its data, after checking the password or the name."""
        accounts = accounts_of(request)
        mine = own_account(request)
        wait = tries.take(mine.id)
        if wait:
            return authentication.too_many_requests(request, wait)
        try:
            erasure.confirm(mine, accounts, password)
        except Forbidden:
            audit.record(request, "password refused")
            raise
        erasure.erase_account(accounts, image_owners(request), mine, actor_of(request))
        response = pages.error(
            request, 200, "Your data has been deleted", "Account, pictures, answers and labels."
        )
        sessions.end(response)
        return response
