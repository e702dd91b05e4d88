"""The page of projects: choose one, or create one."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import LegiblyError
from legibly.projects import MAX_TITLE, Project
from legibly.settings import DEFAULT_PROJECT
from legibly.web import errors, workspaces
from legibly.web.pages.rendering import Pages
from legibly.web.security.principal import admitted_projects, principal_of
from legibly.web.services import state_of


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    def show(request: Request, *, problem: str = "", status: int = 200) -> Response:
        projects = admitted_projects(request)
        return pages.render(
            request, "projects.html", status=status, projects=projects, problem=problem
        )

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
        """Create a project and enter it."""
        principal_of(request).require_role("admin")
        try:
            project = state_of(request).projects.create(name.strip().lower(), title=title.strip())
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        return _enter(request, project)

    @routes.post("/projects/enter")
    def enter(request: Request, name: Annotated[str, Form(max_length=80)]) -> Response:
        """Switch this browser to another project."""
        by_name = {entry.name: entry for entry in admitted_projects(request)}
        default = state_of(request).projects.get(DEFAULT_PROJECT)
        return _enter(request, by_name.get(name, default))


def _enter(request: Request, project: Project) -> Response:
    response = RedirectResponse("/", 303)
    header = workspaces.cookie(project.name, is_secure=request.url.scheme == "https")
    response.headers.append("set-cookie", header)
    return response
