"""A challenger on live traffic: a shadow's answers are only counted, a canary answers a share.

A hash of the picture decides whether it takes part, so that all processes choose the same ones.
"""

import hashlib
import json
import logging
import queue
import threading
import time
import uuid
import weakref
from collections import Counter
from datetime import datetime
from typing import Any

from legibly import errors, object_keys, records
from legibly.store import Store
from legibly.vision.reading import Reader, Result

RISK = 0.01
"""Default for the share of wrong answers that a canary may have among its sure ones."""
_COUNTS = ("read", "same_text", "same_verdict", "more_sure", "failed", "dropped")
_WAITING = 8
_log = logging.getLogger(__name__)


def is_drawn(data: bytes, share: float, *, trial: str) -> bool:
    """Whether a picture takes part in a trial; shadow and canary draw independently."""
    digest = hashlib.blake2b(data, digest_size=4, person=trial.encode()).digest()
    return int.from_bytes(digest, "big") / 2**32 < share


class Canary:
    """A challenger that answers a share of the pictures; if it fails, the present model answers.

    It must end if more than a share `risk` of its sure answers are wrong.
    """

    def __init__(
        self, challenger: Reader, *, share: float, risk: float, number: int, since: datetime
    ) -> None:
        self.model = challenger.model
        self.share = share
        self.risk = risk
        self.number = number
        self.since = since
        self.read_count = 0
        self.failures = 0
        """Failures in a row."""
        self.last_failure = ""
        self._challenger = challenger

    def read(self, data: bytes, *, champion: Reader) -> Result | None:
        """The answer to a picture of its share, None for others. Raises as `Reader.read` does, if
        the champion cannot read the picture either.
        """
        if not is_drawn(data, self.share, trial="canary"):
            return None
        try:
            result = self._challenger.read(data)
        except errors.LegiblyError as error:
            result = champion.read(data)
            self.last_failure = error.message
            self.failures += 1
            return result
        self.failures = 0
        self.read_count += 1
        return result

    def to_json(self) -> dict[str, Any]:
        """Its settings, and the counts of this process."""
        return {
            "model": self.model.to_json(),
            "share": self.share,
            "risk": self.risk,
            "since": records.stamp(self.since),
            "read": self.read_count,
            "failed_in_a_row": self.failures,
        }


class Shadow:
    """A challenger that reads a share of the pictures again, in its own thread, without answering.

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
        self._process = uuid.uuid4().hex
        self._saved = dict.fromkeys(_COUNTS, 0)
        thread = threading.Thread(
            target=_work, args=(weakref.ref(self), self._pending), name="shadow", daemon=True
        )
        thread.start()

    def offer(self, data: bytes, reading: records.Reading) -> None:
        """Queue a picture if it is in the share and the thread is idle; returns at once."""
        if not is_drawn(data, self.share, trial="shadow"):
            return
        try:
            self._pending.put_nowait((data, reading))
        except queue.Full:
            self._counts["dropped"] += 1

    def settle(self, seconds: float) -> None:
        """Wait until it has read what waits, for so many seconds at most."""
        finished = self._pending.all_tasks_done
        with finished:
            finished.wait_for(lambda: not self._pending.unfinished_tasks, timeout=max(0.0, seconds))

    def compare(self, data: bytes, reading: records.Reading) -> None:
        """Read one picture, and compare its answer with the reading."""
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
        """The counts of this process."""
        return self._document(self._counts, self._milliseconds)

    def save(self, store: Store) -> None:
        """Store the counts of this process if they have changed."""
        counts = {name: self._counts[name] for name in _COUNTS}
        if counts != self._saved:
            body = {**counts, "milliseconds": self._milliseconds}
            key = object_keys.shadow_counts(self.number, self._process)
            store.replace(key, json.dumps(body).encode())
            self._saved = counts

    def total(self, store: Store) -> dict[str, Any]:
        """The counts of all processes, including ended ones."""
        self.save(store)
        counts: Counter[str] = Counter()
        milliseconds = 0.0
        for stat in store.list(object_keys.shadow_folder(self.number)):
            body = json.loads(store.read(stat.key))
            milliseconds += body.pop("milliseconds")
            counts.update(body)
        return self._document(counts, milliseconds)

    def _document(self, counts: Counter[str], milliseconds: float) -> dict[str, Any]:
        numbers = {name: counts[name] for name in _COUNTS}
        mean = milliseconds / numbers["read"] if numbers["read"] else None
        return {"model": self.model.to_json(), "share": self.share, **numbers, "milliseconds": mean}


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
            _log.exception("the shadow failed on a picture")
        pending.task_done()
        del shadow
