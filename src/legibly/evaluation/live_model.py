"""The model of a running process: follows the changes and trials recorded in the store.

Every process looks for changes every few seconds, opens the new pack beside the old one, and then
exchanges them: an image is read by only one of the two, and no image is refused.
"""

import logging
import threading
import time
import weakref
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from legibly import errors, records
from legibly.evaluation import promotion_history, trials
from legibly.packs.pack import Pack
from legibly.store import Store
from legibly.vision.reading import Explanation, Reader, Result

SECONDS = 1.0
REMOTE_SECONDS = 5.0
"""Seconds between two looks at a bucket, where each costs a request."""
_log = logging.getLogger(__name__)


class Open(Protocol):
    """Opens the model of a setting, in a certain version if one is named."""

    def __call__(self, setting: str, *, version: str = "") -> Reader: ...


class LiveReader:
    """A Reader whose model may be exchanged at any time; `setting` is the model at the start.

    Looks for changes until it is garbage-collected; without `watches`, only in `refresh`.
    """

    def __init__(
        self, setting: str, *, store: Store, open_reader: Open, watches: bool = True
    ) -> None:
        self._store = store
        self._setting = setting
        self.open = open_reader
        self._key = ""
        self._shadow: trials.Shadow | None = None
        self._canary: trials.Canary | None = None
        try:
            history = promotion_history.changes(store)
        except errors.LegiblyError as error:
            _log.warning("the history of the model cannot be read: %s", error)
            history = []
        chosen = promotion_history.current_choice(history, setting)
        self.setting = chosen.setting
        try:
            self._reader = open_reader(chosen.setting, version=chosen.model.version)
        except errors.LegiblyError:
            if self.setting == setting:
                raise
            # A change that cannot be followed does not prevent the start.
            _log.exception("the model %s cannot be opened; reading with %s", self.setting, setting)
            self.setting = setting
            self._reader = open_reader(setting)
        self._follow_trials(history)
        if watches:
            seconds = SECONDS if store.is_local else REMOTE_SECONDS
            watch = threading.Thread(
                target=_watch, args=(weakref.ref(self), seconds), name="model-changes", daemon=True
            )
            watch.start()

    @property
    def model(self) -> records.Model:
        """Name and version of the present model."""
        return self._reader.model

    @property
    def pack(self) -> Pack:
        """The present pack."""
        return self._reader.pack

    @property
    def text(self) -> records.TextMode:
        """Whether its texts keep their separators."""
        return self._reader.text

    @property
    def shadow(self) -> trials.Shadow | None:
        """The challenger that reads beside the present model in this process."""
        return self._shadow

    @property
    def canary(self) -> trials.Canary | None:
        """The challenger that answers a share of the pictures."""
        return self._canary

    def try_refresh(self) -> None:
        """Apply recorded changes; log those that cannot be followed."""
        try:
            self.refresh()
        except errors.LegiblyError as error:
            _log.warning("the change of the model cannot be followed: %s", error)

    def refresh(self) -> None:
        """Apply changes recorded since the last look. Raises LegiblyError."""
        newest = max((stat.key for stat in self._store.list(promotion_history.FOLDER)), default="")
        if newest == self._key:
            return
        history = promotion_history.changes(self._store)
        chosen = promotion_history.current_choice(history, self._setting)
        version = chosen.model.version
        if chosen.setting != self.setting or version not in ("", self.model.version):
            fresh = self.open(chosen.setting, version=version)
            _log.info("reading with %s from now on, before with %s", fresh.model, self.model)
            self._reader = fresh
            self.setting = chosen.setting
        self._follow_trials(history)
        self._key = newest

    def _follow_trials(self, history: list[promotion_history.Change]) -> None:
        change = promotion_history.trial(history, "shadow")
        if change is None:
            self._shadow = None
        elif self._shadow is None or self._shadow.number != change.number:
            challenger = self._open_challenger(change)
            if challenger is not None:
                share = change.share or 0.0
                self._shadow = trials.Shadow(challenger, share=share, number=change.number)
        change = promotion_history.trial(history, "canary")
        if change is None:
            self._canary = None
        elif self._canary is None or self._canary.number != change.number:
            challenger = self._open_challenger(change)
            if challenger is not None:
                rule = {"share": change.share or 0.0, "risk": change.risk or trials.RISK}
                self._canary = trials.Canary(
                    challenger, **rule, number=change.number, since=change.at
                )

    def _open_challenger(self, change: promotion_history.Change) -> Reader | None:
        try:
            return self.open(change.after.setting, version=change.after.model.version)
        except errors.LegiblyError as error:
            _log.warning("the %s %s cannot be opened: %s", change.kind, change.after.setting, error)
            return None

    def read(self, data: bytes) -> Result:
        """Read one picture. Raises as `Reader.read` does."""
        champion = self._reader
        canary = self._canary
        if canary is not None and (result := canary.read(data, champion=champion)) is not None:
            return result
        result = champion.read(data)
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
            reader.try_refresh()
        except Exception:
            _log.exception("looking for changes of the model failed; it will be retried")
        del reader
