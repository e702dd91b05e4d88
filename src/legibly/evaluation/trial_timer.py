"""A timer in a running server that saves a shadow's counts and ends a canary that does harm."""

import logging
import threading

from legibly import errors, records
from legibly.evaluation import promotion_history, trials
from legibly.evaluation.live_model import LiveReader
from legibly.index.port import Index, Selection
from legibly.statistics import sequential
from legibly.store import Store

SECONDS = 10.0
MAX_FAILURES = 3
"""A canary ends after this many failures in a row."""
_COUNTED = ("asked", "at_upload")
"""Sources of unbiased labels: people volunteer labels for wrong answers."""
_log = logging.getLogger(__name__)


class TrialTimer:
    """Supervises the trials of one project, every `seconds`."""

    def __init__(
        self, live: LiveReader, *, index: Index, store: Store, seconds: float = SECONDS
    ) -> None:
        self._live = live
        self._index = index
        self._store = store
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trials", daemon=True)

    def start(self) -> None:
        """Start the timer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and store the counts."""
        self._stopping.set()
        if self._live.shadow is not None:
            self._live.shadow.save(self._store)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                self.look()
            except errors.LegiblyError as error:
                _log.warning("supervising a trial of a model: %s; it will be retried", error)
            except Exception:
                _log.exception("supervising a trial of a model failed; it will be retried")

    def look(self) -> None:
        """Store the shadow's counts; end a canary that fails or does harm. Raises LegiblyError."""
        if self._live.shadow is not None:
            self._live.shadow.save(self._store)
        canary = self._live.canary
        if canary is None:
            return
        reason = self._harm(canary)
        if reason:
            end(canary, reason, store=self._store)
            self._live.refresh()

    def _harm(self, canary: trials.Canary) -> str:
        if reason := failure(canary):
            return reason
        labels = labels_of(canary, self._index)
        if labels["evidence"] < sequential.EVIDENCE:
            return ""
        return (
            f"of {labels['labelled']} sure answers with a label {labels['wrong']} are wrong:"
            f" more than the {canary.risk:g} that was allowed"
        )


def labels_of(canary: trials.Canary, index: Index) -> records.Json:
    """The labels of a canary's sure answers: how many have one, how many are wrong, and the
    evidence that more are wrong than its risk allows.
    """
    model = f"{canary.model.name}@{canary.model.version}"
    day = canary.since.date().isoformat()
    tally = index.tally([0], selection=Selection(model=model, verdict="read", since=day))
    pairs = [pair for pair in tally.pairs if pair.source in _COUNTED]
    labelled = sum(pair.n for pair in pairs)
    wrong = sum(pair.n for pair in pairs if pair.predicted != pair.actual)
    evidence = sequential.evidence_above(canary.risk, hits=wrong, trials=labelled)
    return {"labelled": labelled, "wrong": wrong, "evidence": evidence}


def failure(canary: trials.Canary) -> str:
    """Why a canary that only fails has to end; empty where it does not."""
    if canary.failures < MAX_FAILURES:
        return ""
    return f"it failed {canary.failures} times in a row: {canary.last_failure}"


def end(canary: trials.Canary, reason: str, *, store: Store) -> None:
    """Record that a canary has ended, and why. Raises LegiblyError."""
    history = promotion_history.changes(store)
    running = promotion_history.trial(history, "canary")
    if running is None or running.number != canary.number:
        return  # another process was faster
    sides = {"before": running.before, "after": running.after}
    facts = {"by": "legibly", "reason": reason, "share": 0.0, "risk": canary.risk}
    change = promotion_history.following(history, "canary", **sides, **facts)
    promotion_history.write(store, change)
    _log.warning("the canary %s has ended: %s", running.after.setting, reason)
