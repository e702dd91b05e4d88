"""Limits of a picture, checked on its bytes before decoding: sides, shape, scans and memory."""

import math
import os
import struct
from typing import Any

from legibly import errors

MAX_SIDE = 32_767
"""Largest length of a side in pixels."""
MAX_ASPECT = 400
"""Largest ratio of the sides of a picture, if it is large enough to matter."""
MAX_SCANS = 100
"""Most scans of a progressive JPEG; encoders write about ten, and each costs a full pass."""
PLAIN_PIXELS = 4_000_000
"""Plain PNG and JPEG up to this size are decoded without a child process."""
MEMORY = "LEGIBLY_DECODER_BYTES"
"""The environment variable with the memory limit of a child process."""
memory_bytes = int(os.environ.get(MEMORY, 360_000_000))
"""Memory for decoding one picture, beyond that of an idle child; set by `child_pool`."""
_SHORT_SIDE = 1_000
# Measured peaks in bytes per pixel: these decoders build the full picture several times.
_BYTES_PER_PIXEL = {"image/webp": 18, "image/avif": 14, "image/heic": 10, "image/heif": 10}


def check_size(width: int, height: int, media_type: str, max_pixels: int) -> None:
    """Raise Unusable for too many pixels or too long a side."""
    longer = max(width, height)
    remedy = "Split the picture into parts."
    size: dict[str, Any] = {"width": width, "height": height}
    if longer > MAX_SIDE:
        message = "{width} × {height} pixels: a side may have at most {limit}."
        raise errors.Unusable(message, code="side-too-long", remedy=remedy, limit=MAX_SIDE, **size)
    if longer > _SHORT_SIDE and longer > MAX_ASPECT * min(width, height):
        message = (
            "{width} × {height} pixels: a picture may be at most {limit} times longer than wide."
        )
        raise errors.Unusable(message, code="too-narrow", remedy=remedy, limit=MAX_ASPECT, **size)
    _check_pixels(width, height, media_type, max_pixels)


def _check_pixels(width: int, height: int, media_type: str, max_pixels: int) -> None:
    by_memory = memory_bytes // _BYTES_PER_PIXEL.get(media_type, 1)
    limit = min(max_pixels, by_memory)
    if width * height > limit:
        kind = media_type.removeprefix("image/").upper() if by_memory < max_pixels else ""
        raise errors.Unusable(
            "{width} × {height} is {megapixels} megapixels; the limit{kind} is {limit}.",
            code="too-many-pixels",
            width=width,
            height=height,
            megapixels=f"{width * height / 1e6:.0f}",
            limit=f"{limit / 1e6:.3g}",
            kind=f" of {kind} pictures" if kind else "",
            remedy="Send a smaller picture.",
        )


def check_scans(data: bytes, media_type: str) -> None:
    """Raise Unusable for a JPEG with so many scans that it must be an attack."""
    # Coded data has 0 or a restart marker after each 0xFF, so this marker is a scan.
    if media_type == "image/jpeg" and data.count(b"\xff\xda") > MAX_SCANS:
        raise errors.Unusable(
            "this JPEG has more than {limit} scans.",
            code="too-many-scans",
            limit=MAX_SCANS,
            remedy="Save it again as an ordinary JPEG.",
        )


def check_header(data: bytes, media_type: str, max_pixels: int) -> None:
    """Raise Unusable for what the header alone says is too large, before a decoder takes memory."""
    check_scans(data, media_type)
    size = _size_of_webp(data) if media_type == "image/webp" else None
    if size is not None:
        check_size(*size, media_type, max_pixels)


def _size_of_webp(data: bytes) -> tuple[int, int] | None:
    """Width and height (RFC 9649); its decoder takes memory for all pixels when it is opened."""
    header = data[12:30]
    if len(header) < 18 or not header.startswith((b"VP8 ", b"VP8L", b"VP8X")):
        return None
    if header.startswith(b"VP8X"):
        return _little(header[12:15]) + 1, _little(header[15:18]) + 1
    if header.startswith(b"VP8L"):
        bits = _little(header[9:13])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(header[14:16]) & 0x3FFF, _little(header[16:18]) & 0x3FFF


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def is_plain(data: bytes, media_type: str) -> bool:
    """Whether this is a small 8-bit PNG or baseline JPEG, safe to decode in this process."""
    return media_type in ("image/png", "image/jpeg") and plain_pixels(data) <= PLAIN_PIXELS


def plain_pixels(data: bytes) -> float:
    """The pixels of an 8-bit PNG or baseline JPEG by its header, infinity for others."""
    if data.startswith(b"\x89PNG"):
        return _pixels_of_png(data)
    return _pixels_of_jpeg(data) if data.startswith(b"\xff\xd8") else math.inf


def _pixels_of_png(data: bytes) -> float:
    if len(data) < 33 or data[12:16] != b"IHDR" or b"acTL" in data[:4096]:
        return math.inf
    width, height, depth = struct.unpack_from(">IIB", data, 16)
    interlace = data[28]
    return float(width * height) if depth <= 8 and interlace == 0 else math.inf


def _pixels_of_jpeg(data: bytes) -> float:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return float(width * height) if marker != 0xC2 else math.inf
        if marker == 0xFF:
            position += 1
            continue
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    return math.inf
