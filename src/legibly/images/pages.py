"""Splits files with several pages into one picture per page.

PDF pages are drawn and TIFF pages decoded in an expendable child process; the result is PNG, or
JPEG if that is much smaller.
"""

import io
import itertools
import struct
import time
from collections.abc import Iterator

from PIL import Image

from legibly import errors
from legibly.images import child_pool, sniff
from legibly.images.raster import Pixels

FILE_SECONDS = 60.0
"""Time limit for all pages of a file."""
_JPEG_SHARE = 4
"""A PNG with more than a byte per this many pixels is a photo, not print: use JPEG."""
_NOT_A_PAGE = 0b101
"""Bits of the tag NewSubfileType (TIFF 6.0, section 8): a reduced copy, a mask."""
_NEW_SUBFILE_TYPE = 254
_DIRECTORIES_A_PAGE = 16
"""Most reduced copies and masks of a page."""


def has_pages(data: bytes) -> bool:
    """Whether these bytes are a PDF, or a TIFF with more than one page."""
    first = itertools.islice(_tiff_directories(data), _DIRECTORIES_A_PAGE)
    return sniff.is_pdf(data) or sum(first) > 1


def refuse_pages(data: bytes) -> None:
    """Raise Unusable for a TIFF with more than one page."""
    if has_pages(data) and not sniff.is_pdf(data):
        raise errors.Unusable(
            "the file has several pages.",
            code="several-pages",
            remedy="Upload it, or use legibly classify: each page becomes a picture.",
        )


def pages(data: bytes, *, max_pages: int, max_pixels: int) -> Iterator[bytes]:
    """Yield each page as the bytes of a picture file; a file without pages unchanged.

    Raises Unusable for more than `max_pages`, a password, a damaged file and a page that exceeds
    a limit; NotAnImage for other kinds of bytes.
    """
    if not has_pages(data):
        yield data
        return
    pool = child_pool.shared()
    ends = time.monotonic() + FILE_SECONDS
    for number, place in enumerate(_places(pool, data, max_pages), start=1):
        if time.monotonic() > ends:
            raise _page_error(number, _slow())
        try:
            pixels = pool.page(data, place, max_pixels=max_pixels)
        except errors.Unusable as error:
            raise _page_error(number, error) from error
        yield encoded(pixels)


def _places(pool: child_pool.ChildPool, data: bytes, max_pages: int) -> list[int]:
    """The numbers of a file's pages, without thumbnails and masks of a TIFF."""
    if sniff.is_pdf(data):
        count = pool.count_pages(data)
        places = list(range(min(count, max_pages + 1)))
    else:
        places = _tiff_pages(data, most=max_pages)
        count = len(places)
    if len(places) > max_pages:
        raise errors.Unusable(
            "the file has {count} pages; {limit} are allowed.",
            code="too-many-pages",
            count=count if sniff.is_pdf(data) else f"more than {max_pages}",
            limit=max_pages,
            remedy="Split it, or raise LEGIBLY_MAX_PAGES.",
        )
    return places


def encoded(pixels: Pixels) -> bytes:
    """Encode pixels as a picture file, lossless unless that is large."""
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=4)
    if buffer.tell() * _JPEG_SHARE > picture.width * picture.height:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _slow() -> errors.Unusable:
    return errors.Unusable(
        "the file takes more than {limit} s.",
        code="file-too-slow",
        limit=f"{FILE_SECONDS:g}",
        remedy="Split it, or save its pages as PNG.",
    )


def _page_error(number: int, error: errors.LegiblyError) -> errors.Unusable:
    return errors.Unusable(
        "page {page}: {problem}",
        code=error.code,
        page=number,
        problem=error.message,
        remedy=error.remedy or "Split the file, or save its pages as PNG.",
    )


def _tiff_pages(data: bytes, *, most: int) -> list[int]:
    """The numbers of the TIFF directories that are pages, at most one more than `most`.

    Raises Unusable for a chain so long that it must be an attack.
    """
    places: list[int] = []
    limit = _DIRECTORIES_A_PAGE * most
    for number, is_page in enumerate(_tiff_directories(data)):
        if number >= limit:
            raise errors.Unusable(
                "the TIFF has more than {limit} directories.",
                code="too-many-pages",
                limit=limit,
                remedy="Split it, or save its pages as PNG.",
            )
        if is_page:
            places.append(number)
        if len(places) > most:
            break
    return places


def _tiff_directories(data: bytes) -> Iterator[bool]:
    """Yield whether each directory of a TIFF is a page; stop at a broken or looping chain."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or data[2:4] not in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return
    big = data[2:4] in (b"+\0", b"\0+")
    offsets: set[int] = set()
    try:
        offset = _number(data, 8 if big else 4, order, big)
        while offset and offset not in offsets:
            offsets.add(offset)
            is_page, offset = _directory(data, offset, order, big)
            yield is_page
    except struct.error:
        return


def _number(data: bytes, at: int, order: str, big: bool) -> int:
    return int(struct.unpack_from(order + ("Q" if big else "I"), data, at)[0])


def _directory(data: bytes, offset: int, order: str, big: bool) -> tuple[bool, int]:
    """Whether a directory is a page, and the offset of the next one. Source: TIFF 6.0, 2."""
    head, size = ("Q", 20) if big else ("H", 12)
    (count,) = struct.unpack_from(order + head, data, offset)
    start = offset + struct.calcsize(head)
    end = start + size * count
    following = _number(data, end, order, big)
    for at in range(start, min(end, start + size * 64), size):
        (tag,) = struct.unpack_from(order + "H", data, at)
        if tag == _NEW_SUBFILE_TYPE:
            kind = struct.unpack_from(order + "I", data, at + (12 if big else 8))[0]
            return not kind & _NOT_A_PAGE, following
    return True, following
