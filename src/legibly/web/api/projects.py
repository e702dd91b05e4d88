"""The JSON API of projects."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from legibly.projects import MAX_TITLE
from legibly.records import TextMode
from legibly.web.security.principal import admitted_projects, principal_of
from legibly.web.services import state_of

router = APIRouter(prefix="/api/projects", tags=["projects"])


class ProjectChange(BaseModel, extra="forbid"):
    """The settings of a project; null uses those of the server."""

    title: Annotated[str, Field(max_length=MAX_TITLE)] = ""
    model: str | None = None
    ask_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    review_people: Annotated[int | None, Field(ge=1, le=2)] = None
    text: TextMode | None = None
    members: list[str] = []


class NewProject(ProjectChange):
    """A project to create."""

    name: Annotated[str, Field(examples=["meters"])]


class ProjectRecord(ProjectChange):
    """A project."""

    name: str
    changed_at: str


class ProjectList(BaseModel):
    """The projects that the caller may enter."""

    projects: list[ProjectRecord]


@router.get("", response_model=ProjectList)
def get_projects(request: Request) -> JSONResponse:
    """The projects that the caller may enter, `default` first."""
    projects = admitted_projects(request)
    return JSONResponse({"projects": [project.to_json() for project in projects]})


@router.post("", status_code=201, response_model=ProjectRecord)
def post_project(request: Request, body: NewProject) -> JSONResponse:
    """Create a project; administrators only."""
    principal_of(request).require_role("admin")
    project = state_of(request).projects.create(**_values(body))
    return JSONResponse(project.to_json(), 201)


@router.put("/{name}", response_model=ProjectRecord)
def put_project(request: Request, name: str, body: ProjectChange) -> JSONResponse:
    """Change a project; administrators only. Running servers follow within seconds."""
    principal_of(request).require_role("admin")
    return JSONResponse(state_of(request).projects.change(name, **_values(body)).to_json())


def _values(body: ProjectChange) -> dict[str, Any]:
    return {**body.model_dump(), "members": tuple(body.members)}
