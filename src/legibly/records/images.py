"""A picture and everything known about it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self

from legibly.records.fields import Json, compact_json, stamp
from legibly.records.labels import Label
from legibly.records.readings import Reading, ReadingRecord

State = Literal["pending", "read", "failed"]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture and its facts; `bytes` is the size of the stored file, sizes are None until it has
    been decoded.

    `name` is the sender's name of the file: shown to people, never part of a key.
    """

    id: str
    key: str
    received_at: datetime
    media_type: str
    bytes: int
    state: State = "pending"
    width: int | None = None
    height: int | None = None
    name: str | None = None
    writer: str | None = None
    owner: str | None = None
    batch: str | None = None
    label: Label | None = None
    reading: Reading | None = None
    error: str | None = None

    def with_reading(self, record: ReadingRecord) -> Self:
        """The same image with a reading."""
        return replace(
            self,
            state="read",
            reading=record.reading,
            error=None,
            width=record.width,
            height=record.height,
        )

    def to_json(self) -> Json:
        """The image of the HTTP contract, for anyone who may see it."""
        return {**self._facts(), "reading": self.reading.to_json() if self.reading else None}

    def json_text(self, **more: Any) -> str:
        """`to_json` and more fields as text, reusing the text of the reading."""
        reading = self.reading.json_text() if self.reading else "null"
        return f'{compact_json({**self._facts(), **more})[:-1]},"reading":{reading}}}'

    def _facts(self) -> Json:
        label = self.label if self.label and self.label.text is not None else None
        return {
            "id": self.id,
            "state": self.state,
            "received_at": stamp(self.received_at),
            "media_type": self.media_type,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
            "name": self.name,
            "writer": self.writer,
            "batch": self.batch,
            "label": label.summary() if label else None,
            "error": self.error,
        }
