"""Writes audit entries for work on other people's images."""

from collections.abc import Iterable

from fastapi import Request

from legibly.records import Image
from legibly.web.security.client_address import address_of
from legibly.web.security.principal import principal_of
from legibly.web.services import state_of


def record(request: Request, action: str, *, on: str = "") -> None:
    """Write an entry of the audit log; nothing without accounts."""
    accounts = state_of(request).accounts
    if accounts is not None:
        account = principal_of(request).account
        accounts.audit_log.record(action, by=account, on=on, address=address_of(request))


def record_deletion(request: Request, images: Iterable[Image]) -> None:
    """Write an entry for each deleted image that the principal did not own."""
    account = principal_of(request).account
    for image in images:
        if image.owner != account:
            record(request, "image deleted", on=image.id)
