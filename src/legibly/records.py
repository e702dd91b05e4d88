"""What travels and what is stored: frozen records with to and from JSON."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

ItemKind = Literal["digit", "separator"]
Verdict = Literal["read", "unsure", "blank", "not_a_digit", "unknown"]
State = Literal["pending", "read", "failed"]
LabelSource = Literal["asked", "volunteered", "at_upload"]
Box = tuple[int, int, int, int]
"""`(left, top, width, height)` in pixels of the upright picture."""

Json = dict[str, Any]


def stamp(moment: datetime) -> str:
    """Write a moment as ISO 8601 UTC with milliseconds, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def moment(text: str) -> datetime:
    """Read what `stamp` wrote, or any ISO 8601 moment with an offset. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def now() -> datetime:
    """The present moment in UTC, in the whole milliseconds that `stamp` keeps."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


def _finite(value: float | None) -> float:
    """A number as it is; 0 for NaN, infinity and null, which version 0.1 stored of broken models."""
    return value if value is not None and math.isfinite(value) else 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """Which classifier: its name and its version, the first twelve hex digits of its content's
    hash.
    """

    name: str
    version: str

    def __str__(self) -> str:
        """`NAME@VERSION`, as pairs name a model."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> Json:
        return {"name": self.name, "version": self.version}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(name=data["name"], version=data["version"])


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found in a picture.

    Confidence, probabilities and legibility are in 0 … 1; legibility is None where it was not
    measured, `confused_with` is the runner-up, None where there is only one class. A separator
    stands between digits (`. , - / :`), has no probabilities and is no part of the text.
    """

    box: Box
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    legibility: float | None = None
    confused_with: str | None = None
    kind: ItemKind = "digit"

    def to_json(self) -> Json:
        return {
            "box": list(self.box),
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            "legibility": self.legibility,
            "confused_with": self.confused_with,
            "kind": self.kind,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        left, top, width, height = data["box"]
        legibility = data.get("legibility")
        return cls(
            box=(left, top, width, height),
            label=data["label"],
            confidence=_finite(data["confidence"]),
            probabilities={name: _finite(p) for name, p in data["probabilities"].items()},
            legibility=_finite(legibility) if legibility is not None else None,
            confused_with=data.get("confused_with"),
            kind=data.get("kind", "digit"),
        )


def _likeliest(item: Item) -> str:
    """The three likeliest classes of an item in words."""
    ordered = sorted(item.probabilities.items(), key=lambda entry: -entry[1])[:3]
    return ", ".join(f"{name} {share:.3f}" for name, share in ordered)


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """What one model says of one picture; `text` is empty unless something was found."""

    verdict: Verdict
    text: str
    confidence: float
    model: Model
    at: datetime
    items: tuple[Item, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    left_out: float | None = None
    """The share of the ink that no item explains; None where that was not counted."""

    def __repr__(self) -> str:
        """Short: the text, the verdict and the confidence, cut and not rounded up."""
        percent = math.floor(self.confidence * 1000) / 10
        return f"Reading({self.text!r}, {self.verdict}, {percent:g} %)"

    def _repr_html_(self) -> str:
        """A table for notebooks: the answer, then each item with its likeliest classes."""
        rows = "".join(
            f"<tr><td>{html.escape(item.label)}</td><td>{item.confidence:.3f}</td>"
            f"<td>{html.escape(_likeliest(item))}</td></tr>"
            for item in self.items
        )
        head = html.escape(f"{self.text or '–'} · {self.verdict} · {self.model}")
        columns = "<tr><th>item</th><th>confidence</th><th>likeliest</th></tr>"
        return f"<p><strong>{head}</strong></p><table>{columns}{rows}</table>"

    @property
    def digits(self) -> tuple[Item, ...]:
        """The items that were read; they come before the separators."""
        return tuple(item for item in self.items if item.kind == "digit")

    def to_json(self) -> Json:
        return {
            "verdict": self.verdict,
            "text": self.text,
            "confidence": self.confidence,
            "model": self.model.to_json(),
            "at": stamp(self.at),
            "items": [item.to_json() for item in self.items],
            "milliseconds": dict(self.milliseconds),
            **({} if self.left_out is None else {"left_out": self.left_out}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            verdict=data["verdict"],
            text=data["text"],
            confidence=_finite(data["confidence"]),
            model=Model.from_json(data["model"]),
            at=moment(data["at"]),
            items=tuple(Item.from_json(item) for item in data["items"]),
            milliseconds=data.get("milliseconds", {}),
            left_out=data.get("left_out"),
        )


@dataclass(frozen=True, slots=True)
class Label:
    """The true text of a picture, given by a person; a text of None takes an earlier label back."""

    text: str | None
    at: datetime
    source: LabelSource = "volunteered"
    by: str | None = None

    def summary(self) -> Json:
        """The label of the HTTP contract; `nothing` says that the image shows no digit."""
        document: Json = {"text": self.text, "at": stamp(self.at), "source": self.source}
        return document | ({"nothing": True} if self.text == "" else {})

    def to_json(self) -> Json:
        return {"text": self.text, "at": stamp(self.at), "source": self.source, "by": self.by}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            text=data["text"], at=moment(data["at"]), source=data["source"], by=data.get("by")
        )


@dataclass(frozen=True, slots=True)
class Image:
    """One picture and what is known of it; `bytes` counts the stored file, sizes are None until it
    was decoded.

    `name` is what the sender called the file: shown to people, never part of a key.
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

    def with_reading(self, record: "ReadingRecord") -> Self:
        """The same image, read."""
        return replace(
            self,
            state="read",
            reading=record.reading,
            error=None,
            width=record.width,
            height=record.height,
        )

    def to_json(self) -> Json:
        """The image of the HTTP contract: what anybody who may see it may know."""
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
            "reading": self.reading.to_json() if self.reading else None,
        }


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """What a picture does not tell of itself, as it was when the picture came: `records/uploads/…`."""

    image: str
    key: str
    media_type: str
    bytes: int
    name: str | None = None
    writer: str | None = None
    owner: str | None = None
    batch: str | None = None

    def to_json(self) -> Json:
        document = {
            "image": self.image,
            "key": self.key,
            "media_type": self.media_type,
            "bytes": self.bytes,
            "name": self.name,
            "writer": self.writer,
            "owner": self.owner,
        }
        return document | ({"batch": self.batch} if self.batch else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        facts = {name: data[name] for name in ("image", "key", "media_type", "bytes")}
        facts |= {name: data.get(name) for name in ("name", "writer", "owner", "batch")}
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class AdoptionRecord:
    """A picture that somebody else put at `source`, and the copy at `key`: `records/adoptions/…`.

    `digest` is that of the source's key and content.
    """

    image: str
    key: str
    source: str
    bytes: int
    digest: str

    def to_json(self) -> Json:
        return {
            "image": self.image,
            "key": self.key,
            "source": self.source,
            "bytes": self.bytes,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: data[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that were uploaded together: `records/batches/…`. The id tells when it was opened."""

    id: str
    name: str
    owner: str | None = None

    def to_json(self) -> Json:
        return {"id": self.id, "name": self.name, "owner": self.owner}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(id=data["id"], name=data["name"], owner=data.get("owner"))


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """One line of `records/readings/…`: the reading of one image, with the facts of its picture."""

    image: str
    key: str
    media_type: str
    bytes: int
    width: int
    height: int
    reading: Reading

    def to_json(self) -> Json:
        facts = {
            "media_type": self.media_type,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
        }
        return {"image": self.image, "key": self.key, **facts, **self.reading.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        facts = {
            name: data[name] for name in ("image", "key", "media_type", "bytes", "width", "height")
        }
        return cls(**facts, reading=Reading.from_json(data))


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """One line of `records/failures/…`: why a picture could not be read, after the last try."""

    image: str
    key: str
    bytes: int
    width: int | None
    height: int | None
    error: str
    at: datetime

    def to_json(self) -> Json:
        facts = {"bytes": self.bytes, "width": self.width, "height": self.height}
        return {
            "image": self.image,
            "key": self.key,
            **facts,
            "error": self.error,
            "at": stamp(self.at),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        facts = {name: data[name] for name in ("image", "key", "bytes", "width", "height", "error")}
        return cls(**facts, at=moment(data["at"]))


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One line of `records/labels/…`: a label of one image."""

    image: str
    label: Label

    def to_json(self) -> Json:
        return {"image": self.image, **self.label.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(image=data["image"], label=Label.from_json(data))


UNANSWERED = "\x01"
"""Counts as the true text of an image without a digit whose reading has a text, but not the verdict
`read`.
"""


def counted_actual(predicted: str | None, actual: str | None, verdict: str | None) -> str | None:
    """The true text of a pair as it is counted: `actual` or UNANSWERED. As in the engines' SQL."""
    if actual == "" and predicted and verdict is not None and verdict != "read":
        return UNANSWERED
    return actual


@dataclass(frozen=True, slots=True)
class Pair:
    """One (reading, label) record, the unit of the accuracy job: one line of `records/pairs/…`.

    `model` is `NAME@VERSION`; an `actual` of None says that the label was taken back, an empty one
    that the image shows no digit. `verdict` is that of the reading, None in pairs of version 0.1.
    """

    image: str
    predicted: str
    actual: str | None
    confidence: float
    model: str
    writer: str | None
    source: LabelSource
    labelled_at: datetime
    verdict: str | None = None

    def to_json(self) -> Json:
        document = {
            "image": self.image,
            "predicted": self.predicted,
            "actual": self.actual,
            "confidence": self.confidence,
            "model": self.model,
            "writer": self.writer,
            "source": self.source,
            "labelled_at": stamp(self.labelled_at),
            "verdict": self.verdict,
        }
        return document | ({"nothing": True} if self.actual == "" else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = {
            name: data[name] for name in cls.__slots__ if name not in ("labelled_at", "verdict")
        }
        values["confidence"] = _finite(values["confidence"])
        moment_ = moment(data["labelled_at"])
        return cls(**values, labelled_at=moment_, verdict=data.get("verdict"))
