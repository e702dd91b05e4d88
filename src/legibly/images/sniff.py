"""Recognises the kind of a file by its first bytes: no decoder gets a kind that we do not read."""

from legibly import errors

FORMATS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
    "image/tiff": ("TIFF",),
    "image/avif": ("AVIF",),
    "image/heic": (),
    "image/heif": (),
}
"""Supported media types, with Pillow's names of their decoders."""

READABLE = "PNG, JPEG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
OTHERS = (
    (
        b"%PDF",
        "a PDF document",
        "Upload it or read it with `legibly classify`, so that each page becomes a picture.",
    ),
    (
        b"PK\x03\x04",
        "a ZIP archive (or an office document)",
        "Unpack it and send the pictures inside.",
    ),
    (b"PK\x05\x06", "an empty ZIP archive", "Send the pictures themselves."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and send the pictures inside."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and send the pictures inside."),
    (b"Rar!", "a RAR archive", "Unpack it and send the pictures inside."),
    (b"8BPS", "a Photoshop document", "Export it as PNG."),
    (b"\xff\x0a", "a JPEG XL picture", "Save it as PNG or JPEG."),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", "Save it as PNG or JPEG."),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", "Save it as PNG or JPEG."),
    (b"\x00\x00\x01\x00", "an icon file", "Save it as PNG."),
    (b"\x1aE\xdf\xa3", "a video", "Send a single frame as PNG or JPEG."),
    (b"\x7fELF", "a program", "Send a picture."),
    (b"MZ", "a program", "Send a picture."),
)


def media_type(data: bytes) -> str:
    """The media type of a supported picture by its first bytes, regardless of its name.

    Raises NotAnImage, saying what the bytes seem to be and what to do.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    # The magic of BMP has only two letters, so its header's size is checked too.
    if data[:2] == b"BM" and len(data) >= 26 and data[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        media_type = _by_brand(data)
        if media_type:
            return media_type
    kind, remedy = _describe(data)
    raise errors.NotAnImage(
        "this is {kind}, not a picture that can be read.", remedy=remedy, kind=kind
    )


_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)}


def is_pdf(data: bytes) -> bool:
    """Whether these bytes are a PDF; some programs write blanks or a byte order mark before it."""
    return data[:64].lstrip(b"\xef\xbb\xbf\0 \t\r\n").startswith(b"%PDF")


def _by_brand(data: bytes) -> str | None:
    """The kind of an ISO base media file (HEIC, AVIF, video …) by its brands."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, size, 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "image/avif"
    if brands[0] in _HEIC_BRANDS:
        return "image/heic"
    if any(brand in (b"mif1", b"msf1") or brand in _HEIC_BRANDS for brand in brands):
        return "image/heif"
    return None


def _describe(data: bytes) -> tuple[str, str]:
    """Describe other bytes to a person, and what to do."""
    send = f"Send {READABLE}."
    if not data:
        return "an empty file", send
    for magic, kind, remedy in OTHERS:
        if data.startswith(magic):
            return kind, remedy
    if data[4:8] == b"ftyp":
        return "a video", "Send a single frame as PNG or JPEG."
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "an SVG drawing", "Export it as PNG."
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page", "Save the picture itself and send that."
    if _is_text(data[:1024]):
        return "text", send
    return "an unknown kind of file", send


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t" for character in text)
