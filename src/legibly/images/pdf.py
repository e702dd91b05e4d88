"""Renders pages of PDF documents; only in a child process, since PDFium parses untrusted bytes."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pypdfium2

from legibly import errors
from legibly.images import limits
from legibly.images.raster import Pixels, grey_if_colourless

PIXELS_PER_POINT = 200 / 72
"""200 dots per inch; higher resolutions would be reduced to that anyway."""
PAGE_PIXELS = 8_000_000
"""Larger pages get fewer dots per inch; an A3 page has 7.7 million pixels at 200."""
_PASSWORD = 4
"""PDFium's FPDF_ERR_PASSWORD."""


def count(data: bytes) -> int:
    """Count the pages of a document. Raises Unusable."""
    with _opened(data) as document:
        return len(document)


def page(data: bytes, number: int, *, max_pixels: int) -> Pixels:
    """Page `number`, counted from 0: (H, W) grey or (H, W, 3) RGB, uint8. Raises Unusable."""
    with _opened(data) as document:
        sheet = document[number]
        width, height = sheet.get_size()
        if not (1 <= width < 1e6 and 1 <= height < 1e6):
            raise _damaged()
        most = min(PAGE_PIXELS, max_pixels)
        scale = min(PIXELS_PER_POINT, (most / (width * height)) ** 0.5)
        sides = (max(1, int(scale * width)), max(1, int(scale * height)))
        limits.check_size(*sides, "application/pdf", max_pixels)
        pixels = np.array(sheet.render(scale=scale, rev_byteorder=True).to_numpy())
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3] if pixels.shape[2] > 2 else pixels[:, :, 0]
    return grey_if_colourless(pixels) if pixels.ndim == 3 else pixels


@contextmanager
def _opened(data: bytes) -> Iterator[pypdfium2.PdfDocument]:
    """Open the document, with the values of its form fields."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise _refusal(error) from error
    try:
        if document.get_formtype():
            document.init_forms()
        yield document
    except pypdfium2.PdfiumError as error:
        raise _damaged() from error
    finally:
        document.close()


def _refusal(error: pypdfium2.PdfiumError) -> errors.Unusable:
    if error.err_code == _PASSWORD:
        return errors.Unusable(
            "the PDF is protected by a password.",
            code="pdf-password",
            remedy="Save it without a password.",
        )
    return _damaged()


def _damaged() -> errors.Unusable:
    return errors.Unusable(
        "the PDF is truncated or damaged.", code="damaged", remedy="Save or scan it again."
    )
