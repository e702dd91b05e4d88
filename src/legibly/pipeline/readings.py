"""Reads pictures of the store and writes each reading once. Needs no index."""

import json
import logging
from typing import Protocol

from legibly import object_keys
from legibly.errors import TooLarge
from legibly.records import Model, ReadingRecord
from legibly.store import Store
from legibly.store.record_files import READING_ERRORS, line
from legibly.telemetry.measures import measure
from legibly.vision.reading import Result

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Reads pictures, on this machine or by a remote model."""

    @property
    def model(self) -> Model:
        """The present model; it may change between two pictures."""

    def read(self, data: bytes) -> Result:
        """Read one picture. Raises NotAnImage, Unusable and Unavailable."""


def read_object(store: Store, reader: Reader, key: str, *, max_bytes: int) -> ReadingRecord:
    """Read the picture at `key`, write nothing. Raises NotFound, TooLarge, NotAnImage, Unusable."""
    stat = store.head(key)
    if stat.size > max_bytes:
        message = "the picture has {bytes} bytes; {limit} are allowed."
        raise TooLarge(message, where=key, bytes=stat.size, limit=max_bytes)
    stat, data = store.fetch(key)
    image = object_keys.image_id(key, stat.modified_at)
    return reading_record(reader.read(data), image=image, key=key, size=stat.size)


def reading_record(result: Result, *, image: str, key: str, size: int) -> ReadingRecord:
    """The record of a reading; `size` is that of the picture's object in bytes."""
    facts = result.facts
    reading = result.reading
    measure("readings", verdict=reading.verdict, version=reading.model.version)
    for stage, milliseconds in reading.milliseconds.items():
        measure("stage_seconds", milliseconds / 1000, stage=stage)
    return ReadingRecord(
        image=image,
        key=key,
        media_type=facts.media_type,
        bytes=size,
        width=facts.width,
        height=facts.height,
        reading=result.reading,
    )


def write_reading(store: Store, record: ReadingRecord) -> ReadingRecord:
    """Write a reading once; return that of this image and model version, replacing a torn one."""
    key = object_keys.reading(record.image, record.reading.model.version)
    if store.create(key, line(record.to_json())):
        return record
    try:
        return ReadingRecord.from_json(json.loads(store.read(key)))
    except READING_ERRORS as error:
        _log.warning("%s is torn and was replaced: %r", key, error)
        store.replace(key, line(record.to_json()))
        return record
