"""Removes place, time, camera and comments from a picture file, without changing a pixel.

JPEG, PNG and WebP lose their metadata segments; only the orientation is written back, and colour
profiles stay. In HEIC, AVIF and TIFF, whose parts refer to offsets, private entries are blanked in
place. Source: JPEG segments ITU T.81 annex B; PNG third edition, 11.3; WebP RFC 9649; EXIF 2.32,
4.6.
"""

import struct
import zlib
from collections.abc import Iterator

_ORIENTATION = 0x0112
_PRIVATE_PNG = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_EXIF = b"Exif\0\0"
# Entries that describe pixels; all others with a text or a value above four bytes are blanked.
_ASCII = 2
_GPS = 0x8825
_EXIF_IFD = 0x8769
_MAKER_NOTE = 0x927C
_USER_COMMENT = 0x9286
_XP_FIRST = 0x9C9B
_XP_LAST = 0x9C9F
_XMP = 0x02BC
_IPTC = 0x83BB
_PHOTOSHOP = 0x8649
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def strip(data: bytes, media_type: str) -> bytes:
    """The same picture without private metadata; a file that cannot be parsed, unchanged."""
    try:
        if media_type == "image/jpeg":
            return _jpeg(data)
        if media_type == "image/png":
            return _png(data)
        if media_type == "image/webp":
            return _webp(data)
        if media_type == "image/tiff":
            return _blanked(data, [0])
        if media_type in ("image/heic", "image/heif", "image/avif"):
            return _blanked(data, _tiff_headers(data))
    except (struct.error, IndexError):
        return data
    return data


def _jpeg(data: bytes) -> bytes:
    parts = [data[:2]]
    orientation = 1
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:  # the picture data: everything after it stays
            break
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:  # padding, markers without a length
            length = 1 + (marker != 0xFF)
            parts.append(data[position : position + length])
            position += length
            continue
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        body = data[position + 4 : end]
        if marker == 0xE1 and body.startswith(_EXIF):
            orientation = _orientation(body[len(_EXIF) :])
        if marker not in (0xE1, 0xED, 0xFE):  # EXIF and XMP, IPTC, comments
            parts.append(data[position:end])
        position = end
    if orientation != 1:
        exif = _EXIF + _only(orientation)
        parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    return b"".join(parts) + data[position:]


def _png(data: bytes) -> bytes:
    parts = []
    orientation = 1
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind == b"eXIf":
            orientation = _orientation(data[position + 8 : position + 8 + length])
        if kind not in _PRIVATE_PNG:
            parts.append(data[position:end])
        position = end
    if orientation != 1 and parts:
        body = b"eXIf" + _only(orientation)
        parts.insert(
            1, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        )
    return data[:8] + b"".join(parts) + data[position:]


def _webp(data: bytes) -> bytes:
    parts = []
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        body = data[position + 8 : position + 8 + length]
        if kind == b"EXIF":
            exif = _only(_orientation(body.removeprefix(_EXIF)))
            parts.append(struct.pack("<4sI", b"EXIF", len(exif)) + exif)
        elif kind == b"VP8X" and body:
            flags = bytes([body[0] & ~0x04])  # without that of XMP
            parts.append(data[position : position + 8] + flags + body[1:])
        elif kind != b"XMP ":
            parts.append(data[position:end])
        position = end
    content = b"WEBP" + b"".join(parts) + data[position:]
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _only(orientation: int) -> bytes:
    """An EXIF block that holds only an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", _ORIENTATION, 3, 1, orientation, 0, 0)


def _orientation(tiff: bytes) -> int:
    """The orientation in an EXIF block, 1 (upright) without one."""
    try:
        order = _byte_order(tiff, 0)
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        for tag, _kind, _count, at in _entries(tiff, offset, order):
            if tag == _ORIENTATION:
                value = int(struct.unpack_from(order + "H", tiff, at)[0])
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _byte_order(data: bytes, start: int) -> str:
    return "<" if data[start : start + 2] == b"II" else ">"


def _entries(data: bytes, offset: int, order: str) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and position of the value field of each entry of one directory."""
    (count,) = struct.unpack_from(order + "H", data, offset)
    for number in range(count):
        at = offset + 2 + 12 * number
        tag, kind, length = struct.unpack_from(order + "HHI", data, at)
        yield tag, kind, length, at + 8


def _tiff_headers(data: bytes) -> list[int]:
    """The offsets of EXIF blocks in a file whose boxes are not parsed."""
    offsets = []
    position = data.find(_EXIF)
    while position >= 0:
        if data[position + 6 : position + 10] in (b"II*\0", b"MM\0*"):
            offsets.append(position + 6)
        position = data.find(_EXIF, position + 1)
    return offsets


def _blanked(data: bytes, starts: list[int]) -> bytes:
    changed = bytearray(data)
    for start in starts:
        order = _byte_order(data, start)
        _blank_directory(changed, start, struct.unpack_from(order + "I", data, start + 4)[0], order)
    return bytes(changed)


def _blank_directory(
    data: bytearray, start: int, offset: int, order: str, *, everything: bool = False
) -> None:
    block = bytes(memoryview(data)[start:])
    for tag, kind, count, at in _entries(block, offset, order):
        size = _SIZES.get(kind, 1) * count
        value = start + (at if size <= 4 else struct.unpack_from(order + "I", block, at)[0])
        if tag in (_GPS, _EXIF_IFD):
            within = struct.unpack_from(order + "I", block, at)[0]
            _blank_directory(data, start, within, order, everything=tag == _GPS)
        elif everything or _is_private(tag, kind):
            end = min(value + size, len(data))
            data[value:end] = bytes(max(0, end - value))


def _is_private(tag: int, kind: int) -> bool:
    named = tag in (_MAKER_NOTE, _USER_COMMENT, _XMP, _IPTC, _PHOTOSHOP)
    return named or kind == _ASCII or _XP_FIRST <= tag <= _XP_LAST
