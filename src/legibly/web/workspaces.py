"""The projects that this process serves, and the one that a request means.

`/api/projects/NAME/…` is `/api/…` of that project. The pages have the same addresses in every
project; the cookie `legibly_project`, which the switcher in the header sets, says which one.
`?project=NAME` means that project at every address; a page that is opened so becomes the
browser's project, since what it asks for next has to be of the same one.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from anyio import to_thread
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly.errors import LegiblyError, NotFound, Unavailable
from legibly.pipeline import Service
from legibly.projects import Project, Projects
from legibly.settings import DEFAULT_PROJECT
from legibly.web import errors
from legibly.web.services import State

COOKIE = "legibly_project"
_log = logging.getLogger(__name__)
_PATH = re.compile(r"/api/projects/([^/]+)(/.+)")
# How long a process goes on with what it knows of a project's record.
_FRESH_SECONDS = 5.0
_OPENING_SECONDS = 30.0
_YEAR_SECONDS = 31_536_000


class Workspaces:
    """Opens each project when it is first asked for, and closes them all at the end."""

    def __init__(self, projects: Projects, *, open_state: Callable[[Project], State]) -> None:
        self.projects = projects
        self._open_state = open_state
        self._opened: dict[str, tuple[Project, State, float]] = {}
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open every project, so that its waiting images are read without a visitor."""
        self._loop = asyncio.get_running_loop()
        for project in await to_thread.run_sync(list, self.projects):
            if project.name != DEFAULT_PROJECT:
                try:
                    await self.get(project.name)
                except LegiblyError as error:
                    _log.warning("project %s cannot be opened: %s", project.name, error)

    async def get(self, name: str) -> tuple[Project, State]:
        """A project as its newest record says, and its collaborators. Raises NotFound."""
        async with self._lock:
            clock = asyncio.get_running_loop().time()
            if name in self._opened and clock - self._opened[name][2] < _FRESH_SECONDS:
                return self._opened[name][:2]
            project = await to_thread.run_sync(self.projects.get, name)
            state = self._opened[name][1] if name in self._opened else None
            if state is None or project != self._opened[name][0]:
                fresh = await to_thread.run_sync(self._open_state, project)
                await fresh.start()
                if state is not None:
                    await _close(state)
                state = fresh
            self._opened[name] = (project, state, clock)
            return project, state

    def service(self, name: str) -> Service:
        """The service of a project, for threads beside the event loop. Raises NotFound, and
        Unavailable at start and end.
        """
        if self._loop is None:
            raise Unavailable("projects are not open at this moment.")
        opening = asyncio.run_coroutine_threadsafe(self.get(name), self._loop)
        try:
            return opening.result(timeout=_OPENING_SECONDS)[1].service
        except TimeoutError as error:
            raise Unavailable("opening the project takes long.", where=name) from error

    def services(self) -> list[Service]:
        """The services of the projects that are open, all but the default one."""
        return [state.service for _, state, _ in list(self._opened.values())]

    async def stop(self) -> None:
        """Stop what every project runs."""
        self._loop = None
        for _, state, _ in self._opened.values():
            await _close(state)


class ProjectRouter:
    """Finds the project of each request before anything else looks at its path."""

    def __init__(self, app: ASGIApp, *, workspaces: Workspaces) -> None:
        self._app = app
        self._workspaces = workspaces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            match = _PATH.fullmatch(scope["path"])
            requested = match[1] if match else _query(scope)
            name = requested or _cookie(scope)
            if match:
                path = f"/api{match[2]}"
                scope = {**scope, "path": path, "raw_path": path.encode()}
            if name and name != DEFAULT_PROJECT:
                try:
                    project, state = await self._workspaces.get(name)
                    scope = {**scope, "legibly.project": project, "legibly.state": state}
                except LegiblyError as error:
                    if requested or not isinstance(error, NotFound):
                        response = errors.error_response(Request(scope), error)
                        await response(scope, receive, send)
                        return
            if requested and not scope["path"].startswith("/api/"):
                send = _remembering(requested, scope, send)
        await self._app(scope, receive, send)


def cookie(name: str, *, is_secure: bool) -> str:
    """The header that makes a project that of a browser."""
    morsel = SimpleCookie({COOKIE: name})[COOKIE]
    morsel["path"] = "/"
    morsel["max-age"] = str(_YEAR_SECONDS)
    morsel["httponly"] = True
    morsel["samesite"] = "lax"
    morsel["secure"] = is_secure
    return morsel.OutputString()


def _remembering(name: str, scope: Scope, send: Send) -> Send:
    """Sends the response with the cookie of a project, unless it is refused."""
    header = cookie(name, is_secure=scope["scheme"] == "https").encode("latin-1")

    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            message = {**message, "headers": [*message["headers"], (b"set-cookie", header)]}
        await send(message)

    return send_with_cookie


def _query(scope: Scope) -> str | None:
    """The project that an address names."""
    if b"project=" not in scope["query_string"]:
        return None
    return dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("project")


def _cookie(scope: Scope) -> str | None:
    """The project that a browser chose; API clients send no cookie."""
    for name, value in scope["headers"]:
        if name == b"cookie" and COOKIE.encode() in value:
            try:
                morsel = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                return None
            return morsel.value if morsel else None
    return None


async def state_in(request: Request, name: str) -> State:
    """The collaborators of another project than that of the request. Raises NotFound."""
    application = request.app.state
    if name == DEFAULT_PROJECT:
        state: State = application.legibly
    else:
        _, state = await application.workspaces.get(name)
    return state


async def _close(state: State) -> None:
    await state.stop()
    await to_thread.run_sync(state.index.close)
