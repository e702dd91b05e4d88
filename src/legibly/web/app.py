"""Builds the web application out of its collaborators."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from legibly import __version__
from legibly.web import api, errors, health, pages
from legibly.web.state import State

_DESCRIPTION = "Images in, readings with calibrated confidence out, true labels back, accuracy measured."


def create_app(state: State) -> FastAPI:
    """The application; its worker and its follower run as long as it does."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await state.hub.start()
        state.worker.start()
        try:
            yield
        finally:
            await state.hub.stop()
            state.worker.stop()

    app = FastAPI(title="Legibly", version=__version__, description=_DESCRIPTION, lifespan=lifespan)
    app.state.legibly = state
    errors.install(app)
    app.include_router(health.router)
    app.include_router(api.router)
    app.include_router(pages.router())
    app.mount("/static", StaticFiles(directory=Path(str(resources.files("legibly.web") / "static"))), name="static")
    return app
