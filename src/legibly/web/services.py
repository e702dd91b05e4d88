"""The parts of the application that routes share, typed, in one place."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, get_args

import numpy as np
from anyio import to_thread
from fastapi import Request
from numpy.typing import NDArray

from legibly.accuracy import index_report, label_mode
from legibly.accuracy.report import Report
from legibly.evaluation.trial_timer import TrialTimer
from legibly.index.port import Index, Selection, Slice, SliceCount
from legibly.ingest.external_readers import Elsewhere
from legibly.ingest.light_lane import LightLane
from legibly.ingest.worker import Worker
from legibly.packs.pack import Pack
from legibly.people import erasure
from legibly.people.accounts import Accounts
from legibly.people.classrooms import Classes
from legibly.pipeline import Service, UploadDetails
from legibly.projects import Projects
from legibly.records import Image, Model
from legibly.settings import Settings
from legibly.store import Store
from legibly.web.live_hub import Hub

if TYPE_CHECKING:
    from legibly.people import oidc  # its library is an extra
from legibly.web.presigner import Presigner

T = TypeVar("T")
Slices = dict[Slice, list[SliceCount]]


class ModelViews(Protocol):
    """A local reader that can show the model's inputs and explain its answers."""

    @property
    def model(self) -> Model:
        """The present model; it may change between two requests."""

    @property
    def pack(self) -> Pack:
        """Its pack."""

    def inputs(self, data: bytes) -> list[NDArray[np.float32]]:
        """The input of each item: (28, 28) float32, 0 paper … 1 ink."""

    def explain(self, data: bytes, number: int) -> bytes:
        """The explanation of one item as PNG."""


class SequenceCache(Generic[T]):
    """Caches a value per sequence number; one thread computes it, the others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequence = -1
        self._value: T | None = None

    def get(self, sequence: int, compute: Callable[[], T]) -> T:
        """The value at `sequence`."""
        with self._lock:
            if self._value is None or self._sequence != sequence:
                self._value = compute()
                self._sequence = sequence
            return self._value


@dataclass(frozen=True, slots=True)
class State:
    """The collaborators of the web application."""

    settings: Settings
    store: Store
    index: Index
    service: Service
    views: ModelViews
    worker: Worker | Elsewhere
    hub: Hub
    projects: Projects
    accounts: Accounts | None = None
    classes: Classes | None = None
    provider: "oidc.Provider | None" = None
    light: LightLane | None = None  # None if others read
    presigner: Presigner | None = None  # None if the store is not S3
    trials: TrialTimer | None = None
    reports: SequenceCache[Report] = field(default_factory=SequenceCache)
    slices: SequenceCache[Slices] = field(default_factory=SequenceCache)

    async def start(self) -> None:
        """Start workers and followers, in the running event loop."""
        await self.hub.start()
        self.worker.start()
        if self.light is not None:
            self.light.start()
        if self.trials is not None:
            self.trials.start()

    async def stop(self) -> None:
        """Stop them."""
        await self.hub.stop()
        if self.trials is not None:
            await to_thread.run_sync(self.trials.stop)
        if self.light is not None:
            await to_thread.run_sync(self.light.stop)
        await to_thread.run_sync(self.worker.stop)

    async def read_now(
        self, data: bytes, details: UploadDetails, *, seconds: float, request: str | None
    ) -> Image | None:
        """Store and read a small picture in this process; None to use the general way."""
        if self.light is None or not seconds:
            return None
        return await self.light.read(data, details, seconds=seconds, request=request)

    async def submit(self, image: Image, data: bytes, *, seconds: float) -> Image | None:
        """Classify an image at once; with seconds to wait, return it when settled, or None."""
        if not seconds:
            self.worker.submit(image, data)
            return None
        with self.hub.waiting(image.id) as settled:
            self.worker.submit(image, data)
            return await settled(seconds)


def image_owners(request: Request) -> erasure.Projects:
    """The images of all projects by owner, for erasure."""
    projects: erasure.Projects = request.app.state.image_owners
    return projects


def state_of(request: Request) -> State:
    """The collaborators of the project of this request."""
    state = request.scope.get("legibly.state") or request.app.state.legibly
    if not isinstance(state, State):
        raise TypeError("the application was built without its state")
    return state


def current_slices(state: State, selection: Selection, *, limit: int) -> Slices:
    """How many pairs are right by writer and by batch, cached like the report."""

    def compute() -> Slices:
        return {
            by: state.index.slices(by, selection=selection, limit=limit) for by in get_args(Slice)
        }

    is_complete = selection == Selection()
    return state.slices.get(state.index.sequence(), compute) if is_complete else compute()


def current_report(state: State, selection: Selection) -> Report:
    """The accuracy report on the index or a selection; the complete one is cached."""

    def compute() -> Report:
        return index_report.report(
            state.index,
            selection=selection,
            single_label=label_mode.single_label_models(state.settings),
        )

    return (
        compute()
        if selection != Selection()
        else state.reports.get(state.index.sequence(), compute)
    )
