"""The true text that a person gives a picture, and its pair with a reading."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Self

from legibly.records.fields import Json, finite, moment, stamp

LabelSource = Literal["asked", "volunteered", "at_upload"]
UNANSWERED = "\x01"
"""The true text, as counted, of an image without a digit if its reading has a text but is not
`read`.
"""


@dataclass(frozen=True, slots=True)
class LabelBox:
    """One class of a label and its place: x, y, width and height in pixels of the picture."""

    box: tuple[int, int, int, int]
    label: str

    def to_json(self) -> Json:
        return {"box": list(self.box), "label": self.label}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        x, y, width, height = (int(value) for value in data["box"])
        return cls((x, y, width, height), str(data["label"]))


@dataclass(frozen=True, slots=True)
class Label:
    """The true text of a picture, given by a person; a text of None retracts an earlier label.

    `boxes` are the places of its classes in reading order; empty unless somebody corrected a box.
    """

    text: str | None
    at: datetime
    source: LabelSource = "volunteered"
    by: str | None = None
    boxes: tuple[LabelBox, ...] = ()

    def summary(self) -> Json:
        """The label of the HTTP contract; `nothing` means that the image shows no digit."""
        document: Json = {"text": self.text, "at": stamp(self.at), "source": self.source}
        return document | ({"nothing": True} if self.text == "" else {}) | self._boxes()

    def to_json(self) -> Json:
        document = {"text": self.text, "at": stamp(self.at), "source": self.source, "by": self.by}
        return document | self._boxes()

    def _boxes(self) -> Json:
        return {"boxes": [box.to_json() for box in self.boxes]} if self.boxes else {}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            text=data["text"],
            at=moment(data["at"]),
            source=data["source"],
            by=data.get("by"),
            boxes=tuple(LabelBox.from_json(box) for box in data.get("boxes") or ()),
        )


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


def counted_actual(predicted: str | None, actual: str | None, verdict: str | None) -> str | None:
    """The true text of a pair as it is counted: `actual` or UNANSWERED, as in SQL."""
    if actual == "" and predicted and verdict is not None and verdict != "read":
        return UNANSWERED
    return actual


@dataclass(frozen=True, slots=True)
class Pair:
    """One (reading, label) record, the unit of the accuracy job: one line of `records/pairs/…`.

    `model` is `NAME@VERSION`; an `actual` of None means that the label was retracted, an empty one
    that the image shows no digit. `verdict` is the reading's, None in pairs of version 0.1.
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
        document = {**asdict(self), "labelled_at": stamp(self.labelled_at)}
        return document | ({"nothing": True} if self.actual == "" else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values = {name: data[name] for name in cls.__slots__ if name != "verdict"}
        values["confidence"] = finite(values["confidence"])
        values["labelled_at"] = moment(values["labelled_at"])
        return cls(**values, verdict=data.get("verdict"))
