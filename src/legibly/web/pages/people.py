"""For administrators: accounts and the audit log."""

import functools
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import Forbidden, LegiblyError
from legibly.people import administration
from legibly.people.accounts import ROLES, Account, Accounts, Role
from legibly.web import errors
from legibly.web.pages import signin
from legibly.web.pages.rendering import Pages
from legibly.web.security.principal import principal_of

_TRAIL = 100


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    show = functools.partial(_show, pages)

    @routes.get("/people")
    def people(request: Request, changed: str = "", undo: str = "") -> Response:
        """All accounts; after a change with a button to undo it."""
        is_known = undo in (*ROLES, "enable", "disable", "keep")
        return show(request, changed=changed, undo=undo if is_known else "")

    @routes.post("/people")
    def make(
        request: Request, name: Annotated[str, Form(max_length=200)], role: Annotated[Role, Form()]
    ) -> Response:
        """Create an account with a first password, which is shown only once."""
        accounts = _admins_only(request)
        password = secrets.token_urlsafe(12)
        try:
            account = administration.add(
                accounts, name, signin.actor_of(request), role=role, password=password
            )
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        return show(request, secret=password, person=account.name)

    @routes.post("/people/{account_id}")
    def change(
        request: Request, account_id: str, action: Annotated[str, Form(alias="what")]
    ) -> Response:
        """Set a role by its name, or: disable, enable, password, erase, keep."""
        accounts = _admins_only(request)
        account = signin.accounts_of(request).get(account_id)
        if account.id == principal_of(request).account:
            raise Forbidden(
                "this is your own account.", remedy="Ask another administrator to change it."
            )
        if action == "password":
            password = secrets.token_urlsafe(12)
            administration.reset_password(accounts, account, password, signin.actor_of(request))
            return show(request, secret=password, person=account.name)
        _change(request, accounts, account, action)
        undo = _undo_of(account, action)
        query = urlencode({"changed": account.id, "undo": undo}) if undo else ""
        return RedirectResponse(f"/people?{query}".rstrip("?"), 303)


def _show(
    pages: Pages, request: Request, *, status: int = 200, changed: str = "", **shown: str
) -> Response:
    """The page of all accounts; `secret` is the new password of `person`, shown only once."""
    accounts = _admins_only(request)
    people = accounts.people()
    return pages.render(
        request,
        "people.html",
        status=status,
        people=people,
        names={account.id: account.name for account in people},
        trail=accounts.audit_log.newest(limit=_TRAIL),
        roles=ROLES,
        changed=next((account for account in people if account.id == changed), None),
        **{"secret": "", "person": "", "problem": "", "undo": "", **shown},
    )


def _change(request: Request, accounts: Accounts, account: Account, action: str) -> None:
    actor = signin.actor_of(request)
    if action == "erase":
        administration.schedule_erasure(accounts, account, actor)
    elif action == "keep":
        administration.cancel_erasure(accounts, account, actor)
    elif action in ("disable", "enable"):
        administration.set_disabled(accounts, account, actor, disabled=action == "disable")
    else:
        administration.change_role(accounts, account, action, actor)


def _undo_of(account: Account, action: str) -> str:
    """The action that restores an account; empty if none is needed."""
    if action in ROLES:
        return account.role if account.role != action else ""
    return {"disable": "enable", "enable": "disable", "erase": "keep"}.get(action, "")


def _admins_only(request: Request) -> Accounts:
    principal_of(request).require_role("admin")
    signin.own_account(request)
    return signin.accounts_of(request)
