"""Converts images to Label Studio's tasks with predictions, and its annotations to labels."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from legibly.errors import Invalid
from legibly.labels.agreement import standing
from legibly.labels.rules import SEPARATORS
from legibly.records import Image, Label, LabelBox, stamp

_BY = "legibly:"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Rectangle(NamedTuple):
    """A labelled rectangle in percent of the picture."""

    left: float
    top: float
    width: float
    height: float
    label: str

    def on(self, width: int, height: int) -> LabelBox:
        """The rectangle in pixels of a picture of this size."""
        left = round(self.left * width / 100)
        top = round(self.top * height / 100)
        across = max(1, round(self.width * width / 100))
        down = max(1, round(self.height * height / 100))
        return LabelBox((left, top, across, down), self.label)


class Labelled(NamedTuple):
    """An image and an annotator's text for it.

    `annotator` identifies the person at Label Studio, empty if an export does not. `author` is the
    `Label.by` (empty for None) of our label from which the annotation was made, None if it was not.
    `boxes` are the rectangles of the annotation, with one label each.
    """

    image: str
    text: str
    annotator: str = ""
    author: str | None = None
    boxes: tuple["Rectangle", ...] = ()

    def boxes_on(self, image: Image) -> list[LabelBox]:
        """The rectangles as boxes of an image; empty if they do not add up to the text."""
        if not image.width or not image.height:
            return []
        labels = "".join(rectangle.label for rectangle in self.boxes)
        if labels != "".join(sign for sign in self.text if sign not in SEPARATORS):
            return []
        frame = (image.width, image.height)
        return [rectangle.on(*frame) for rectangle in self.boxes]


def task(image: Image, labels: Iterable[Label], *, base_url: str) -> dict[str, Any]:
    """One task: the picture, our reading as its prediction, each person's label as an annotation.

    `labels` are all labels of the image, oldest first. Their authors are in the annotation's
    `meta`, since Label Studio refuses unknown annotators. Needs a labelling configuration with an
    Image `image`, RectangleLabels `digit` and a TextArea `text`.
    """
    address = f"{base_url}/api/images/{image.id}/original"
    document: dict[str, Any] = {
        "data": {"image": address, "legibly_id": image.id, "name": image.name}
    }
    reading = image.reading
    document["predictions"] = []
    if reading is not None:
        version = f"{reading.model.name}@{reading.model.version}"
        result = [*_boxes(image), _text(reading.text)] if reading.text else []
        document["predictions"] = [
            {"model_version": version, "score": reading.confidence, "result": result}
        ]
    document["annotations"] = [
        {
            "result": [*_label_boxes(image, label), _text(label.text or "", by=label.by or "")],
            "created_at": stamp(label.at),
        }
        for label in standing(labels).values()
    ]
    return document


def _text(text: str, *, by: str | None = None) -> dict[str, Any]:
    tag = {"from_name": "text", "to_name": "image", "type": "textarea"}
    meta = {} if by is None else {"meta": {"text": [f"{_BY}{by}"]}}
    return {**tag, "value": {"text": [text]}, **meta}


def _boxes(image: Image) -> Iterator[dict[str, Any]]:
    """The items of the reading."""
    for item in image.reading.digits if image.reading else ():
        for rectangle in _rectangle(image, item.box, item.label):
            yield rectangle | {"score": item.confidence}


def _label_boxes(image: Image, label: Label) -> Iterator[dict[str, Any]]:
    """The boxes of a person's label."""
    for box in label.boxes:
        yield from _rectangle(image, box.box, box.label)


def _rectangle(image: Image, box: Sequence[int], label: str) -> Iterator[dict[str, Any]]:
    """A box in percent of the picture, as in Label Studio, if the size is known."""
    if not image.width or not image.height:
        return
    left, top, width, height = box
    place = {"x": 100 * left / image.width, "y": 100 * top / image.height}
    size = {"width": 100 * width / image.width, "height": 100 * height / image.height}
    tag = {"from_name": "digit", "to_name": "image", "type": "rectanglelabels"}
    value = {**place, **size, "rotation": 0, "rectanglelabels": [label]}
    yield {**tag, "value": value, "original_width": image.width, "original_height": image.height}


def labels(document: object) -> Iterable[Labelled]:
    """The newest annotation by each annotator for each task, without skipped ones, oldest first.

    Understands the full JSON export (TextArea, Choices or Number results) and the short one (JSON-
    MIN). Raises Invalid.
    """
    if not isinstance(document, list) or not all(isinstance(entry, Mapping) for entry in document):
        raise Invalid(
            "this is not a Label Studio export.",
            remedy="Export as JSON or JSON-MIN: a list of tasks.",
        )
    return [labelled for entry in document for labelled in _labelled(entry)]


def _labelled(entry: Mapping[str, Any]) -> Iterator[Labelled]:
    data = entry["data"] if isinstance(entry.get("data"), Mapping) else entry
    identity = str(data.get("legibly_id") or "")
    if not _ID.fullmatch(identity):
        match = _ID.search(str(data.get("image") or ""))
        if match is None:
            return
        identity = match[0]
    if "annotations" not in entry:
        text = _first_text(entry, ("text", "choice", "number", "label"), identity)
        if text:
            yield Labelled(identity, text, _annotator(entry.get("annotator")))
        return
    newest: dict[tuple[str, str | None], Labelled] = {}
    for labelled in _annotated(identity, entry["annotations"]):
        person = (
            labelled.annotator,
            labelled.author,
        )  # whoever imports our annotations becomes their annotator
        newest.pop(person, None)  # ordered by the newest ones
        newest[person] = labelled
    yield from newest.values()


def _annotated(identity: str, annotations: object) -> Iterator[Labelled]:
    entries = annotations if isinstance(annotations, list) else []
    active = [
        entry for entry in entries if isinstance(entry, Mapping) and not entry.get("was_cancelled")
    ]
    for annotation in sorted(
        active, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at") or "")
    ):
        results = annotation.get("result")
        answers = _answers(results, identity)
        rectangles = _rectangles(results)
        if not answers and not rectangles:
            continue
        text = _joined_regions(answers) if answers else "".join(box.label for box in rectangles)
        author = _author(answers[0].result) if answers else None
        annotator = _annotator(annotation.get("completed_by"))
        yield Labelled(identity, text, annotator, author, rectangles)


def _rectangles(results: object) -> tuple[Rectangle, ...]:
    """The rectangles of an annotation with one label each, in reading order."""
    rectangles = []
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, Mapping) else None
        labels = value.get("rectanglelabels") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(labels, list) or len(labels) != 1:
            continue
        names = ("x", "y", "width", "height")
        sides = [side for name in names if isinstance(side := value.get(name), int | float)]
        if len(sides) == len(names):
            left, top, width, height = sides
            rectangles.append(Rectangle(left, top, width, height, str(labels[0])))
    return tuple(_in_reading_order(rectangles))


def _in_reading_order(rectangles: Sequence[Rectangle]) -> list[Rectangle]:
    """Row by row: a rectangle that starts above the middle of a row's first one is in that row."""
    remaining = sorted(rectangles, key=lambda rectangle: rectangle.top)
    ordered: list[Rectangle] = []
    while remaining:
        middle = remaining[0].top + remaining[0].height / 2
        row = [rectangle for rectangle in remaining if rectangle.top <= middle]
        remaining = [rectangle for rectangle in remaining if rectangle.top > middle]
        ordered += sorted(row, key=lambda rectangle: rectangle.left)
    return ordered


@dataclass(frozen=True, slots=True)
class _Answer:
    """The text of one result, and where its region begins, in per cent; None without a region."""

    text: str
    left: float | None
    result: Mapping[str, Any]


def _answers(results: object, identity: str) -> list[_Answer]:
    """The texts of an annotation, from the first tag that has any."""
    answers: list[_Answer] = []
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, Mapping) else None
        if not isinstance(value, Mapping):
            continue
        text = _first_text(value, ("text", "choices", "number"), identity)
        if text and (not answers or _tag(result) == _tag(answers[0].result)):
            left = value.get("x")
            answers.append(_Answer(text, left if isinstance(left, int | float) else None, result))
    return answers


def _tag(result: Mapping[str, Any]) -> object:
    return result.get("from_name")


def _joined_regions(answers: Sequence[_Answer]) -> str:
    """Texts of several regions from left to right; single characters make one word."""
    if all(answer.left is not None for answer in answers):
        answers = sorted(answers, key=lambda answer: answer.left or 0.0)
    glue = "" if all(len(answer.text) == 1 for answer in answers) else " "
    return glue.join(answer.text for answer in answers)


def _first_text(values: Mapping[str, Any], names: Sequence[str], identity: str) -> str | None:
    """The first of these values that exists; 0 is a value. Raises Invalid if it is not a text."""
    for name in names:
        value = values.get(name)
        if value is not None and value != "" and value != []:
            return _joined(value, identity)
    return None


def _annotator(annotator: object) -> str:
    """A pseudonym for a person, to keep e-mail addresses out of the records."""
    if isinstance(annotator, Mapping):
        annotator = annotator.get("id") or annotator.get("email")
    digest = hashlib.sha256(str(annotator).encode()).hexdigest()
    return f"label-studio:{digest[:16]}" if annotator else ""


def _author(result: Mapping[str, Any]) -> str | None:
    meta = result.get("meta")
    lines = meta.get("text") if isinstance(meta, Mapping) else None
    notes = (str(line) for line in lines) if isinstance(lines, list) else ()
    return next((line.removeprefix(_BY) for line in notes if line.startswith(_BY)), None)


def _joined(value: object, identity: str) -> str:
    parts: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str | int | float) for part in parts):
        raise Invalid(
            "an annotation of image {image} is not a text, choice or number.",
            code="annotation-invalid",
            image=identity,
        )
    return " ".join(_plain(part) for part in parts)


def _plain(part: Any) -> str:
    """A text unchanged, a number without a fraction of zero."""
    return str(int(part)) if isinstance(part, float) and part.is_integer() else str(part)
