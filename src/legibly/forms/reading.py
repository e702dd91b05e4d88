"""Makes a form from a scan, and reads the fields of a form from other scans."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from legibly import errors, records
from legibly.forms import boxes, registration
from legibly.forms.boxes import Box
from legibly.forms.form import Field, Form
from legibly.images import decode
from legibly.vision.reading import Result

Pixels = NDArray[np.uint8]

PIXELS = 6_000_000
"""A scan is not reduced below this number of pixels."""
CELL_HEIGHT = 72
"""Least height of a cell in pixels for reading."""
INSET = 0.07
"""Margin cut off along a cell's lines and paper between cells, as shares of its height."""
APART = 0.25
FAINTEST = 12
"""A field without a point this much darker than its paper, of 255 greys, is empty: the grain of a
scan stands out from the even margin that is added to it."""
DOUBT = 0.9
"""Factor on the confidence if digits and cells do not match."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a field; its text is empty if the field is blank. `picture` is the field as it
    was read, a PNG without its lines.
    """

    field: str
    result: Result
    picture: bytes

    @property
    def text(self) -> str:
        return self.result.reading.text

    @property
    def verdict(self) -> records.Verdict:
        return self.result.reading.verdict

    def to_json(self) -> records.Json:
        confidence = round(self.result.reading.confidence, 6)
        return {"text": self.text, "verdict": self.verdict, "confidence": confidence}


def make(data: bytes, *, max_pixels: int) -> Form:
    """Make a form from a scan, with fields `field_1` and so on. Raises Unusable if it has no boxes,
    and the errors of `decode.decode`.
    """
    return make_with_page(data, max_pixels=max_pixels)[0]


def make_with_page(data: bytes, *, max_pixels: int) -> tuple[Form, Pixels]:
    """The same, with the straightened scan that the boxes belong to."""
    page = boxes.straightened(_pixels(data, max_pixels))
    page_boxes = boxes.find(page)
    if not page_boxes:
        raise errors.Unusable(
            "the scan shows no boxes and no combs.",
            code="form-not-found",
            remedy="Scan the empty form with 150 dots an inch or more.",
        )
    fields = tuple(_field(number, box) for number, box in enumerate(page_boxes, start=1))
    return Form(page.shape[1], page.shape[0], fields), page


def _field(number: int, box: Box) -> Field:
    sides = (box.left, box.top, box.width, box.height)
    left, top, width, height = (round(float(side), 1) for side in sides)
    return Field(f"field_{number}", (left, top, width, height), box.cells)


class PictureReader(Protocol):
    """Reads the picture of a field."""

    def read(self, data: bytes) -> Result:
        """Read one picture."""


def read(form: Form, data: bytes, reader: PictureReader, *, max_pixels: int) -> list[Value]:
    """Each field's value on a scan. Raises Unusable without the form, and as `decode.decode`."""
    page, place = _placed(form, _pixels(data, max_pixels))
    return [_value(field, _strip(page, field, place), reader) for field in form.fields]


def _placed(form: Form, pixels: Pixels) -> tuple[Pixels, registration.Place]:
    """The straightened scan, rotated by 180° if needed, and the place of the form on it."""
    page = boxes.straightened(pixels)
    page_boxes = boxes.find(page)
    place = registration.register(form, page_boxes)
    for quarters in (2, 1, 3):
        if place is not None:
            break
        turned = np.ascontiguousarray(np.rot90(page, quarters))
        place = registration.register(form, boxes.find(turned))
        if place is not None:
            page = turned
    return page, place or registration.require(form, page_boxes)


def _pixels(data: bytes, max_pixels: int) -> Pixels:
    return decode.decode(data, max_pixels=max_pixels, enough_pixels=PIXELS).pixels


@dataclass(frozen=True, slots=True)
class Strip:
    """A field as a picture without its lines; `edges` are the starts of its cells, and the end."""

    picture: Image.Image
    edges: tuple[int, ...]


def _strip(page: Pixels, field: Field, place: registration.Place) -> Strip:
    """The insides of a field's cells, next to each other on paper."""
    left, top, width, height = field.box
    cell_width = width / field.cells
    factor = max(1.0, CELL_HEIGHT / height)
    inset = INSET * min(height, cell_width) + 1.0
    size = (round(factor * (cell_width - 2 * inset)), round(factor * (height - 2 * inset)))
    size = (max(size[0], 4), max(size[1], 4))
    image = Image.fromarray(page)
    cells = []
    for number in range(field.cells):
        start = left + number * cell_width + inset
        mapping = _to_scan(place, start, top + inset, 1 / factor)
        method = Image.Transform.AFFINE
        cells.append(image.transform(size, method, mapping, Image.Resampling.BICUBIC))
    paper = int(np.median(np.concatenate([np.asarray(cell).ravel() for cell in cells])))
    gap = round(APART * size[1])
    step = size[0] + gap
    strip = Image.new("L", (field.cells * step + gap, size[1] + 2 * gap), paper)
    for number, cell in enumerate(cells):
        strip.paste(cell, (gap + number * step, gap))
    edges = tuple(round(gap / 2) + number * step for number in range(field.cells + 1))
    return Strip(strip, edges)


def _to_scan(
    place: registration.Place, left: float, top: float, scale: float
) -> tuple[float, float, float, float, float, float]:
    """Pillow's coefficients from a cell's pixels to those of the scan."""
    (a, b, c), (d, e, f) = place.matrix.tolist()
    x = a * left + b * top + c
    y = d * left + e * top + f
    return a * scale, b * scale, x, d * scale, e * scale, y


def _value(field: Field, strip: Strip, reader: PictureReader) -> Value:
    picture = _png(strip.picture)
    result = reader.read(_png(_without_grain(strip.picture)))
    if field.cells > 1 and result.reading.verdict in ("read", "unsure"):
        result = replace(result, reading=_comb_reading(result.reading, strip.edges))
    return Value(field.name, result, picture)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _without_grain(picture: Image.Image) -> Image.Image:
    """The picture of a field; even paper if nothing is written there."""
    grey = np.asarray(picture.filter(ImageFilter.BoxBlur(1)), np.int16)
    paper = int(np.median(grey))
    is_empty = np.abs(grey - paper).max() < FAINTEST
    return Image.new("L", picture.size, paper) if is_empty else picture


def _comb_reading(reading: records.Reading, edges: Sequence[int]) -> records.Reading:
    """The reading of a comb: without spaces, and in doubt if digits and cells do not match."""
    text = "".join(item.label for item in reading.digits)
    if _fits(_counts(reading.digits, edges)):
        return replace(reading, text=text)
    return replace(reading, text=text, verdict="unsure", confidence=reading.confidence * DOUBT)


def _counts(digits: Sequence[records.Item], edges: Sequence[int]) -> list[int]:
    """The number of digits in each cell."""
    middles = [item.box[0] + item.box[2] / 2 for item in digits]
    return [int(count) for count in np.histogram(middles, bins=np.array(edges, np.float64))[0]]


def _fits(counts: Sequence[int]) -> bool:
    """Whether no cell holds two digits, and none between two filled ones is empty."""
    filled = [index for index, count in enumerate(counts) if count]
    return max(counts) <= 1 and bool(filled) and filled[-1] - filled[0] + 1 == len(filled)
