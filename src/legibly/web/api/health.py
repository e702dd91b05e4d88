"""Liveness and readiness."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from legibly.errors import Unavailable
from legibly.web.api import documents
from legibly.web.services import state_of

router = APIRouter(tags=["health"])


class Liveness:
    """ASGI middleware: answers `/healthz` before anything else: it only tests the process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_probe = scope["type"] == "http" and scope["path"] == "/healthz"
        if is_probe and scope["method"] in ("GET", "HEAD"):
            await JSONResponse({"status": "alive"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@router.get("/healthz", response_model=documents.Alive)
async def get_health() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", response_model=documents.Ready)
def get_readiness(request: Request) -> JSONResponse:
    """Uploads work: the database answers, the worker runs, the model is loaded."""
    state = state_of(request)
    if not state.worker.is_alive:
        raise Unavailable("the worker is not running.")
    if problem := state.worker.problem:
        message = "looking for new pictures fails: {problem}"
        raise Unavailable(message, code="sweep-failing", problem=problem)
    if problem := state.store.write_problem:
        message = "the store cannot be written: {problem}"
        raise Unavailable(message, code="store-not-writable", problem=problem)
    if model_problem := state.views.pack.problem():
        message = "the model is not responding: {problem}"
        raise Unavailable(message, code="model-away", problem=model_problem)
    state.index.sequence()  # the database answers
    # With accounts, the number of images is not public.
    counts = {} if state.settings.accounts == "on" else state.index.counts()
    return JSONResponse({"status": "ready", "model": state.views.model.to_json(), "images": counts})
