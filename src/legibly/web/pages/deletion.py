"""Deletion that holds at once and can be undone for a moment: pictures stay in memory so long."""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from legibly.errors import LegiblyError, NotFound
from legibly.pipeline import UploadDetails
from legibly.records import Image
from legibly.web.services import State

UNDO_SECONDS = 30.0
MOST_BYTES = 100_000_000
"""More than this is deleted without the possibility to undo it."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Pictures that were deleted together, with their records as they were.

    `account` deleted them in `project`.
    """

    account: str | None
    project: str
    pictures: list[tuple[Image, bytes]] = field(default_factory=list)


class RecentDeletions:
    """Deletions by a secret token, each for `UNDO_SECONDS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deletions: dict[str, Deletion] = {}

    def add(self, deletion: Deletion) -> str:
        """Keep a deletion; returns its token."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._deletions[token] = deletion
        timer = threading.Timer(UNDO_SECONDS, self._drop, [token])
        timer.daemon = True
        timer.start()
        return token

    def take(self, token: str, *, account: str | None, project: str) -> Deletion:
        """Take a deletion out. Raises NotFound where it is over, or was somebody else's."""
        with self._lock:
            deletion = self._deletions.get(token)
            owner = (deletion.account, deletion.project) if deletion else None
            if deletion is None or owner != (account, project):
                raise NotFound("this deletion cannot be undone any more.")
            return self._deletions.pop(token)

    def has_space(self, size: int) -> bool:
        """Whether `size` more bytes fit."""
        with self._lock:
            deletions = list(self._deletions.values())
        used = sum(len(data) for deletion in deletions for _, data in deletion.pictures)
        return used + size <= MOST_BYTES

    def _drop(self, token: str) -> None:
        with self._lock:
            self._deletions.pop(token, None)


def delete(
    state: State, images: Sequence[Image], recent: RecentDeletions, *, account: str | None
) -> str | None:
    """Delete images with every record of them; returns a token for `restore`, or None."""
    deletion = None
    if recent.has_space(sum(image.bytes for image in images)):
        deletion = Deletion(account, state.settings.project)
        for image in images:
            try:
                deletion.pictures.append((image, state.store.read(image.key)))
            except LegiblyError:
                continue  # its picture is missing: nothing to restore
    state.service.remove([image.id for image in images])
    state.hub.notify_removed(images)
    return recent.add(deletion) if deletion else None


def restore(state: State, deletion: Deletion) -> list[Image]:
    """Store deleted pictures again, under new ids, with their names, writers and labels."""
    restored = []
    for image, data in deletion.pictures:
        details = UploadDetails(
            name=image.name, writer=image.writer, owner=image.owner, batch=image.batch
        )
        received = state.service.receive(data, details)
        state.worker.submit(received, data)
        if image.label and image.label.text is not None:
            label = image.label
            received = state.service.label(
                received.id, label.text, source=label.source, by=label.by
            )
        restored.append(received)
    return restored
