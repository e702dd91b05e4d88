"""The facts of a new picture: what its sender states, its record, and the pending image."""

import functools
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from legibly import object_keys, text_rules
from legibly.errors import Conflict, NotFound
from legibly.images import decode
from legibly.records import Image, Label, LabelRecord, UploadRecord
from legibly.store import Stat, Store
from legibly.store.record_files import READING_ERRORS, line, read_json

T = TypeVar("T")
_AT_ONCE = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDetails:
    """The sender of a picture and the facts that they gave; None if unknown."""

    name: str | None = None
    writer: str | None = None
    owner: str | None = None
    label: str | None = None
    batch: str | None = None

    def checked(self) -> "UploadDetails":
        """Check the texts, and return the cleaned details. Raises Invalid."""
        return replace(
            self,
            name=text_rules.check(self.name, "name"),
            writer=text_rules.check(self.writer, "writer"),
        )


NO_DETAILS = UploadDetails()


def reserve(store: Store, request: str, data: bytes, *, owner: str | None, fresh: str) -> str:
    """The id of a named upload: `fresh`, or that of its first attempt. Raises Conflict."""
    # Without the name the digest reveals nothing about the picture.
    digest = hashlib.sha256(request.encode() + b"\0" + data).hexdigest()
    key = object_keys.request(request, owner)
    if store.create(key, line({"image": fresh, "sha256": digest})):
        return fresh
    before = read_json(store, key, "image", "sha256")
    if before["sha256"] != digest:
        raise Conflict(
            "this idempotency key was already used for another picture.",
            code="idempotency-key-reused",
            remedy="Use a new key for each picture.",
        )
    return str(before["image"])


def pending_image(
    image_id: str, facts: decode.Facts, *, size: int, details: UploadDetails
) -> Image:
    """A new image waiting for its reading; `size` is that of the stored picture in bytes."""
    return Image(
        id=image_id,
        key=object_keys.image(image_id, facts.media_type),
        received_at=object_keys.received_at(image_id),
        media_type=facts.media_type,
        bytes=size,
        width=facts.width,
        height=facts.height,
        name=details.name or None,
        writer=details.writer or None,
        owner=details.owner,
        batch=details.batch or None,
    )


def is_picture(stat: Stat) -> bool:
    """Whether an object is a picture to classify, not the marker of a folder."""
    # A store may hide the slash at the end of a folder's marker: an empty object without suffix.
    marker = stat.size == 0 and not object_keys.claims_picture(stat.key)
    return object_keys.is_picture(stat.key) and not marker


def image_of(stat: Stat, upload: UploadRecord | None) -> Image:
    """The pending image of an object in the store, with the facts of its upload."""
    image_id = object_keys.image_id(stat.key, stat.modified_at)
    name = None if object_keys.is_own(stat.key) else object_keys.last(stat.key)
    if upload:
        name = upload.name
    return Image(
        id=image_id,
        key=stat.key,
        received_at=object_keys.received_at(image_id),
        media_type=object_keys.media_type(stat.key),
        bytes=stat.size,
        name=text_rules.clean(name),
        writer=text_rules.clean(upload.writer if upload else None),
        owner=upload.owner if upload else None,
        batch=upload.batch if upload else None,
    )


def label_at_upload(text: str | None, image_id: str) -> Label | None:
    """The label uploaded with a picture, at the time in the image's id."""
    if text is None:
        return None
    return Label(text, object_keys.received_at(image_id), source="at_upload")


def uploaded_images(store: Store, pictures: Mapping[str, Stat]) -> list[Image]:
    """The pending images of pictures at our own keys by id, with their announced facts."""
    uploaded = functools.partial(_uploaded_image, store)
    if len(pictures) <= 1 or store.is_local:
        return list(itertools.starmap(uploaded, pictures.items()))
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # each waits for the store
        return list(pool.map(uploaded, pictures, pictures.values()))


def _uploaded_image(store: Store, image_id: str, stat: Stat) -> Image:
    upload = _sound(store, object_keys.upload(image_id), UploadRecord.from_json)
    announced = object_keys.label(image_id, object_keys.received_at(image_id))
    record = _sound(store, announced, LabelRecord.from_json) if upload else None
    return replace(image_of(stat, upload), label=record.label if record else None)


def _sound(store: Store, key: str, parse: Callable[[Mapping[str, Any]], T]) -> T | None:
    """The record at a key; None if there is none, or a torn one."""
    try:
        return parse(json.loads(store.read(key)))
    except NotFound:
        return None
    except READING_ERRORS as error:
        _log.warning("%s is torn and was skipped: %r", key, error)
        return None
