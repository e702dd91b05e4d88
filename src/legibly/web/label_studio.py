"""Label Studio's JSON: our images as its tasks with predictions, its annotations as our labels."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from legibly.errors import Invalid
from legibly.records import Image, stamp

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Labelled(NamedTuple):
    """One image and the text that an annotator gave it."""

    image: str
    text: str


def task(image: Image, *, base_url: str) -> dict[str, Any]:
    """One task: the picture, our reading as its prediction, our label as its annotation.

    It fits a labelling configuration with an Image `image`, RectangleLabels `digit` and a TextArea `text`.
    """
    address = f"{base_url}/api/images/{image.id}/original"
    found: dict[str, Any] = {"data": {"image": address, "legibly_id": image.id, "name": image.name}}
    reading = image.reading
    found["predictions"] = []
    if reading is not None:
        version = f"{reading.model.name}@{reading.model.version}"
        result = [*_boxes(image), _text(reading.text)] if reading.text else []
        found["predictions"] = [{"model_version": version, "score": reading.confidence, "result": result}]
    found["annotations"] = []
    if image.label is not None and image.label.text is not None:
        found["annotations"] = [{"result": [_text(image.label.text)], "created_at": stamp(image.label.at)}]
    return found


def _text(text: str) -> dict[str, Any]:
    return {"from_name": "text", "to_name": "image", "type": "textarea", "value": {"text": [text]}}


def _boxes(image: Image) -> Iterator[dict[str, Any]]:
    """The items in per cent of the picture, as Label Studio counts."""
    if not image.reading or not image.width or not image.height:
        return
    for item in image.reading.items:
        left, top, width, height = item.box
        place = {"x": 100 * left / image.width, "y": 100 * top / image.height}
        size = {"width": 100 * width / image.width, "height": 100 * height / image.height, "rotation": 0}
        value = {**place, **size, "rectanglelabels": [item.label]}
        frame = {"original_width": image.width, "original_height": image.height, "score": item.confidence}
        yield {"from_name": "digit", "to_name": "image", "type": "rectanglelabels", "value": value, **frame}


def labels(document: object) -> Iterable[Labelled]:
    """The labels in an export, the newest annotation of each task that was not skipped.

    Understands the full JSON export (TextArea, Choices or Number results) and the short one (JSON-MIN). Raises Invalid.
    """
    if not isinstance(document, list) or not all(isinstance(entry, Mapping) for entry in document):
        raise Invalid("this is no export of Label Studio.", remedy="Export as JSON or JSON-MIN: a list of tasks.")
    return [found for entry in document if (found := _labelled(entry)) is not None]


def _labelled(entry: Mapping[str, Any]) -> Labelled | None:
    data = entry["data"] if isinstance(entry.get("data"), Mapping) else entry
    identity = str(data.get("legibly_id") or "")
    if not _ID.fullmatch(identity):
        match = _ID.search(str(data.get("image") or ""))
        if match is None:
            return None
        identity = match[0]
    text = _annotated(entry) if "annotations" in entry else _short(entry)
    return Labelled(identity, text) if text else None


def _annotated(entry: Mapping[str, Any]) -> str | None:
    given = entry["annotations"] if isinstance(entry["annotations"], list) else []
    wanted = [one for one in given if isinstance(one, Mapping) and not one.get("was_cancelled")]
    for annotation in sorted(wanted, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))[::-1]:
        for result in annotation.get("result") or ():
            value = result.get("value", {}) if isinstance(result, Mapping) else {}
            for kind in ("text", "choices", "number"):
                if value.get(kind) is not None:
                    return _joined(value[kind])
    return None


def _short(entry: Mapping[str, Any]) -> str | None:
    return next((_joined(entry[name]) for name in ("text", "choice", "number", "label") if entry.get(name)), None)


def _joined(value: object) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)
