"""Builds the web application from its parts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from legibly import __version__
from legibly.accuracy.compaction.timer import CompactionTimer
from legibly.people import retention
from legibly.pipeline import Service
from legibly.web import deletion, errors, openapi
from legibly.web.api import (
    batches,
    forms,
    health,
    images,
    inference,
    models,
    preview,
    projects,
    prometheus,
    s3_webhook,
    stored_forms,
    upload_route,
    uploads,
)
from legibly.web.pages import routes
from legibly.web.security import authentication, body_limit, response_defaults
from legibly.web.security.cloudfront import CloudFrontMiddleware
from legibly.web.services import State
from legibly.web.workspaces import ProjectRouter, Workspaces

_DESCRIPTION = (
    "Images in, readings with calibrated confidence out, true labels back, accuracy measured."
)
_API = (
    *(health, images, batches, s3_webhook, inference),
    *(projects, models, forms, stored_forms, preview),
)


def create_app(state: State, workspaces: Workspaces) -> FastAPI:
    """The application; the workers and followers of its projects run as long as it does.

    The last middleware added sees a request first.
    """

    def image_owners() -> list[Service]:
        return [state.service, *workspaces.services()]

    app = FastAPI(
        title="Legibly",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan(state, workspaces, image_owners),
        docs_url=None,  # we have our own, without third-party scripts
        redoc_url=None,
        # Images have traces of their own (see `telemetry.tracing`), requests have metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # The method names in generated clients.
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.legibly = state
    app.state.workspaces = workspaces
    app.state.image_owners = image_owners
    errors.install(app)
    app.add_middleware(upload_route.UploadRoute)
    limit = state.settings.max_bytes + uploads.ALLOWANCE_BYTES
    app.add_middleware(body_limit.BodyLimit, limit=limit)
    for module in _API:
        app.include_router(module.router)
    prometheus.install(app, state)
    routes.install(app)
    app.add_middleware(models.ModelHeader, state=state)
    openapi.install(app)
    app.add_middleware(
        authentication.AccessMiddleware,
        settings=state.settings,
        accounts=state.accounts,
        classes=state.classes,
    )
    app.add_middleware(ProjectRouter, workspaces=workspaces)
    app.add_middleware(response_defaults.ResponseDefaults, public_url=state.settings.public_url)
    app.add_middleware(errors.InternalErrors)
    app.add_middleware(health.Liveness)
    if state.settings.proxy == "cloudfront":
        app.add_middleware(CloudFrontMiddleware)
    return app


def _lifespan(
    state: State, workspaces: Workspaces, image_owners: Callable[[], list[Service]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Start background tasks, and stop them in reverse order."""
    timers: list[retention.PurgeTimer | CompactionTimer] = []
    if state.classes and state.accounts:
        timers.append(retention.PurgeTimer(state.classes, state.accounts, image_owners))
    hours = state.settings.compact_hours
    if hours:
        timers.append(
            CompactionTimer(lambda: [owner.store for owner in image_owners()], hours=hours)
        )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Before the default project's queue, which reports for all projects.
        await workspaces.start()
        await state.start()
        for timer in timers:
            timer.start()
        for owner in image_owners():
            await to_thread.run_sync(deletion.remove_expired, owner.store)
        try:
            yield
        finally:
            for timer in timers:
                timer.stop()
            await workspaces.stop()
            await state.stop()

    return lifespan
