"""The principal of a request and its permissions; the only part of accounts that routes use."""

from dataclasses import dataclass
from typing import TypedDict

from fastapi import Request

from legibly.errors import Forbidden, LegiblyError, NotFound
from legibly.index.port import BatchCount, Index
from legibly.people.accounts import ROLES, Role
from legibly.people.classrooms import class_of
from legibly.people.tokens import SCOPES, Scope
from legibly.projects import Project
from legibly.records import Image
from legibly.web.services import state_of


class Visibility(TypedDict):
    """The owners whose images a principal may see."""

    owner: str | None
    classes: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request is from. `account` is None without accounts: then everything is allowed.

    `scopes` are what an API token allows; a person at a browser has all of them, and a `session`
    that ends at `until`, a Unix time in seconds. `classes` are the school classes whose pupils'
    images the principal sees; None for those of every class.
    """

    account: str | None = None
    name: str = ""
    role: Role = "admin"
    scopes: frozenset[Scope] = frozenset(SCOPES)
    session: str | None = None
    until: int = 0
    classes: frozenset[str] | None = None

    @property
    def owner(self) -> str | None:
        """The owner whose images the principal may see; None for all."""
        return self.account if self.role == "writer" else None

    @property
    def visibility(self) -> Visibility:
        """The same as fields of a `Filter` or a `Selection`."""
        return {"owner": self.owner, "classes": self.classes}

    def may_see(self, image: Image) -> bool:
        """Whether the principal may see an image."""
        return self.sees_owner(image.owner)

    def sees_owner(self, owner: str | None) -> bool:
        """Whether the principal may see the images of an account or a pupil."""
        if self.owner is not None:
            return owner == self.owner
        return self.classes is None or class_of(owner or "") in (None, *self.classes)

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the principal has this scope."""
        if scope not in self.scopes:
            raise Forbidden(
                "this token does not have the scope {scope}.",
                code="scope-missing",
                remedy="Create one with the scope {scope}.",
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


def admitted_projects(request: Request) -> list[Project]:
    """The projects that the principal may enter, the default one first."""
    principal = principal_of(request)
    return state_of(request).projects.admitting(principal.account, principal.role)


async def is_still_valid(request: Request) -> bool:
    """Whether the request would still get the same principal, for long responses."""
    authenticate = getattr(request.state, "authenticate", None)
    if authenticate is None:
        return True
    try:
        return bool(await authenticate() == principal_of(request))
    except LegiblyError:
        return False


def require_visible(image: Image, principal: Principal) -> Image:
    """The image, if the principal may see it. Otherwise raises NotFound, to hide that it exists."""
    if not principal.may_see(image):
        raise NotFound("there is no such image.", where=image.id)
    return image


def visible_batch(index: Index, batch_id: str, principal: Principal) -> BatchCount:
    """A batch with its counts, if the principal may see it. Raises NotFound."""
    counts = index.batches(**principal.visibility, limit=1, batch_id=batch_id)
    if not counts:
        raise NotFound("there is no such batch.", where=batch_id[:80])
    return counts[0]
