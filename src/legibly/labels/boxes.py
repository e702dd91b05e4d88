"""Checks the boxes of a label: one for each class of its text."""

from collections.abc import Sequence

from legibly.errors import Unusable
from legibly.labels.rules import SEPARATORS, LabelRules
from legibly.records import Image, LabelBox

_WITHOUT_SEPARATORS = str.maketrans("", "", SEPARATORS)


def checked_boxes(
    boxes: Sequence[LabelBox], text: str | None, image: Image, rules: LabelRules
) -> tuple[LabelBox, ...]:
    """The boxes, clipped to the picture. Raises Unusable if they do not match the text, or one is
    outside of the picture.
    """
    within = tuple(LabelBox(_cut(box, image), rules.normalize(box.label)) for box in boxes)
    labels = "".join(box.label for box in within)
    if within and labels != (text or "").translate(_WITHOUT_SEPARATORS):
        raise Unusable(
            "the boxes say {labels}, the label says {label}.",
            code="label-boxes-differ",
            remedy="Give one box for each digit of the label, in the same order.",
            labels=labels,
            label=text or "",
        )
    return within


def _cut(box: LabelBox, image: Image) -> tuple[int, int, int, int]:
    """The part of a box within its picture."""
    left, top, width, height = box.box
    right = min(left + width, image.width or left + width)
    bottom = min(top + height, image.height or top + height)
    x = max(0, left)
    y = max(0, top)
    if right <= x or bottom <= y:
        raise Unusable(
            "the box {box} lies outside of the picture.",
            code="label-box-outside",
            remedy="A box is x, y, width and height in pixels of the picture.",
            box=list(box.box),
        )
    return (x, y, right - x, bottom - y)
