"""Erases accounts, pupils and classes with all their images, readings and labels."""

from collections.abc import Callable, Iterable
from typing import Protocol

from legibly.errors import Forbidden
from legibly.people.accounts import Account, Accounts
from legibly.people.administration import Actor, require_other_admin
from legibly.people.classrooms import Classes, Pupil, SchoolClass
from legibly.records import now


class ImageOwners(Protocol):
    """The images of a project, by owner."""

    def remove_owner(self, owner: str) -> None:
        """Delete every image of this owner with all records of it."""


Projects = Callable[[], Iterable[ImageOwners]]
"""All projects of the store, since people may have images in each of them."""


def erase_account(accounts: Accounts, projects: Projects, account: Account, actor: Actor) -> None:
    """Erase a person's images everywhere, then the account. Raises Forbidden for the last admin."""
    require_other_admin(accounts, account)
    with accounts.audit_log.audited(
        "account erased", by=actor.account, on=account.id, address=actor.address
    ):
        _erase_owner(projects, account.id)
        accounts.erase(account)


def erase_class(classes: Classes, projects: Projects, school_class: SchoolClass) -> None:
    """Erase a class with its pupils and their images."""
    for pupil in classes.pupils(school_class):
        erase_pupil(classes, projects, pupil)
    classes.erase(school_class)


def erase_pupil(classes: Classes, projects: Projects, pupil: Pupil) -> None:
    """Erase one pupil with their images."""
    _erase_owner(projects, pupil.owner)
    classes.remove_pupil(pupil)


def purge_expired(classes: Classes, projects: Projects) -> list[SchoolClass]:
    """Erase the classes past their date; return them."""
    classes.refresh()
    expired = list(classes.expired())
    for school_class in expired:
        erase_class(classes, projects, school_class)
    return expired


def purge_accounts(accounts: Accounts, projects: Projects) -> list[Account]:
    """Erase the accounts due for erasure; return them."""
    accounts.refresh()
    due = [
        account
        for account in accounts.people()
        if account.erase_at is not None and account.disabled and account.erase_at <= now()
    ]
    for account in due:
        erase_account(accounts, projects, account, Actor(address="timer"))
    return due


def confirm(account: Account, accounts: Accounts, secret: str) -> None:
    """Check the password, or the name without one, before erasure. Raises Forbidden."""
    if account.password is None:
        if secret != account.name:
            raise Forbidden("this is not the account's name.", code="confirmation-wrong")
    elif accounts.sign_in(account.name, secret) is None:
        raise Forbidden("the password is wrong.", code="password-wrong")


def _erase_owner(projects: Projects, owner: str) -> None:
    for images in projects():
        images.remove_owner(owner)
