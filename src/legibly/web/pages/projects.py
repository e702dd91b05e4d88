"""The page of projects: choose one, and make one."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import LegiblyError
from legibly.projects import MAX_TITLE, Project
from legibly.settings import DEFAULT_PROJECT
from legibly.web import errors
from legibly.web.pages.rendering import Pages
from legibly.web.security.principal import principal_of
from legibly.web.services import state_of
from legibly.web.workspaces import COOKIE

_YEAR_SECONDS = 31_536_000


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    def show(request: Request, *, problem: str = "", status: int = 200) -> Response:
        values = {"projects": _admitted(request), "default": DEFAULT_PROJECT, "problem": problem}
        return pages.render(request, "projects.html", status=status, **values)

    @routes.get("/projects")
    def projects(request: Request) -> Response:
        """Every project that the principal may enter."""
        return show(request)

    @routes.post("/projects")
    def create(
        request: Request,
        name: Annotated[str, Form(max_length=80)],
        title: Annotated[str, Form(max_length=MAX_TITLE)] = "",
    ) -> Response:
        """Make a project and enter it."""
        principal_of(request).require_role("admin")
        try:
            project = state_of(request).projects.create(name.strip().lower(), title=title.strip())
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        return _enter(request, project)

    @routes.post("/projects/enter")
    def enter(request: Request, name: Annotated[str, Form(max_length=80)]) -> Response:
        """Work in another project from now on, in this browser."""
        project = next((entry for entry in _admitted(request) if entry.name == name), None)
        if project is None:
            project = state_of(request).projects.get(DEFAULT_PROJECT)
        return _enter(request, project)


def _admitted(request: Request) -> list[Project]:
    principal = principal_of(request)
    return state_of(request).projects.admitting(principal.account, principal.role)


def _enter(request: Request, project: Project) -> Response:
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, project.name, max_age=_YEAR_SECONDS, httponly=True, samesite="lax", secure=secure
    )
    return response
