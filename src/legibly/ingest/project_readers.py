"""Reads deliveries with pictures of several projects, each with its project's model.

The work of the Lambda function, and of workers that share its queue. The model follows the changes
that are recorded in the store, trials included, as on a server.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from legibly import errors, projects
from legibly.evaluation import live_model, trial_timer
from legibly.evaluation.live_model import LiveReader
from legibly.ingest.batch import BatchReader
from legibly.ingest.model_readers import live_reader
from legibly.ingest.project_events import by_project, folder
from legibly.ingest.s3_documents import Message, place
from legibly.projects import Project, Projects
from legibly.settings import DEFAULT_PROJECT, Settings
from legibly.store import Store, open_store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ProjectReader:
    """The reader of a project."""

    project: Project
    store: Store
    live: LiveReader
    batches: BatchReader


class ProjectReaders:
    """A BatchReader for each project, opened with its first picture.

    Without `watches` nothing runs between two calls, as on Lambda, and changes are looked for
    within them.
    """

    def __init__(
        self, settings: Settings, *, environ: Mapping[str, str], watches: bool = True
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._watches = watches
        root = open_store(settings.store, environ=environ)
        self._projects = Projects(root)
        self._look_seconds = live_model.SECONDS if root.is_local else live_model.REMOTE_SECONDS
        self._prefix = place(settings.store)[1]
        self._opened: dict[str, _ProjectReader] = {}
        self._due: dict[str, float] = {}

    def read(self, messages: Sequence[Message]) -> list[str]:
        """Read every picture named in the messages; returns the ids of messages to deliver again,
        in order. Raises LegiblyError if the default project's model cannot be opened.
        """
        again: set[str] = set()
        for name, group in by_project(messages, prefix=self._prefix).items():
            again |= self._read(name, group)
        return [message.id for message in messages if message.id in again]

    def tend(self, *, seconds: float) -> None:
        """Let shadows finish what they have, for so many seconds; keep their counts; end a canary
        that only fails.
        """
        ends = time.monotonic() + seconds
        for name, opened in list(self._opened.items()):
            try:
                _tend(opened, ends - time.monotonic())
            except errors.LegiblyError as error:
                _log.warning("looking after the trials of project %s: %s", name, error)

    def _read(self, name: str, group: Sequence[Message]) -> set[str]:
        try:
            opened = self._current(name)
        except errors.LegiblyError as error:
            if name == DEFAULT_PROJECT and not isinstance(error, errors.Unavailable):
                raise
            return _retried(group, error)
        return set(opened.batches.read(group)) if opened else set()

    def _current(self, name: str) -> _ProjectReader | None:
        """The reader of a project by its newest record; None if the project was deleted."""
        opened = self._opened.get(name)
        if opened and time.monotonic() < self._due[name]:
            return opened
        try:
            project = self._projects.get(name)
        except errors.NotFound:
            _log.warning("there is no project %s; its pictures are left alone", name)
            return None
        if opened is None or opened.project != project:
            opened = self._open(project)
            self._opened[name] = opened
        elif not self._watches:
            opened.live.try_refresh()
        self._due[name] = time.monotonic() + self._look_seconds
        return opened

    def _open(self, project: Project) -> _ProjectReader:
        settings = project.override(self._settings)
        store = open_store(projects.store_url(settings), environ=self._environ)
        live = live_reader(settings, store, watches=self._watches)
        batches = BatchReader(
            store=store,
            reader=live,
            prefix=folder(self._prefix, project.name),
            max_bytes=settings.max_bytes,
            attempts=settings.attempts,
        )
        return _ProjectReader(project, store, live, batches)


def _tend(opened: _ProjectReader, seconds: float) -> None:
    if opened.live.shadow is not None:
        opened.live.shadow.settle(seconds)
        opened.live.shadow.save(opened.store)
    canary = opened.live.canary
    if canary is not None and (reason := trial_timer.failure(canary)):
        trial_timer.end(canary, reason, store=opened.store)
        opened.live.try_refresh()


def _retried(messages: Sequence[Message], error: errors.LegiblyError) -> set[str]:
    """Leave messages to the queue's retries, with the reason where `legibly cloud status` finds
    it.
    """
    for message in messages:
        named = ", ".join(event.key for event in message.events)
        facts = {"message_id": message.id, "key": named}
        _log.warning(
            "%s (message %s), try %d: %s", named, message.id, message.receives, error, extra=facts
        )
    return {message.id for message in messages}
