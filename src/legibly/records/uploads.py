"""Records of how pictures arrived: uploads, adoptions and batches."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from legibly.records.fields import Json


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """The facts of an upload that are not in the picture itself: `records/uploads/…`."""

    image: str
    key: str
    media_type: str
    bytes: int
    name: str | None = None
    writer: str | None = None
    owner: str | None = None
    batch: str | None = None

    def to_json(self) -> Json:
        return {name: value for name, value in asdict(self).items() if name != "batch" or value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        facts = {name: data[name] for name in ("image", "key", "media_type", "bytes")}
        facts |= {name: data.get(name) for name in ("name", "writer", "owner", "batch")}
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class AdoptionRecord:
    """A picture that others put at `source`, and its copy at `key`: `records/adoptions/…`.

    `digest` is that of the source's key and content.
    """

    image: str
    key: str
    source: str
    bytes: int
    digest: str

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: data[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Batch:
    """Images uploaded together: `records/batches/…`. The id has the time of opening."""

    id: str
    name: str
    owner: str | None = None

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(id=data["id"], name=data["name"], owner=data.get("owner"))
