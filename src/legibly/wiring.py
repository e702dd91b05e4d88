"""Builds objects from settings: the only module that chooses implementations."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI

from legibly import projects
from legibly.errors import Invalid
from legibly.evaluation.live_model import LiveReader
from legibly.evaluation.trial_timer import TrialTimer
from legibly.index.sql import SqlIndex, open_index
from legibly.ingest.consumer import Consumer
from legibly.ingest.external_readers import Elsewhere
from legibly.ingest.light_lane import LightLane
from legibly.ingest.model_readers import live_reader as live_reader
from legibly.ingest.model_readers import reader as reader
from legibly.ingest.project_consumer import ProjectConsumer
from legibly.ingest.project_readers import ProjectReaders
from legibly.ingest.queue_worker import QueueWorker
from legibly.ingest.s3_documents import place
from legibly.ingest.sweep import Sweeper
from legibly.ingest.worker import Worker
from legibly.people.accounts import Accounts
from legibly.people.classrooms import Classes
from legibly.pipeline import Service
from legibly.projects import Project
from legibly.records import Image
from legibly.settings import DEFAULT_PROJECT, Settings
from legibly.store import Store, open_store
from legibly.web.app import create_app
from legibly.web.live_hub import Hub
from legibly.web.presigner import Presigner
from legibly.web.services import State
from legibly.web.workspaces import Workspaces

if TYPE_CHECKING:
    from legibly.people import oidc

_FindService = Callable[[str], Service]
_People = tuple[Accounts | None, Classes | None, "oidc.Provider | None"]


def store(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> Store:
    """The objects of the settings' project."""
    return open_store(projects.store_url(settings), environ=environ)


def root_store(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> Store:
    """The store of all projects, which holds the accounts too."""
    return open_store(settings.store, environ=environ)


def index(settings: Settings, *, renew: bool = False) -> SqlIndex:
    """The index; with `renew`, tables of another version make way for empty ones."""
    name = projects.namespace(settings)
    return open_index(settings.database, renew=renew, namespace=name)


def service(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> Service:
    """The service with its store, index and reader."""
    own = store(settings, environ=environ)
    return _service(settings, own, live_reader(settings, own))


def _service(settings: Settings, own: Store, read: LiveReader) -> Service:
    return Service(
        store=own,
        index=index(settings),
        reader=read,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        ask_rate=settings.ask_rate,
    )


def project_services(
    settings: Settings, *, environ: Mapping[str, str] = os.environ
) -> list[Service]:
    """The service of every project of the store, the default one first."""
    default = replace(settings, project=DEFAULT_PROJECT)
    records = projects.Projects(root_store(settings, environ=environ))
    return [service(project.override(default), environ=environ) for project in records]


def threads(settings: Settings) -> int:
    """The number of threads that classify."""
    return settings.threads or min(4, os.cpu_count() or 1)


def app(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> FastAPI:
    """The web application with the workers of its projects."""

    def open_project(project: Project) -> State:
        # One queue tells of every project; the consumer of the default one takes it in for all.
        classify = settings.classify if settings.queue else "here"
        own = replace(project.override(settings), queue="", classify=classify)
        shared = (state.accounts, state.classes, state.provider)
        return _state(own, environ, shared=shared)

    records = projects.Projects(root_store(settings, environ=environ))
    workspaces = Workspaces(records, open_state=open_project)
    state = _state(settings, environ, find_service=workspaces.service)
    return create_app(state, workspaces)


def _state(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    shared: _People | None = None,
    find_service: _FindService | None = None,
) -> State:
    """The collaborators of one project; people are shared by all of them."""
    own = store(settings, environ=environ)
    read = live_reader(settings, own)
    core = _service(settings, own, read)
    hub = Hub(core.index, document=core.document)
    is_default = settings.project == DEFAULT_PROJECT
    root = core.store if is_default else root_store(settings, environ=environ)
    accounts, classes, oidc_provider = shared or _people(settings, root)
    is_s3 = settings.store.startswith("s3://")
    return State(
        settings=settings,
        store=core.store,
        index=core.index,
        service=core,
        views=read,
        worker=_worker(settings, core, _consumer(settings, core, hub, find_service), hub),
        light=_light(settings, core, on_change=hub.notify),
        hub=hub,
        projects=projects.Projects(root),
        accounts=accounts,
        classes=classes,
        provider=oidc_provider,
        presigner=Presigner(core.store, environ=environ) if is_s3 else None,
        trials=TrialTimer(read, index=core.index, store=core.store),
    )


def _people(settings: Settings, root: Store) -> _People:
    if settings.accounts != "on":
        return None, None, provider(settings)
    return Accounts(root), Classes(root), provider(settings)


def _light(
    settings: Settings, core: Service, *, on_change: Callable[[Sequence[Image]], None]
) -> LightLane | None:
    """What reads small pictures while their senders wait."""
    if settings.classify == "elsewhere":
        return None
    return LightLane(core, threads=threads(settings), on_change=on_change)


def _worker(
    settings: Settings, core: Service, consumer: Consumer | None, hub: Hub
) -> Worker | Elsewhere:
    """The worker that reads pictures, or follows other readers."""
    sweeper = Sweeper(core, seconds=settings.sweep_seconds)
    if settings.classify == "elsewhere":
        return Elsewhere(core, consumer=consumer, sweeper=sweeper, on_change=hub.notify)
    return _reading_worker(settings, core, sweeper, hub.notify, consumer)


def _reading_worker(
    settings: Settings,
    core: Service,
    sweeper: Sweeper,
    on_change: Callable[[Sequence[Image]], None],
    consumer: Consumer | None = None,
) -> Worker:
    return Worker(
        core,
        threads=threads(settings),
        attempts=settings.attempts,
        sweeper=sweeper,
        consumer=consumer,
        on_change=on_change,
    )


def lone_worker(
    settings: Settings, *, environ: Mapping[str, str] = os.environ
) -> Worker | QueueWorker:
    """A worker without a web server: for the queue of the settings, else for pending images."""
    if not settings.queue:
        core = service(settings, environ=environ)
        sweeper = Sweeper(core, seconds=settings.sweep_seconds)
        return _reading_worker(settings, core, sweeper, lambda _images: None)
    from legibly.ingest.sqs import SqsQueue  # boto3 is an extra, and slow to import

    return QueueWorker(SqsQueue(settings.queue), ProjectReaders(settings, environ=environ))


def _consumer(
    settings: Settings, core: Service, hub: Hub, find_service: _FindService | None
) -> Consumer | None:
    """The consumer of the settings' queue; None without one."""
    if not settings.queue or find_service is None:
        return None
    from legibly.ingest.sqs import SqsQueue  # boto3 is an extra, and slow to import

    return ProjectConsumer(
        core,
        SqsQueue(settings.queue),
        prefix=place(settings.store)[1],
        on_change=hub.notify,
        find_service=find_service,
    )


def provider(settings: Settings) -> "oidc.Provider | None":
    """The OpenID provider of the settings. Raises Invalid for a missing library or bad address."""
    if not settings.oidc_issuer:
        return None
    try:
        from legibly.people import oidc  # PyJWT is an extra
    except ImportError as error:
        remedy = "Install it: pip install 'legibly[oidc]'."
        raise Invalid(
            "what OpenID Connect needs is missing.", where="LEGIBLY_OIDC_ISSUER", remedy=remedy
        ) from error
    return oidc.Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        name=settings.oidc_name,
    )


def require_accounts(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> None:
    """Check that somebody can sign in; create `admin` if a password is set. Raises Invalid."""
    book = Accounts(root_store(settings, environ=environ))
    book.refresh()
    if not book.has_admin() and settings.admin_password:
        book.add("admin", role="admin", password=settings.admin_password)
    if not book.has_admin():
        remedy = "Make one: legibly users add NAME --role admin"
        raise Invalid(
            "beyond this machine Legibly needs accounts, and there is no administrator yet.",
            remedy=remedy,
        )


def begin(settings: Settings, *, workers: int) -> None:
    """Check and prepare all before `workers` processes serve. Raises Invalid and Unavailable."""
    provider(settings)
    root_store(settings)
    if settings.review_people > 1 and settings.accounts != "on":
        remedy = "Set LEGIBLY_ACCOUNTS=on, or LEGIBLY_REVIEW_PEOPLE=1."
        raise Invalid("without accounts nobody can tell whether two people agree.", remedy=remedy)
    if workers > 1:
        _check_shareable(settings, workers)
        # A single process fails by itself; the processes of many would be started for ever.
        reader(settings)
    opened = index(settings)
    if settings.database.startswith("sqlite"):
        # SQLite serves one machine, and this is its only start: leases are those of a crash
        opened.release()
    opened.close()


def _check_shareable(settings: Settings, workers: int) -> None:
    for name, part in (("store", "memory://"), ("database", ":memory:")):
        if part in getattr(settings, name):
            problem = f"{workers} processes cannot share a {name} in memory."
            raise Invalid(problem, remedy="Serve with --workers 1.")
