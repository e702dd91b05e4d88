"""Deletes images at once, and can undo that for a short time.

Until then the deleted images stay in the store under a secret name, so that another process or
machine can undo the deletion.
"""

import io
import json
import logging
import secrets
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from legibly import object_keys
from legibly.errors import LegiblyError, NotFound
from legibly.pipeline import UploadDetails
from legibly.records import Image, LabelBox, now
from legibly.store import Stat, Store
from legibly.web.services import State

UNDO_SECONDS = 30.0
MAX_BYTES = 100_000_000
"""Larger deletions cannot be undone."""
_log = logging.getLogger(__name__)
_LIST = "pictures.json"


@dataclass(frozen=True, slots=True)
class DeletedPicture:
    """A picture and its facts; `label` are the arguments of `Service.label`."""

    data: bytes
    details: UploadDetails
    label: dict[str, Any] | None


def delete(state: State, images: Sequence[Image], *, account: str | None) -> str | None:
    """Delete images with all records; the token is for `restore`, None if there is too much."""
    token = None
    if sum(image.bytes for image in images) <= MAX_BYTES:
        token = secrets.token_hex(16)
        key = object_keys.deleted(token)
        state.store.create(key, _pack(state.store, images, account=account))
        timer = threading.Timer(UNDO_SECONDS, _remove, [state.store, [key, _used(key)]])
        timer.daemon = True
        timer.start()
    state.service.remove([image.id for image in images])
    state.hub.wake()
    return token


def restore(state: State, token: str, *, account: str | None) -> list[Image]:
    """Store deleted pictures again, under new ids, with their names, writers and labels.

    Raises NotFound if `token` is unknown, expired, used, or another person's.
    """
    restored = []
    for picture in _take(state.store, token, account=account):
        received = state.service.receive(picture.data, picture.details)
        state.worker.submit(received, picture.data)
        if picture.label is not None:
            boxes = [LabelBox.from_json(box) for box in picture.label.pop("boxes", ())]
            received = state.service.label(received.id, **picture.label, boxes=boxes)
        restored.append(received)
    return restored


def remove_expired(store: Store) -> None:
    """Remove leftovers of processes that ended."""

    def keys() -> Iterator[str]:
        for stat in store.list(object_keys.DELETED):
            if _age(stat) > UNDO_SECONDS:
                yield stat.key

    _remove(store, keys())


def _age(stat: Stat) -> float:
    return (now() - stat.modified_at).total_seconds()


def _remove(store: Store, keys: Iterable[str]) -> None:
    try:
        store.remove(keys)
    except LegiblyError as error:
        _log.warning("removing expired deletions: %s", error)


def _pack(store: Store, images: Sequence[Image], *, account: str | None) -> bytes:
    buffer = io.BytesIO()
    pictures = []
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, image in enumerate(images):
            try:
                data = store.read(image.key)
            except NotFound:
                continue  # its picture is missing: nothing to restore
            archive.writestr(str(number), data)
            pictures.append({"file": str(number), **_facts(image)})
        archive.writestr(_LIST, json.dumps({"account": account, "pictures": pictures}))
    return buffer.getvalue()


def _facts(image: Image) -> dict[str, Any]:
    details = {name: getattr(image, name) for name in ("name", "writer", "owner", "batch")}
    label = image.label
    if label is None or label.text is None:
        return {"details": details, "label": None}
    values = {"text": label.text, "nothing": not label.text, "source": label.source, "by": label.by}
    boxes = [box.to_json() for box in label.boxes]
    return {"details": details, "label": values | {"boxes": boxes}}


def _used(key: str) -> str:
    return f"{key}.used"


def _take(store: Store, token: str, *, account: str | None) -> Iterator[DeletedPicture]:
    """The pictures of a deletion, once."""
    over = NotFound("this deletion can no longer be undone.")
    if not object_keys.is_deletion_token(token):
        raise over
    key = object_keys.deleted(token)
    try:
        stat, data = store.fetch(key)
    except NotFound:
        raise over from None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        facts = json.loads(archive.read(_LIST))
        is_late = _age(stat) > UNDO_SECONDS
        # Of two simultaneous requests, the one that creates the mark restores.
        if is_late or facts["account"] != account or not store.create(_used(key), b""):
            raise over
        for entry in facts["pictures"]:
            details = UploadDetails(**entry["details"])
            yield DeletedPicture(archive.read(entry["file"]), details, entry["label"])
    store.remove([key])
