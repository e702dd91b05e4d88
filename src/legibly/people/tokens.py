"""API tokens as records."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, get_args

from legibly.records import moment

Scope = Literal["read", "write", "label", "delete"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token, of which only the hash is stored."""

    id: str
    account: str
    name: str
    scopes: tuple[Scope, ...]
    digest: str
    expires_at: datetime | None
    revoked: bool = False
    at: datetime

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        until = data["expires_at"]
        values = {**data, "at": moment(data["at"]), "scopes": tuple(data["scopes"])}
        return cls(**{**values, "expires_at": moment(until) if until else None})
