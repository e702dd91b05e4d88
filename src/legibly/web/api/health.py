"""Liveness and readiness."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from legibly.errors import Unavailable
from legibly.web.services import state_of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz")
def ready(request: Request) -> JSONResponse:
    """Everything that an upload needs is there: the database answers, the worker runs, the model is loaded."""
    state = state_of(request)
    if not state.worker.is_alive:
        raise Unavailable("the worker does not run.")
    counts = state.index.counts()
    return JSONResponse({"status": "ready", "model": state.views.model.to_json(), "images": counts})
