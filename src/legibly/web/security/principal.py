"""The principal of a request, and what it may do; routes know nothing else of accounts."""

from dataclasses import dataclass

from fastapi import Request

from legibly.errors import Forbidden, LegiblyError, NotFound
from legibly.people.accounts import ROLES, SCOPES, Role, Scope
from legibly.records import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request is from. `account` is None where there are no accounts and all is allowed.

    `scopes` are what an API token allows; a person at a browser has all of them, and a `session`
    that ends at `until`, a Unix time in seconds.
    """

    account: str | None = None
    name: str = ""
    role: Role = "admin"
    scopes: frozenset[Scope] = frozenset(SCOPES)
    session: str | None = None
    until: int = 0

    @property
    def owner(self) -> str | None:
        """Whose images the principal sees; None: everybody's."""
        return self.account if self.role == "writer" else None

    def may_see(self, image: Image) -> bool:
        """Whether the principal may know of an image."""
        return self.owner is None or image.owner == self.owner

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the principal has this scope."""
        if scope not in self.scopes:
            raise Forbidden(
                "this token does not allow to {scope}.",
                code="scope-missing",
                remedy="Make one with the scope {scope}.",
                scope=scope,
            )

    def require_role(self, role: Role) -> None:
        """Raises Forbidden unless the principal has this role or one above it."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(
                "this needs the role {role}.",
                code="role-missing",
                remedy="Ask an administrator for it.",
                role=role,
            )


LOCAL = Principal()


def principal_of(request: Request) -> Principal:
    """The principal of this request."""
    principal = getattr(request.state, "principal", LOCAL)
    if not isinstance(principal, Principal):
        raise TypeError("the principal of a request is a Principal")
    return principal


async def is_still_valid(request: Request) -> bool:
    """Whether the request would still get the same principal: for answers that go on for long."""
    authenticate = getattr(request.state, "authenticate", None)
    if authenticate is None:
        return True
    try:
        return bool(await authenticate() == principal_of(request))
    except LegiblyError:
        return False


def require_visible(image: Image, principal: Principal) -> Image:
    """The image, if the principal may see it. Raises NotFound otherwise, as if there were none."""
    if not principal.may_see(image):
        raise NotFound("there is no such image.", where=image.id)
    return image
