"""From settings to objects: the only module that chooses implementations."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI

from legibly import projects
from legibly.errors import Invalid
from legibly.evaluation.live_model import LiveReader
from legibly.evaluation.trial_timer import TrialTimer
from legibly.images import child_pool
from legibly.index.sql import SqlIndex, open_index
from legibly.ingest.batch import BatchReader
from legibly.ingest.consumer import Consumer
from legibly.ingest.external_readers import Elsewhere
from legibly.ingest.light_lane import LightLane
from legibly.ingest.queue_worker import QueueWorker
from legibly.ingest.s3_documents import place
from legibly.ingest.stored_packs import open_version
from legibly.ingest.sweep import Sweeper
from legibly.ingest.worker import Worker
from legibly.people.accounts import Accounts
from legibly.people.classrooms import Classes
from legibly.pipeline import Service
from legibly.projects import Project
from legibly.records import Image
from legibly.settings import DEFAULT_PROJECT, Settings
from legibly.store import Store, open_store
from legibly.vision.reading import Reader
from legibly.web.app import create_app
from legibly.web.live_hub import Hub
from legibly.web.presigner import Presigner
from legibly.web.services import State
from legibly.web.workspaces import Workspaces

if TYPE_CHECKING:
    from legibly.people import oidc

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


def reader(settings: Settings, *, version: str = "") -> Reader:
    """The reader with the model of the settings: a pack, in this version if there is one, or a
    remote one.
    """
    child_pool.configure(
        children=settings.decoders,
        wall_seconds=settings.decode_seconds,
        memory_bytes=settings.decode_megabytes * 1_000_000,
    )
    pack = open_version(settings.model, settings, version=version)
    return Reader(
        pack, max_pixels=settings.max_pixels, max_pages=settings.max_pages, text=settings.text_mode
    )


def service(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> Service:
    """Store, index and reader behind the verbs of the product."""
    own = store(settings, environ=environ)
    return _service(settings, own, live_reader(settings, own))


def live_reader(settings: Settings, own: Store) -> LiveReader:
    """The reader of a running process: it follows the changes recorded in its store."""

    def open_reader(setting: str, *, version: str = "") -> Reader:
        return reader(replace(settings, model=setting), version=version)

    return LiveReader(settings.model, store=own, open_reader=open_reader)


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
    """How many threads classify."""
    return settings.threads or min(4, os.cpu_count() or 1)


def app(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> FastAPI:
    """The web application with the workers of its projects."""
    state = _state(settings, environ)

    def open_project(project: Project) -> State:
        # Events of the queue are of the default project; in others this process reads itself.
        own = replace(project.override(settings), queue="", classify="here")
        shared = (state.accounts, state.classes, state.provider)
        return _state(own, environ, shared=shared)

    return create_app(state, Workspaces(state.projects, open_state=open_project))


def _state(
    settings: Settings, environ: Mapping[str, str], *, shared: _People | None = None
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
        worker=_worker(settings, core, on_change=hub.notify),
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
    settings: Settings, core: Service, *, on_change: Callable[[Sequence[Image]], None]
) -> Worker | Elsewhere:
    """What reads pictures, or follows those who do."""
    sweeper = Sweeper(core, seconds=settings.sweep_seconds)
    consumer = _consumer(settings, core, on_change=on_change) if settings.queue else None
    if settings.classify == "elsewhere":
        return Elsewhere(core, consumer=consumer, sweeper=sweeper, on_change=on_change)
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
    """A worker without a web server: over the queue of the settings, else over the index's pending
    images.
    """
    if not settings.queue:
        core = service(settings, environ=environ)
        return Worker(
            core,
            threads=threads(settings),
            attempts=settings.attempts,
            sweeper=Sweeper(core, seconds=settings.sweep_seconds),
            on_change=lambda _images: None,
        )
    from legibly.ingest.sqs import SqsQueue  # boto3 is an extra, and slow to import

    own = store(settings, environ=environ)
    batches = BatchReader(
        store=own,
        reader=live_reader(settings, own),
        prefix=place(settings.store)[1],
        max_bytes=settings.max_bytes,
        attempts=settings.attempts,
    )
    return QueueWorker(SqsQueue(settings.queue), batches)


def _consumer(
    settings: Settings, core: Service, *, on_change: Callable[[Sequence[Image]], None]
) -> Consumer:
    from legibly.ingest.sqs import SqsQueue  # boto3 is an extra, and slow to import

    _, prefix = place(settings.store)
    return Consumer(core, SqsQueue(settings.queue), prefix=prefix, on_change=on_change)


def provider(settings: Settings) -> "oidc.Provider | None":
    """The OpenID provider of the settings. Raises Invalid where its library is missing or its
    address cannot be.
    """
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
    """See to it that somebody can sign in: makes `admin` where a password for it is set. Raises
    Invalid.
    """
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
    """What has to be right, and to happen once, before `workers` processes serve. Raises Invalid
    and Unavailable.
    """
    provider(settings)
    if settings.review_people > 1 and settings.accounts != "on":
        remedy = "Set LEGIBLY_ACCOUNTS=on, or LEGIBLY_REVIEW_PEOPLE=1."
        raise Invalid("without accounts nobody can tell whether two people agree.", remedy=remedy)
    if workers > 1:
        _check_shareable(settings, workers)
        reader(
            settings
        )  # a single process fails by itself; the processes of many would be started for ever
    opened = index(settings)
    if settings.database.startswith("sqlite"):
        # SQLite serves one machine, and this is its only start: leases are those of a crash
        opened.release()
    opened.close()


def _check_shareable(settings: Settings, workers: int) -> None:
    alone = [
        name
        for name, part in (("store", "memory://"), ("database", ":memory:"))
        if part in getattr(settings, name)
    ]
    if alone:
        raise Invalid(
            f"{workers} processes cannot share a {alone[0]} in memory.",
            remedy="Serve with --workers 1.",
        )
