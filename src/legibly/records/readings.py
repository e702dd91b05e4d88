"""Readings of pictures by a model, and their records."""

import html
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from legibly.records.fields import Json, compact_json, finite, moment, stamp

TextMode = Literal["digits", "numbers"]
"""Whether a text leaves out the separators of its picture or keeps them."""
ItemKind = Literal["digit", "separator"]
Verdict = Literal["read", "unsure", "blank", "not_a_digit", "unknown"]
Box = tuple[int, int, int, int]
"""`(left, top, width, height)` in pixels of the upright picture."""


@dataclass(frozen=True, slots=True)
class Model:
    """A classifier: its name and its version, the first twelve hex digits of its hash."""

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
    """One thing on a picture.

    Confidence, probabilities and legibility are in 0 … 1; legibility is None if it was not
    measured, `confused_with` is the second most likely class, None if there is only one class. A
    separator is between digits (`. , - / :`), has no probabilities, and is part of the text if
    that keeps numbers.
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
            confidence=finite(data["confidence"]),
            probabilities={name: finite(p) for name, p in data["probabilities"].items()},
            legibility=finite(legibility) if legibility is not None else None,
            confused_with=data.get("confused_with"),
            kind=data.get("kind", "digit"),
        )


def _likeliest(item: Item) -> str:
    """The three likeliest classes of an item in words."""
    ordered = sorted(item.probabilities.items(), key=lambda entry: -entry[1])[:3]
    return ", ".join(f"{name} {share:.3f}" for name, share in ordered)


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """The answer of one model for one picture; `text` is empty if there are no items."""

    verdict: Verdict
    text: str
    confidence: float
    model: Model
    at: datetime
    items: tuple[Item, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    left_out: float | None = None
    """The share of the ink that belongs to no item; None if it was not measured."""
    keeps: TextMode = "digits"
    """Whether the text has the separators."""
    _json_text: str | None = field(default=None, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Text, verdict and confidence, truncated so that it never overstates."""
        percent = math.floor(self.confidence * 1000) / 10
        return f"Reading({self.text!r}, {self.verdict}, {percent:g} %)"

    def _repr_html_(self) -> str:
        """A table for notebooks: the reading, then each item with its likeliest classes."""
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
            **({} if self.keeps == "digits" else {"keeps": self.keeps}),
        }

    def json_text(self) -> str:
        """`to_json` as text, encoded once for record, index and response. Raises ValueError."""
        if self._json_text is None:
            object.__setattr__(self, "_json_text", compact_json(self.to_json()))
        return self._json_text or ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            verdict=data["verdict"],
            text=data["text"],
            confidence=finite(data["confidence"]),
            model=Model.from_json(data["model"]),
            at=moment(data["at"]),
            items=tuple(Item.from_json(item) for item in data["items"]),
            milliseconds=data.get("milliseconds", {}),
            left_out=data.get("left_out"),
            keeps=data.get("keeps", "digits"),
        )


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

    def _facts(self) -> Json:
        return {
            "image": self.image,
            "key": self.key,
            "media_type": self.media_type,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
        }

    def to_json(self) -> Json:
        return {**self._facts(), **self.reading.to_json()}

    def json_text(self) -> str:
        """`to_json` as text. Raises ValueError for NaN."""
        return f"{compact_json(self._facts())[:-1]},{self.reading.json_text()[1:]}"

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
        return {**asdict(self), "at": stamp(self.at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        facts = {name: data[name] for name in cls.__slots__}
        return cls(**{**facts, "at": moment(data["at"])})
