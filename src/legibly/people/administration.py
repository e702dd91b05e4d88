"""Changes accounts for administrators, on the web and the command line, with audit entries."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

from legibly.errors import Forbidden, Invalid
from legibly.people.accounts import ROLES, Account, Accounts, Role
from legibly.records import now

UNDO_HOURS = 24
"""How long the erasure of an account can be cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and from which address; `account` is None for the operator."""

    account: str | None = None
    address: str = ""


OPERATOR = Actor(address="command line")


def add(
    accounts: Accounts, name: str, actor: Actor, *, role: Role, password: str | None
) -> Account:
    """Add an account. Raises Invalid and Conflict."""
    account = accounts.add(name, role=role, password=password)
    accounts.audit_log.record(
        "account made", by=actor.account, on=account.id, address=actor.address
    )
    return account


def change_role(accounts: Accounts, account: Account, role: str, actor: Actor) -> Account:
    """Give an account another role. Raises Invalid, and Forbidden for the last administrator."""
    if role not in ROLES:
        raise Invalid("{role} is not a role.", remedy="Roles are {roles}.", role=role, roles=ROLES)
    if role != "admin":
        require_other_admin(accounts, account)
    with _audited(accounts, account, role, actor):
        return accounts.change(account, role=role)


def set_disabled(accounts: Accounts, account: Account, actor: Actor, *, disabled: bool) -> Account:
    """Disable or enable an account. Raises Forbidden for the last administrator."""
    if disabled:
        require_other_admin(accounts, account)
    with _audited(accounts, account, "disable" if disabled else "enable", actor):
        due = account.erase_at if disabled else None
        return accounts.change(account, disabled=disabled, erase_at=due)


def schedule_erasure(accounts: Accounts, account: Account, actor: Actor) -> Account:
    """Disable an account and erase it after UNDO_HOURS. Raises Forbidden for the last admin."""
    require_other_admin(accounts, account)
    with _audited(accounts, account, "erasure scheduled", actor):
        due = now() + timedelta(hours=UNDO_HOURS)
        return accounts.change(account, disabled=True, erase_at=due)


def cancel_erasure(accounts: Accounts, account: Account, actor: Actor) -> Account:
    """Cancel the erasure of an account, and enable it."""
    with _audited(accounts, account, "erasure cancelled", actor):
        return accounts.change(account, disabled=False, erase_at=None)


def reset_password(accounts: Accounts, account: Account, password: str, actor: Actor) -> Account:
    """Set a new password; ends sessions and tokens. Raises Invalid."""
    with _audited(accounts, account, "password", actor):
        return accounts.change(account, password=password)


def require_other_admin(accounts: Accounts, account: Account) -> None:
    """Raises Forbidden if this is the only administrator who can sign in."""
    others = [
        other
        for other in accounts.people()
        if other.id != account.id and other.role == "admin" and not other.disabled
    ]
    if account.role == "admin" and not account.disabled and not others:
        raise Forbidden(
            "there must be at least one administrator.",
            code="last-administrator",
            remedy="Make another person an administrator first.",
        )


def _audited(
    accounts: Accounts, account: Account, action: str, actor: Actor
) -> AbstractContextManager[None]:
    return accounts.audit_log.audited(
        f"account: {action}", by=actor.account, on=account.id, address=actor.address
    )
