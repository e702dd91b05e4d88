"""Detects a file that ends too early, without decoding it, to refuse a broken upload at once."""

import struct

from legibly.errors import Unusable


def check(data: bytes, media_type: str) -> None:
    """Raise Unusable if the end of a JPEG, PNG or WebP is missing; other kinds fail in decoding."""
    look = {"image/jpeg": _jpeg_ends, "image/png": _png_ends, "image/webp": _webp_ends}.get(
        media_type
    )
    if look is not None and not look(data):
        raise Unusable(
            "the picture is truncated: its end is missing.",
            code="truncated",
            remedy="Send the whole file again.",
        )


def _jpeg_ends(data: bytes) -> bool:
    # The end marker cannot occur within coded data, but previews in earlier segments have one.
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0xDA:
            return data.find(b"\xff\xd9", position) >= 0
        filling = data[position + 1] == 0xFF
        position += 1 if filling else 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    return False


def _png_ends(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return True
        position += 12 + length
    return False


def _webp_ends(data: bytes) -> bool:
    return len(data) >= 8 + int(struct.unpack_from("<I", data, 4)[0])
