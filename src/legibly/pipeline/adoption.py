"""Adopts pictures that others put under `images/`, by copying them.

The object at such a key may be overwritten, touched or copied at any time. Its bytes are therefore
copied to a key of ours, and an adoption record links key and content to the image: the same picture
at the same key is the same image, whenever it was modified, and another picture is another image.
"""

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from legibly import object_keys, text_rules
from legibly.errors import Invalid, LegiblyError, NotAnImage, NotFound
from legibly.images import sniff
from legibly.records import AdoptionRecord, Image
from legibly.store import Stat, Store
from legibly.store.record_files import READING_ERRORS, line

_log = logging.getLogger(__name__)
_THREADS = 8


def image_id(stat: Stat) -> str:
    """The id of a picture unless an adoption record has another one."""
    return object_keys.image_id(stat.key, stat.modified_at)


class Adopter:
    """Copies pictures to keys of ours."""

    def __init__(self, store: Store, *, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes

    def adopt(
        self, stats: Sequence[Stat], *, id_of: Callable[[Stat], str] = image_id
    ) -> list[tuple[str, Image]]:
        """Adopt pictures with foreign keys, and return their images.

        Skips pictures that were deleted or replaced since the listing, which come again. `id_of`
        gives the id of a new image.
        """

        def attempt(stat: Stat) -> tuple[str, Image] | None:
            try:
                image = self._adopted(stat, id_of=id_of)
            except NotFound:
                return None
            except Invalid as error:
                self._store.skip(stat.key, str(error))
                return None
            return None if image is None else (image_id(stat), image)

        if len(stats) <= 1:
            return [adopted for adopted in map(attempt, stats) if adopted]
        with ThreadPoolExecutor(_THREADS) as pool:
            return [adopted for adopted in pool.map(attempt, stats) if adopted]

    def _adopted(self, stat: Stat, *, id_of: Callable[[Stat], str]) -> Image | None:
        if stat.size > self._max_bytes:
            return _image(stat.key, id_of(stat), source=stat.key, size=stat.size)
        listed = image_id(stat)
        stat, data = self._store.fetch(stat.key)
        if image_id(stat) != listed:
            return None  # the present object gets its own event or sweep
        record = self._record(stat, data, id_of(stat))
        if record.image != listed and self._is_deleted(record.image):
            # The picture was stored again after its image was deleted.
            self._store.remove([object_keys.adoption(record.digest)])
            record = self._record(stat, data, listed)
        return image_of(record)

    def _is_deleted(self, image: str) -> bool:
        try:
            self._store.head(object_keys.deletion(image))
        except NotFound:
            return False
        return True

    def _record(self, stat: Stat, data: bytes, image: str) -> AdoptionRecord:
        """The adoption record of this content at this key; writes copy and record if it is new."""
        digest = object_keys.content_digest(stat.key, data)
        key = object_keys.adoption(digest)
        earlier = self._earlier(key)
        if earlier is not None:
            return earlier
        ending = object_keys.EXTENSIONS.get(_media_type(stat.key, data), "bin")
        copy = object_keys.adopted_picture(image, digest, ending)
        self._store.create(copy, data)
        record = AdoptionRecord(image, copy, stat.key, len(data), digest)
        if self._store.create(key, line(record.to_json())):
            return record
        return self._earlier(key) or record

    def _earlier(self, key: str) -> AdoptionRecord | None:
        try:
            return AdoptionRecord.from_json(json.loads(self._store.read(key)))
        except NotFound:
            return None
        except READING_ERRORS as error:
            _log.warning("%s is torn and will be rewritten: %r", key, error)
            self._store.remove([key])
            return None

    def keys_of(self, image: Image) -> list[str]:
        """The keys to delete with an image: its picture and, if it was adopted, the record and the
        source picture, if that is unchanged.
        """
        digest = object_keys.adopted_digest(image.key)
        if digest is None:
            return [image.key] if self._is_unchanged(image) else []
        record = self._earlier(object_keys.adoption(digest))
        keys = [image.key, object_keys.adoption(digest)]
        if record is not None and self._has_content(record):
            keys.append(record.source)
        return keys

    def _has_content(self, record: AdoptionRecord) -> bool:
        try:
            if self._store.head(record.source).size != record.bytes:
                return False
            data = self._store.read(record.source)
        except LegiblyError:
            return False
        return object_keys.content_digest(record.source, data) == record.digest

    def _is_unchanged(self, image: Image) -> bool:
        """Whether the object at the key of an image without a copy is unchanged."""
        if object_keys.is_own(image.key):
            return True
        try:
            stat = self._store.head(image.key)
        except LegiblyError:
            return False
        return image_id(stat) == image.id or stat.size == image.bytes


def image_of(record: AdoptionRecord) -> Image:
    """The pending image of an adoption record."""
    return _image(record.key, record.image, source=record.source, size=record.bytes)


def _image(key: str, image: str, *, source: str, size: int) -> Image:
    return Image(
        id=image,
        key=key,
        received_at=object_keys.received_at(image),
        media_type=object_keys.media_type(key),
        bytes=size,
        name=text_rules.clean(object_keys.last(source)),
    )


def _media_type(key: str, data: bytes) -> str:
    try:
        return sniff.media_type(data)
    except NotAnImage:
        return object_keys.media_type(key)
