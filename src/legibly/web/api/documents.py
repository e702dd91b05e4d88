"""The JSON documents of the API, typed for its OpenAPI document and for generated clients."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from legibly import text_rules
from legibly.labels.rules import MAX_TEXT


def _plain(text: str) -> str:
    """Return the text. Raises ValueError, as pydantic expects."""
    if not text_rules.is_plain(text):
        raise ValueError("Text must not have control characters or lone surrogates")
    return text


Text = Annotated[str, AfterValidator(_plain)]


class ModelName(BaseModel):
    """A classifier: its name, and the start of its hash."""

    name: str
    version: str


class Item(BaseModel, extra="allow"):
    """One item on an image."""

    box: list[int]
    label: str
    confidence: float
    probabilities: dict[str, float]
    legibility: float | None = None
    confused_with: str | None = None
    kind: Literal["digit", "separator"] = "digit"


class Reading(BaseModel, extra="allow"):
    """The answer of one model for one image."""

    verdict: Literal["read", "unsure", "blank", "not_a_digit", "unknown"]
    text: str
    confidence: float
    model: ModelName
    at: str
    items: list[Item]
    milliseconds: dict[str, float]
    left_out: float | None = None
    keeps: Literal["digits", "numbers"] = "digits"


Pixel = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class LabelBox(BaseModel):
    """A digit of a label and its place: x, y, width and height in pixels of the picture."""

    box: tuple[Pixel, Pixel, Pixel, Pixel]
    label: str = Field(max_length=MAX_TEXT)


class Label(BaseModel):
    """The true text of an image; `nothing` means that it shows no digit. `boxes` are the places of
    its digits, if known.
    """

    text: str
    at: str
    source: Literal["asked", "volunteered", "at_upload"]
    nothing: bool = False
    boxes: list[LabelBox] | None = None


class Image(BaseModel, extra="allow"):
    """An image with all its facts."""

    id: str
    state: Literal["pending", "read", "failed"]
    received_at: str
    media_type: str
    bytes: int
    width: int | None
    height: int | None
    name: str | None
    writer: str | None
    batch: str | None
    label: Label | None
    error: str | None
    reading: Reading | None
    ask: bool


class Pages(BaseModel):
    """The images of a file's pages in order, and their batch, if there is one."""

    images: list[Image]
    batch: str | None


class FormField(BaseModel):
    """A box or comb: its place on the form in pixels, and its number of cells."""

    name: str
    box: list[float]
    cells: int


class Form(BaseModel):
    """A form: the fields of a straightened scan of `width` × `height` pixels, and with `pictures` a
    small picture of it.
    """

    format: Literal[1]
    width: int
    height: int
    fields: list[FormField]
    picture: str | None = None


class StoredForm(Form):
    """A form of the project; the pictures of its fields are the images of `batch`."""

    name: str
    version: int
    batch: str


class StoredFormEntry(BaseModel):
    """A form in a list, with the number of its fields."""

    name: str
    version: int
    fields: int


class StoredForms(BaseModel):
    """The forms of a project, by name."""

    forms: list[StoredFormEntry]


class FieldValue(BaseModel):
    """What one field says, and with `pictures` the field as it was read.

    If it is stored, `image` is its image and `truth` the label, if it has one.
    """

    text: str
    verdict: Literal["read", "unsure", "blank", "not_a_digit", "unknown"]
    confidence: float
    picture: str | None = None
    image: str | None = None
    truth: str | None = None


class FormPage(BaseModel):
    """The fields of one page, by name."""

    source: str
    fields: dict[str, FieldValue]
    error: str | None


class FormPages(BaseModel):
    """The fields of a scan, page by page."""

    pages: list[FormPage]


class ImagePage(BaseModel):
    """A page of images; `next` is the cursor of the next page, null at the end."""

    images: list[Image]
    next: str | None


class Upload(BaseModel):
    """How to put a picture directly into the object store."""

    id: str
    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: str


class Adopted(BaseModel):
    """The number of new pictures in an event document."""

    new: int


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel, extra="allow"):
    """The server can take uploads."""

    status: Literal["ready"]
    model: ModelName


class Report(BaseModel, extra="allow"):
    """A report; docs/reference describes its parts."""


class Preview(BaseModel):
    """A reading of a picture that is not stored."""

    reading: Reading
    width: int
    height: int
    inputs: list[str]
    explanation: str | None = None
    sentence: str | None = None


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    params: dict[str, Any]
    error: str | None = None
