"""Follows a queue for all projects: each applies its own pictures and records."""

import logging
from collections.abc import Callable, Sequence

from legibly import errors
from legibly.ingest.consumer import Consumer, Queue
from legibly.ingest.project_events import by_project, folder
from legibly.ingest.s3_documents import Message
from legibly.pipeline import Service
from legibly.records import Image
from legibly.settings import DEFAULT_PROJECT

_log = logging.getLogger(__name__)


class ProjectConsumer(Consumer):
    """A Consumer of the default project that passes the events of others to their services.

    `find_service` raises NotFound if a project has been deleted.
    """

    def __init__(
        self,
        service: Service,
        queue: Queue,
        *,
        prefix: str = "",
        on_change: Callable[[Sequence[Image]], None],
        find_service: Callable[[str], Service],
    ) -> None:
        super().__init__(service, queue, prefix=prefix, on_change=on_change)
        self._queue_of_all = queue
        self._root = prefix
        self._find_service = find_service

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Apply messages; return those that are done in all projects."""
        left: set[str] = set()
        for name, group in by_project(messages, prefix=self._root).items():
            done = super().take(group) if name == DEFAULT_PROJECT else self._hand_over(name, group)
            left |= {message.id for message in group} - {message.id for message in done}
        return [message for message in messages if message.id not in left]

    def _hand_over(self, name: str, group: Sequence[Message]) -> Sequence[Message]:
        try:
            service = self._find_service(name)
            return Consumer(service, self._queue_of_all, prefix=folder(self._root, name)).take(
                group
            )
        except errors.NotFound:
            return group
        except errors.LegiblyError as error:
            _log.warning("taking in what belongs to project %s: %s", name, error)
            return []
