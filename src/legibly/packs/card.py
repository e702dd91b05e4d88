"""The card of a model pack: what a classifier says of itself, as `card.json` beside its `model.onnx`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

from legibly import errors, records

Layout = Literal["ink", "whole"]
Reject = Literal["not_a_digit", "unknown"]

CARD, MODEL = "card.json", "model.onnx"


@dataclass(frozen=True, slots=True)
class Input:
    """What the network must be given: `(N, channels, height, width)` float32 in `range`, paper low, ink high."""

    height: int
    width: int
    channels: int = 1
    low: float = 0.0
    high: float = 1.0

    def to_json(self) -> records.Json:
        size = {"height": self.height, "width": self.width, "channels": self.channels}
        return {**size, "range": [self.low, self.high]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        low, high = data.get("range", (0.0, 1.0))
        size = {name: int(data[name]) for name in ("height", "width")}
        return cls(**size, channels=int(data.get("channels", 1)), low=float(low), high=float(high))


@dataclass(frozen=True, slots=True)
class Digitness:
    """A logistic model of "this is one of the classes": `sigmoid(bias + margin · m + energy · e)`.

    `m` = logsumexp(class logits) − reject logit, `e` = logsumexp(class logits), both of the raw logits.
    """

    bias: float = 0.0
    margin: float = 1.0
    energy: float = 0.0

    def to_json(self) -> records.Json:
        return {"bias": self.bias, "margin": self.margin, "energy": self.energy}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: float(data[name]) for name in ("bias", "margin", "energy")})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`read`: the least confidence of a verdict `read`; `digit`: below this digitness an item is the card's reject."""

    read: float
    digit: float = 0.0

    def to_json(self) -> records.Json:
        return {"read": self.read, "digit": self.digit}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(read=float(data["read"]), digit=float(data.get("digit", 0.0)))


@dataclass(frozen=True, slots=True)
class Card:
    """A pack's facts.

    `classes` are the labels in the order of the logits; where `reject` is set the network has one more logit,
    the last, for "none of them". `layout` is `ink` (find ink, several items) or `whole` (the picture is the item).
    `sha256` is that of `model.onnx`. `metrics` and `risk` are free: they report, and decide nothing.
    """

    name: str
    classes: tuple[str, ...]
    layout: Layout
    input: Input
    thresholds: Thresholds
    sha256: str
    temperature: float = 1.0
    reject: Reject | None = None
    digitness: Digitness = field(default_factory=Digitness)
    licence: str = ""
    source: str = ""
    created: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    risk: Mapping[str, Any] = field(default_factory=dict)
    format: int = 1

    @property
    def outputs(self) -> int:
        """How many logits the network gives an item."""
        return len(self.classes) + (self.reject is not None)

    def to_json(self) -> records.Json:
        return {
            "format": self.format,
            "name": self.name,
            "classes": list(self.classes),
            "reject": self.reject,
            "layout": self.layout,
            "input": self.input.to_json(),
            "temperature": self.temperature,
            "digitness": self.digitness.to_json(),
            "thresholds": self.thresholds.to_json(),
            "licence": self.licence,
            "source": self.source,
            "created": self.created,
            "sha256": self.sha256,
            "metrics": dict(self.metrics),
            **({"risk": dict(self.risk)} if self.risk else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a card. Raises KeyError, TypeError or ValueError that names what is missing or wrong."""
        if data["format"] != 1:
            raise ValueError(f"format {data['format']!r} is not known here, only 1")
        layout, reject, classes = data["layout"], data.get("reject"), tuple(data["classes"])
        _known("layout", layout, get_args(Layout))
        _known("reject", reject, (None, *get_args(Reject)))
        if (
            not classes
            or len(set(classes)) < len(classes)
            or not all(isinstance(name, str) for name in classes)
        ):
            raise ValueError("classes must be different texts, at least one")
        temperature = float(data.get("temperature", 1.0))
        if temperature <= 0:
            raise ValueError("temperature must be above 0")
        return cls(
            name=str(data["name"]),
            classes=classes,
            layout=cast("Layout", layout),
            input=Input.from_json(data["input"]),
            thresholds=Thresholds.from_json(data["thresholds"]),
            sha256=str(data["sha256"]),
            temperature=temperature,
            reject=cast("Reject | None", reject),
            digitness=Digitness.from_json(data["digitness"])
            if data.get("digitness")
            else Digitness(),
            licence=str(data.get("licence", "")),
            source=str(data.get("source", "")),
            created=str(data.get("created", "")),
            metrics=data.get("metrics", {}),
            risk=data.get("risk", {}),
        )


def _known(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"{name} is {value!r}, known are {', '.join(repr(one) for one in allowed)}"
        )


def read_card(folder: Path) -> Card:
    """Read the card in a pack's folder, not its network. Raises errors.Invalid that names file and remedy."""
    path = folder / CARD
    remedy = "A model pack is a folder with card.json and model.onnx; `legibly train` writes one."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Card.from_json(data)
    except OSError as error:
        raise errors.Invalid(
            f"cannot be read ({error.strerror})", where=str(path), remedy=remedy
        ) from error
    except KeyError as error:
        raise errors.Invalid(f"the card lacks {error}", where=str(path), remedy=remedy) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise errors.Invalid(
            f"no card of a model pack: {error}", where=str(path), remedy=remedy
        ) from error


def write_card(folder: Path, card: Card) -> None:
    """Write a card as `read_card` reads it."""
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def version(card: Card, model: bytes) -> str:
    """The first twelve hex digits of the SHA-256 over the network's bytes and the card less metrics and risk."""
    facts = card.to_json()
    for name in ("metrics", "risk"):  # they report, and decide nothing
        facts.pop(name, None)
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(model + canonical.encode()).hexdigest()[:12]
