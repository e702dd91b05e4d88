"""The card of a model pack: describes a classifier, as `card.json` beside its network.

Format 1 describes networks that take ink or squashed pictures as NCHW float32 and return logits.
Format 2 adds layout, preprocessing, kinds of output and calibration: docs/reference/model-card.md.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

from legibly import errors, records
from legibly.packs import schema
from legibly.packs.card_parts import Digitness as Digitness
from legibly.packs.card_parts import Input as Input
from legibly.packs.card_parts import Output as Output
from legibly.packs.card_parts import Prepare as Prepare
from legibly.packs.card_parts import Remote as Remote
from legibly.packs.card_parts import Thresholds as Thresholds

Layout = Literal["ink", "whole"]
Reject = Literal["not_a_digit", "unknown"]

CARD = "card.json"
MODEL = "model.onnx"
LINE = "line.onnx"
"""The optional second network of a pack of digits, which reads a row at once."""
MAX_CARD_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Card:
    """A pack's facts.

    `classes` are the labels in the order of the outputs; with `reject_output` the network has one
    more output, the last, for "none of them". `layout` is `ink` (locate ink, several items) or
    `whole` (the picture is the item). `sha256` is the hash of `model.onnx`, `files` those of all
    loaded files. `calibration` None means that confidences are not calibrated. `metrics` and `risk`
    do not affect readings.
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
    prepare: Prepare | None = None
    output: Output = field(default_factory=Output)
    reject_output: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    remote: Remote | None = None

    @property
    def outputs(self) -> int:
        """The number of outputs for an item."""
        return len(self.classes) + (self.reject is not None and self.reject_output)

    @property
    def is_calibrated(self) -> bool:
        """Whether confidences are calibrated on labelled pictures; in format 1 by its digitness."""
        if self.format == 1:
            return self.temperature != 1.0 or self.digitness != Digitness()
        return self.calibration is not None

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each loaded file by name."""
        return dict(self.files) if self.format > 1 else {MODEL: self.sha256, **self.files}

    def to_json(self) -> records.Json:
        return self._format_1() if self.format == 1 else self._format_2()

    def _format_1(self) -> records.Json:
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
            **({"files": dict(self.files)} if self.files else {}),
            "metrics": dict(self.metrics),
            **({"risk": dict(self.risk)} if self.risk else {}),
        }

    def _format_2(self) -> records.Json:
        prepare = {"prepare": self.prepare.to_json()} if self.prepare else {}
        words = {"words": dict(self.words)} if self.words else {}
        return {
            "format": self.format,
            "name": self.name,
            "classes": [self.class_entry(label) for label in self.classes],
            **words,
            "reject": self.reject,
            "reject_output": self.reject_output,
            "layout": self.layout,
            "input": self.input.to_json(format_=2),
            **prepare,
            "output": self.output.to_json(),
            "temperature": self.temperature,
            "digitness": self.digitness.to_json(),
            "thresholds": self.thresholds.to_json(),
            "calibration": dict(self.calibration) if self.calibration else None,
            "licence": self.licence,
            "origin": self.source,
            "created": self.created,
            "files": dict(self.files),
            "remote": self.remote.to_json() if self.remote else None,
            "metrics": dict(self.metrics),
            "risk": dict(self.risk),
        }

    def class_entry(self, label: str) -> records.Json:
        """A class with its facts: id, name, key."""
        entry = {"id": label}
        if label in self.names:
            entry["name"] = self.names[label]
        if label in self.keys:
            entry["key"] = self.keys[label]
        return entry

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Parse a card of either format. Raises KeyError, TypeError or ValueError."""
        if data["format"] == 2:
            schema.validate(data)
            return cls._from_format_2(data)
        if data["format"] != 1:
            raise ValueError(f"format {data['format']!r} is not known here, only 1 and 2")
        return cls._from_format_1(data)

    @classmethod
    def _from_format_1(cls, data: Mapping[str, Any]) -> Self:
        _check_choice("layout", data["layout"], get_args(Layout))
        _check_choice("reject", data.get("reject"), (None, *get_args(Reject)))
        return cls(
            **_common(data),
            classes=_distinct(tuple(data["classes"])),
            input=Input.from_json(
                {key: data["input"][key] for key in _INPUT_1 if key in data["input"]}
            ),
            thresholds=Thresholds.from_json(data["thresholds"]),
            sha256=str(data["sha256"]),
            source=str(data.get("source", "")),
            files={str(name): str(digest) for name, digest in data.get("files", {}).items()},
        )

    @classmethod
    def _from_format_2(cls, data: Mapping[str, Any]) -> Self:
        labels = tuple(entry["id"] for entry in data["classes"])
        files = dict(data.get("files", {}))
        if data["layout"] == "ink" and data.get("prepare"):
            raise ValueError("'prepare' is for the layout whole; ink is prepared by Legibly")
        return cls(
            **_common(data),
            classes=_distinct(labels),
            input=Input.from_json(data["input"]),
            thresholds=Thresholds.from_json(data.get("thresholds") or {"read": 0.9}),
            sha256=files.get(MODEL, ""),
            source=data.get("origin", ""),
            format=2,
            prepare=_prepare(data),
            output=Output(**data["output"]),
            reject_output=data.get("reject_output", False),
            names={entry["id"]: entry["name"] for entry in data["classes"] if "name" in entry},
            keys={entry["id"]: entry["key"] for entry in data["classes"] if "key" in entry},
            words=data.get("words", {}),
            calibration=data.get("calibration"),
            files=files,
            remote=Remote(**data["remote"]) if data.get("remote") else None,
        )


_INPUT_1 = ("height", "width", "channels", "range")


def _common(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that both formats share."""
    temperature = float(data.get("temperature", 1.0))
    if not temperature > 0:
        raise ValueError("temperature must be above 0")
    digitness = data.get("digitness")
    return {
        "name": str(data["name"]),
        "layout": cast("Layout", data["layout"]),
        "reject": cast("Reject | None", data.get("reject")),
        "temperature": temperature,
        "digitness": Digitness.from_json(digitness) if digitness else Digitness(),
        "licence": str(data.get("licence", "")),
        "created": str(data.get("created", "")),
        "metrics": data.get("metrics", {}),
        "risk": data.get("risk", {}),
    }


def _prepare(data: Mapping[str, Any]) -> Prepare | None:
    if data["layout"] == "ink":
        return None
    channels = data["input"].get("channels", 1)
    default = {"colour": "grey" if channels == 1 else "rgb"}
    prepare = Prepare.from_json({**default, **data.get("prepare", {})})
    if (prepare.colour == "grey") != (channels == 1):
        raise ValueError(f"prepare.colour {prepare.colour} does not fit {channels} channels")
    for name in ("mean", "std"):
        if len(getattr(prepare, name)) not in (1, channels):
            raise ValueError(f"prepare.{name} needs one number, or {channels}")
    return prepare


def _distinct(classes: tuple[Any, ...]) -> tuple[str, ...]:
    if (
        not classes
        or not all(isinstance(label, str) for label in classes)
        or len(set(classes)) < len(classes)
    ):
        raise ValueError("classes must be different texts, at least one")
    return classes


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name} is {value!r}, known are {choices}")


def read_card(folder: Path) -> Card:
    """Read only the card in a pack's folder. Raises errors.Invalid that names file and remedy."""
    path = folder / CARD
    remedy = (
        "A model pack is a folder with card.json and model.onnx; `legibly models add` makes one."
    )
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            message = "is larger than {limit} bytes"
            raise errors.Invalid(message, where=str(path), limit=MAX_CARD_BYTES)
        data = json.loads(path.read_text(encoding="utf-8"))
        return Card.from_json(data)
    except OSError as error:
        message = "cannot be read ({problem})"
        problem = str(error.strerror)
        raise errors.Invalid(message, where=str(path), remedy=remedy, problem=problem) from error
    except KeyError as error:
        message = "the card lacks {key}"
        raise errors.Invalid(message, where=str(path), remedy=remedy, key=str(error)) from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        message = "not a card of a model pack: {problem}"
        problem = str(error)[:300]
        raise errors.Invalid(message, where=str(path), remedy=remedy, problem=problem) from error


def write_card(folder: Path, card: Card) -> None:
    """Write a card in the format of `read_card`."""
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def version(card: Card, model: bytes, others: Mapping[str, bytes] | None = None) -> str:
    """The first twelve hex digits of the SHA-256 over all loaded files and the card without metrics
    and risk.

    `model` is the network's file, `others` are the files of its external data by name.
    """
    facts = card.to_json()
    for name in ("metrics", "risk"):  # only informative
        facts.pop(name, None)
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(model)
    for name in sorted(others or {}):
        digest.update(name.encode() + b"\0" + hashlib.sha256((others or {})[name]).digest())
    digest.update(canonical.encode())
    return digest.hexdigest()[:12]
