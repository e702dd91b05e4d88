"""`legibly.load`: a model pack as a function of Python, from a picture to a Reading.

read = legibly.load("digits")
read("photo.jpg")                    # Reading('7', read, 99.8 %)
read([array, image, "another.png"])  # a list of readings
read.pages("scan.pdf")               # a reading a page
"""

import os
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Union, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly import errors
from legibly.ingest.stored_packs import open_version
from legibly.records import Model, Reading
from legibly.settings import Settings
from legibly.vision.reading import Reader

if TYPE_CHECKING:
    from legibly.packs.card import Card

Picture = Union[str, "PathLike[str]", bytes, Image.Image, NDArray[np.uint8]]
"""A path, the bytes of a picture file, a Pillow image, or pixels (H, W) or (H, W, 3) uint8."""

Batch = list[Picture] | tuple[Picture, ...]


class Classifier:
    """A model that reads pictures; safe to share between threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def model(self) -> Model:
        """Name and version."""
        return self._reader.model

    @property
    def card(self) -> "Card":
        """The information that the model gives about itself."""
        return self._reader.pack.card

    @overload
    def __call__(self, picture: Picture) -> Reading: ...
    @overload
    def __call__(self, picture: Batch) -> list[Reading]: ...
    def __call__(self, picture: Picture | Batch) -> Reading | list[Reading]:
        """Read one picture, or a list of them. Raises NotAnImage, Unusable, NotFound, Invalid."""
        if isinstance(picture, list | tuple):
            return [self._read(entry) for entry in picture]
        return self._read(picture)

    def _read(self, picture: Picture) -> Reading:
        return self._reader.read(encoded(picture)).reading

    def pages(self, file: "str | PathLike[str] | bytes") -> list[Reading]:
        """Read each page of a PDF or TIFF file, or one picture. Raises the errors of a call."""
        return [result.reading for result in self._reader.read_pages(encoded(file))]

    def __repr__(self) -> str:
        return f"Classifier({str(self.model)!r}, {len(self.card.classes)} classes)"


def load(model: str | Path = "digits", *, max_pixels: int = 50_000_000) -> Classifier:
    """Open a pack by name, folder or address; names are those of `legibly models list` here.

    Raises NotFound, Invalid and Unavailable.
    """
    settings = Settings.load(environ=os.environ)
    return Classifier(Reader(open_version(str(model), settings), max_pixels=max_pixels))


def encoded(picture: Picture) -> bytes:
    """The picture as the bytes of a file. Raises NotFound and Invalid."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | PathLike):
        try:
            return Path(picture).read_bytes()
        except FileNotFoundError:
            raise errors.NotFound("there is no such file.", where=str(picture)) from None
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            raise errors.Invalid(message, where=str(picture)) from error
    if isinstance(picture, np.ndarray):
        picture = _image(picture)
    if not isinstance(picture, Image.Image):
        message = f"{type(picture).__name__} is no picture"
        remedy = "Give a path, bytes, a Pillow image or an array (H, W[, 3]) uint8."
        raise errors.Invalid(message, remedy=remedy)
    out = BytesIO()
    mode = picture.mode if picture.mode in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16") else "RGB"
    picture.convert(mode).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    is_grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not (is_grey or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        message = f"an array {pixels.shape} of {pixels.dtype} is no picture"
        remedy = "Give (H, W) or (H, W, 3) uint8, 0 … 255."
        raise errors.Invalid(message, remedy=remedy)
    return Image.fromarray(np.ascontiguousarray(pixels))
