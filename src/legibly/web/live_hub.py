"""Follows the index's sequence number, so that every process sends all changes to its browsers."""

import asyncio
import contextlib
import json
import logging
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Literal

from anyio import to_thread

from legibly.errors import LegiblyError
from legibly.index.port import Change, Index, Removal
from legibly.records import Image, Json

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
# Consecutive changes are fetched together.
_PAUSE_SECONDS = 0.02
_HEARTBEAT_SECONDS = 15.0
_PAGE = 200
_QUEUED = 1000

Event = Change | Literal["heartbeat"] | None
"""An entry of a stream's queue; None ends the stream."""


async def _always() -> bool:
    return True


_hubs: "weakref.WeakSet[Hub]" = weakref.WeakSet()


def end_streams() -> None:
    """End the streams of this process, which a server that stops would wait for."""
    for hub in _hubs:
        hub.end_streams()


class Hub:
    """Passes changes of images to the listeners in this process."""

    def __init__(self, index: Index, *, document: Callable[[Image], Json]) -> None:
        self._index = index
        self._document = document
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._waiters: dict[str, list[asyncio.Future[Image]]] = defaultdict(list)
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._task: asyncio.Task[None] | None = None
        _hubs.add(self)

    async def start(self) -> None:
        """Start following, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._follow(), name="follow the index")

    async def stop(self) -> None:
        """Stop, and end all streams."""
        self.end_streams()
        if self._task:
            self._task.cancel()

    def end_streams(self) -> None:
        """End all streams; in the event loop."""
        for listener in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                listener.put_nowait(None)

    def notify(self, images: Sequence[Image]) -> None:
        """Notify waiters and listeners of changed images; from any thread of this process."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify, images)

    def wake(self) -> None:
        """Look for changes in the index at once; from any thread of this process."""
        self.notify([])

    @contextlib.contextmanager
    def waiting(self, image_id: str) -> Iterator[Callable[[float], Awaitable[Image | None]]]:
        """Listen for one image from now on.

        The function in the block waits for it, and returns None after a number of seconds.
        """
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

    async def stream(
        self,
        *,
        after: int,
        sees_owner: Callable[[str | None], bool] = lambda _owner: True,
        is_allowed: Callable[[], Awaitable[bool]] = _always,
    ) -> AsyncIterator[str]:
        """Server-sent events after a sequence number, for the images of visible owners.

        `is_allowed` is called before each batch and at each heartbeat; False ends the stream.
        """
        sequence = after
        listener: asyncio.Queue[Event] = asyncio.Queue(_QUEUED)
        self._listeners.add(listener)
        try:
            yield f"retry: 1000\nid: {sequence}\n\n"
            async for page in self._pages(sequence):
                if not await is_allowed():
                    return
                sequence = page[-1][0]
                yield "".join(self._text(change, sees_owner) for change in page)
            self._woken.set()
            while (change := await _next(listener)) is not None and await is_allowed():
                is_old = isinstance(change, tuple) and change[0] <= sequence
                text = "" if is_old else self._text(change, sees_owner)
                if text:
                    yield text
        finally:
            self._listeners.discard(listener)

    async def _pages(self, after: int) -> AsyncIterator[list[Change]]:
        """The changes after a sequence number, page by page."""
        while page := await to_thread.run_sync(partial(self._index.changes, after, limit=_PAGE)):
            yield page
            after = page[-1][0]

    def _text(self, event: Event, sees_owner: Callable[[str | None], bool]) -> str:
        """The event as text; empty if the listener may not see it."""
        if event is None:
            return ""
        if event == "heartbeat":
            return ": heartbeat\n\n"
        sequence, changed = event
        if not sees_owner(changed.owner):
            return ""
        if isinstance(changed, Removal):
            return _event(sequence, "removed", {"id": changed.id})
        is_news = changed.state != "pending" or changed.label is not None
        return _event(sequence, "image", self._document(changed)) if is_news else ""

    def _notify(self, images: Sequence[Image]) -> None:
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
            notified = await self._wait()
            try:
                # The worker notifies the waiters; this only looks for changes by other processes.
                if self._listeners or (self._waiters and not notified):
                    sequence = await self._catch_up(sequence)
                else:
                    sequence = await to_thread.run_sync(self._index.sequence)
            except LegiblyError as error:
                _log.warning("following the index: %s", error)
                await asyncio.sleep(_POLL_SECONDS)
            # Without listeners the number is kept for the next one.
            is_heard = self._listeners or self._waiters
            await asyncio.sleep(_PAUSE_SECONDS if is_heard else _POLL_SECONDS)

    async def _wait(self) -> bool:
        """Wait for a notification (True), or until the next check (False)."""
        try:
            await asyncio.wait_for(
                self._woken.wait(), _POLL_SECONDS if self._listeners or self._waiters else None
            )
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    async def _catch_up(self, sequence: int) -> int:
        async for page in self._pages(sequence):
            for change in page:
                if isinstance(change[1], Image):
                    self._answer(change[1])
                self._hand_out(change)
            sequence = page[-1][0]
        return sequence

    def _hand_out(self, change: Change) -> None:
        for listener in list(self._listeners):
            try:
                listener.put_nowait(change)
            except asyncio.QueueFull:
                # Too slow: the stream ends, and the browser reconnects with its last number.
                self._listeners.discard(listener)
                while not listener.empty():
                    listener.get_nowait()
                listener.put_nowait(None)


async def _next(listener: asyncio.Queue[Event]) -> Event:
    try:
        return await asyncio.wait_for(listener.get(), _HEARTBEAT_SECONDS)
    except TimeoutError:
        return "heartbeat"


def _event(sequence: int, kind: str, document: Json) -> str:
    data = json.dumps(document, separators=(",", ":"))
    return f"id: {sequence}\nevent: {kind}\ndata: {data}\n\n"
