"""For administrators: who has an account, and what was done."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import Forbidden, LegiblyError
from legibly.people.accounts import ROLES, Account, Accounts, Role
from legibly.web import errors
from legibly.web.pages import signin
from legibly.web.pages.rendering import Pages
from legibly.web.security.principal import principal_of
from legibly.web.services import state_of

_TRAIL = 100


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    def show(
        request: Request,
        *,
        secret: str = "",
        person: str = "",
        problem: str = "",
        status: int = 200,
    ) -> Response:
        accounts = _admins_only(request)
        names = {account.id: account.name for account in accounts.people()}
        trail = accounts.audit_log(limit=_TRAIL)
        values = {
            "secret": secret,
            "person": person,
            "problem": problem,
            "roles": ROLES,
            "names": names,
        }
        return pages.render(
            request, "people.html", status=status, people=accounts.people(), trail=trail, **values
        )

    @routes.get("/people")
    def people(request: Request) -> Response:
        """Everybody."""
        return show(request)

    @routes.post("/people")
    def make(
        request: Request, name: Annotated[str, Form(max_length=200)], role: Annotated[Role, Form()]
    ) -> Response:
        """A new account with a first password, shown this once."""
        accounts, password = _admins_only(request), secrets.token_urlsafe(12)
        try:
            account = accounts.add(name, role=role, password=password)
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        _note(request, "account made", account)
        return show(request, secret=password, person=account.name)

    @routes.post("/people/{account_id}")
    def change(
        request: Request, account_id: str, action: Annotated[str, Form(alias="what")]
    ) -> Response:
        """A role by its name, or: disable, enable, password, erase."""
        accounts, account = _admins_only(request), signin.accounts_of(request).get(account_id)
        if account.id == principal_of(request).account:
            raise Forbidden(
                "this is your own account.", remedy="Let another administrator change it."
            )
        _note(request, f"account: {action[:20]}", account)
        if action == "password":
            password = secrets.token_urlsafe(12)
            accounts.change(account, password=password)
            return show(request, secret=password, person=account.name)
        _change(request, accounts, account, action)
        return RedirectResponse("/people", 303)


def _change(request: Request, accounts: Accounts, account: Account, action: str) -> None:
    if action == "erase":
        principal, address = principal_of(request), signin.address_of(request)
        signin.erase(state_of(request), accounts, account, by=principal, address=address)
    elif action in ("disable", "enable"):
        accounts.change(account, disabled=action == "disable")
    elif action in ROLES:
        accounts.change(account, role=action)


def _admins_only(request: Request) -> Accounts:
    principal_of(request).require_role("admin")
    signin.own_account(request)
    return signin.accounts_of(request)


def _note(request: Request, event: str, account: Account) -> None:
    by, address = principal_of(request).account, signin.address_of(request)
    signin.accounts_of(request).record_audit(event, by=by, on=account.id, address=address)
