"""The model that a running process reads with: follows the changes recorded in the store, and
shadows.

Every process looks for new changes every few seconds, opens the new pack beside the old one, and
then exchanges them: an image is read by one of the two from start to end, and none is refused.
"""

import hashlib
import logging
import queue
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legibly import errors, records
from legibly.evaluation import promotion_history
from legibly.packs.pack import Pack
from legibly.store import Store
from legibly.vision.reading import Explanation, Reader, Result

SECONDS = 1.0
REMOTE_SECONDS = 5.0
"""Between two looks at a bucket, where each costs a request."""
_WAITING = 8
_log = logging.getLogger(__name__)
Open = Callable[[str], Reader]


class LiveReader:
    """A Reader whose model may be exchanged at any moment; `setting` is what this process started
    with.

    It looks for changes as long as somebody holds it.
    """

    def __init__(self, setting: str, *, store: Store, open_reader: Open) -> None:
        self._store = store
        self._setting = setting
        self.open = open_reader
        self._key = ""
        self._shadow: Shadow | None = None
        try:
            history = promotion_history.changes(store)
        except errors.LegiblyError as error:
            _log.warning("the history of the model cannot be read: %s", error)
            history = []
        self.setting = promotion_history.current(history, setting)
        try:
            self._reader = open_reader(self.setting)
        except errors.LegiblyError:
            if self.setting == setting:
                raise
            # A change that cannot be followed does not keep the server from starting.
            _log.exception("the model %s cannot be opened; reading with %s", self.setting, setting)
            self.setting = setting
            self._reader = open_reader(setting)
        self._follow_shadow(history)
        seconds = SECONDS if store.is_local else REMOTE_SECONDS
        watch = threading.Thread(
            target=_watch, args=(weakref.ref(self), seconds), name="model-changes", daemon=True
        )
        watch.start()

    @property
    def model(self) -> records.Model:
        """Name and version of the model that reads now."""
        return self._reader.model

    @property
    def pack(self) -> Pack:
        """The pack that reads now."""
        return self._reader.pack

    @property
    def shadow(self) -> "Shadow | None":
        """The challenger that reads beside it in this process."""
        return self._shadow

    def refresh(self) -> None:
        """Take over what was changed since the last look. What cannot be opened is logged, and
        left.
        """
        newest = max((stat.key for stat in self._store.list(promotion_history.FOLDER)), default="")
        if newest == self._key:
            return
        history = promotion_history.changes(self._store)
        setting = promotion_history.current(history, self._setting)
        if setting != self.setting:
            fresh = self.open(setting)
            _log.info("reading with %s from now on, before with %s", fresh.model, self.model)
            self._reader = fresh
            self.setting = setting
        self._follow_shadow(history)
        self._key = newest

    def _follow_shadow(self, history: list[promotion_history.Change]) -> None:
        change = promotion_history.shadow(history)
        if change is None:
            self._shadow = None
        elif self._shadow is None or self._shadow.number != change.number:
            try:
                challenger = self.open(change.after.setting)
            except errors.LegiblyError as error:
                _log.warning("the shadow %s cannot be opened: %s", change.after.setting, error)
                return
            self._shadow = Shadow(challenger, share=change.share or 0.0, number=change.number)

    def read(self, data: bytes) -> Result:
        """Read one picture. Raises as `Reader.read` does."""
        result = self._reader.read(data)
        shadow = self._shadow
        if shadow is not None:
            shadow.offer(data, result.reading)
        return result

    def inputs(self, data: bytes) -> list[NDArray[np.float32]]:
        """As `Reader.inputs`."""
        return self._reader.inputs(data)

    def explain(self, data: bytes, number: int) -> bytes:
        """As `Reader.explain`."""
        return self._reader.explain(data, number)

    def explanation(self, data: bytes, number: int, *, intended: str | None = None) -> Explanation:
        """As `Reader.explanation`."""
        return self._reader.explanation(data, number, intended=intended)

    def legibility(self, data: bytes, number: int, *, intended: str | None = None) -> float:
        """As `Reader.legibility`."""
        return self._reader.legibility(data, number, intended=intended)


def _watch(reference: "weakref.ref[LiveReader]", seconds: float) -> None:
    while True:
        time.sleep(seconds)
        reader = reference()
        if reader is None:
            return
        try:
            reader.refresh()
        except errors.LegiblyError as error:
            _log.warning("the change of the model cannot be followed: %s", error)
        except Exception:
            _log.exception("looking for changes of the model failed; it goes on")
        del reader


class Shadow:
    """A challenger that reads a share of the pictures again, in its own thread, and answers nobody.

    Pictures that come while it is busy are dropped, so that it never delays an answer.
    """

    def __init__(self, challenger: Reader, *, share: float, number: int) -> None:
        self.model = challenger.model
        self.share = share
        self.number = number
        self._challenger = challenger
        self._pending: queue.Queue[tuple[bytes, records.Reading]] = queue.Queue(_WAITING)
        self._counts: Counter[str] = Counter()
        self._milliseconds = 0.0
        thread = threading.Thread(
            target=_work, args=(weakref.ref(self), self._pending), name="shadow", daemon=True
        )
        thread.start()

    def offer(self, data: bytes, reading: records.Reading) -> None:
        """Have a picture read if it is in the share and there is time; returns at once."""
        draw = int.from_bytes(hashlib.sha256(data).digest()[:4], "big") / 2**32
        if draw >= self.share:
            return
        try:
            self._pending.put_nowait((data, reading))
        except queue.Full:
            self._counts["dropped"] += 1

    def compare(self, data: bytes, reading: records.Reading) -> None:
        """Read one picture and count how its answer compares."""
        started = time.perf_counter()
        try:
            answer = self._challenger.read(data).reading
        except errors.LegiblyError:
            self._counts["failed"] += 1
            return
        self._milliseconds += 1000 * (time.perf_counter() - started)
        self._counts["read"] += 1
        self._counts["same_text"] += answer.text == reading.text
        self._counts["same_verdict"] += answer.verdict == reading.verdict
        self._counts["more_sure"] += answer.confidence > reading.confidence

    def to_json(self) -> dict[str, Any]:
        """What this process counted since it began."""
        names = ("read", "same_text", "same_verdict", "more_sure", "failed", "dropped")
        counts = {name: self._counts[name] for name in names}
        mean = self._milliseconds / counts["read"] if counts["read"] else None
        return {"model": self.model.to_json(), "share": self.share, **counts, "milliseconds": mean}


def _work(
    reference: "weakref.ref[Shadow]", pending: "queue.Queue[tuple[bytes, records.Reading]]"
) -> None:
    while True:
        try:
            data, reading = pending.get(timeout=5)
        except queue.Empty:
            if reference() is None:
                return
            continue
        shadow = reference()
        if shadow is None:
            return
        try:
            shadow.compare(data, reading)
        except Exception:
            _log.exception("the shadow failed on a picture; it goes on")
        del shadow
