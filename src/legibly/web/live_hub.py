"""Follows the index's sequence number, so that every process tells its browsers what any process did."""

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from anyio import to_thread

from legibly.errors import LegiblyError
from legibly.index.port import Index
from legibly.records import Image

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
# Many changes in a row are fetched together.
_PAUSE_SECONDS = 0.02
_HEARTBEAT_SECONDS = 15.0
_PAGE = 200
_QUEUED = 1000

Change = tuple[int, Image]


class Removal(NamedTuple):
    """An image that was deleted."""

    image: str
    owner: str | None


class Hub:
    """Hands changes of images to whoever listens in this process."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._waiters: dict[str, list[asyncio.Future[Image]]] = defaultdict(list)
        self._listeners: set[asyncio.Queue[Change | Removal | None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._follow(), name="follow the index")

    async def stop(self) -> None:
        """End, and every stream with it."""
        for listener in self._listeners:
            listener.put_nowait(None)
        if self._task:
            self._task.cancel()

    def notify(self, images: Sequence[Image]) -> None:
        """Say, from any thread of this process, that these images changed: nobody waits for the next look then."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told, images)

    def notify_removed(self, images: Sequence[Image]) -> None:
        """Tell the listeners of this process, from any thread, that these images were deleted."""
        if self._loop and not self._loop.is_closed():
            removals = [Removal(image.id, image.owner) for image in images]
            self._loop.call_soon_threadsafe(self._hand_out_all, removals)

    @contextlib.contextmanager
    def waiting(self, image_id: str) -> Iterator[Callable[[float], Awaitable[Image | None]]]:
        """Listen for one image from now on; what is given awaits it, for so many seconds, and gives None after them."""
        future: asyncio.Future[Image] = asyncio.get_running_loop().create_future()
        self._waiters[image_id].append(future)

        async def settled(seconds: float) -> Image | None:
            self._woken.set()
            done, _ = await asyncio.wait([future], timeout=seconds)
            return future.result() if done else None

        try:
            yield settled
        finally:
            self._waiters[image_id].remove(future)
            if not self._waiters[image_id]:
                del self._waiters[image_id]

    async def stream(self, *, after: int | None, owner: str | None = None) -> AsyncIterator[str]:
        """Server-sent events past a sequence number (None: from now on), only of one owner's images where given."""
        listener: asyncio.Queue[Change | Removal | None] = asyncio.Queue(_QUEUED)
        self._listeners.add(listener)
        try:
            sequence = await to_thread.run_sync(self._index.sequence) if after is None else after
            yield f"retry: 1000\nid: {sequence}\n\n"
            while page := await to_thread.run_sync(
                partial(self._index.changes, sequence, limit=_PAGE)
            ):
                for sequence, image in page:
                    if _concerns(image, owner):
                        yield _event(sequence, image)
            self._woken.set()
            while True:
                try:
                    change = await asyncio.wait_for(listener.get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if change is None:
                    return
                if isinstance(change, Removal):
                    if owner is None or change.owner == owner:
                        yield f'event: removed\ndata: {{"id": "{change.image}"}}\n\n'
                elif change[0] > sequence and _concerns(change[1], owner):
                    yield _event(*change)
        finally:
            self._listeners.discard(listener)

    def _told(self, images: Sequence[Image]) -> None:
        for image in images:
            self._answer(image)
        self._woken.set()

    def _answer(self, image: Image) -> None:
        if image.state != "pending":
            for future in self._waiters.get(image.id, ()):
                if not future.done():
                    future.set_result(image)

    async def _follow(self) -> None:
        sequence = await to_thread.run_sync(self._index.sequence)
        while True:
            told = await self._wait()
            try:
                # Who waits for one image is told by the worker; only another process's work has to be looked for.
                if self._listeners or (self._waiters and not told):
                    sequence = await self._catch_up(sequence)
                else:
                    sequence = await to_thread.run_sync(self._index.sequence)
            except LegiblyError as error:
                _log.warning("following the index: %s", error)
                await asyncio.sleep(_POLL_SECONDS)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _wait(self) -> bool:
        """Until somebody tells of a change (True), or it is time to look for one (False)."""
        try:
            await asyncio.wait_for(
                self._woken.wait(), _POLL_SECONDS if self._listeners or self._waiters else None
            )
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    async def _catch_up(self, sequence: int) -> int:
        after = sequence
        while page := await to_thread.run_sync(partial(self._index.changes, after, limit=_PAGE)):
            for change in page:
                self._answer(change[1])
                self._hand_out(change)
            after = page[-1][0]
        return after

    def _hand_out_all(self, removals: Sequence[Removal]) -> None:
        for removal in removals:
            self._hand_out(removal)

    def _hand_out(self, change: Change | Removal) -> None:
        for listener in list(self._listeners):
            try:
                listener.put_nowait(change)
            except asyncio.QueueFull:
                # Too slow: the stream ends, and the browser comes back with the last number that it saw.
                self._listeners.discard(listener)
                while not listener.empty():
                    listener.get_nowait()
                listener.put_nowait(None)


def _concerns(image: Image, owner: str | None) -> bool:
    return (image.state != "pending" or image.label is not None) and (
        owner is None or image.owner == owner
    )


def _event(sequence: int, image: Image) -> str:
    data = json.dumps(image.to_json(), separators=(",", ":"))
    return f"id: {sequence}\nevent: image\ndata: {data}\n\n"
