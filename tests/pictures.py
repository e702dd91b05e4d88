"""Pictures that tests draw themselves."""

import io
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SEVEN = [(60, 60), (200, 60), (120, 230)]
ZERO = [
    (140, 50),
    (190, 90),
    (195, 150),
    (180, 210),
    (140, 235),
    (95, 210),
    (80, 150),
    (90, 90),
    (140, 50),
]
ONE = [(140, 50), (140, 235)]


def drawing(
    stroke: list[tuple[int, int]] = SEVEN, *, size: int = 280, width: int = 18
) -> Image.Image:
    """One digit drawn with a thick dark pen on white, as on the canvas of the web app."""
    picture = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(picture)
    draw.line(stroke, fill=20, width=width, joint="curve")
    for x, y in stroke:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=20)
    return picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(stroke: list[tuple[int, int]] = SEVEN) -> bytes:
    """The PNG file of one drawn digit."""
    return encoded(drawing(stroke))


def grey_photo() -> bytes:
    """The same 7 as a dim photo: grey paper, a shadow across it, soft dark ink."""
    ink = 1 - np.asarray(drawing().resize((420, 420)), dtype=np.float32) / 255
    shadow = np.linspace(0.75, 0.45, 420, dtype=np.float32)[None, :]
    values = shadow * (1 - 0.6 * ink) * 255
    return encoded(Image.fromarray(values.astype(np.uint8)), "JPEG", quality=85)


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few hundred bytes of header that claims `side` × `side` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        )

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def pages(kind: str, strokes: list[list[tuple[int, int]]]) -> bytes:
    """A PDF or TIFF file with a drawn digit on each page."""
    first, *others = (drawing(stroke) for stroke in strokes)
    options: dict[str, Any] = {"resolution": 100} if kind == "PDF" else {"compression": "tiff_lzw"}
    return encoded(first, kind, save_all=True, append_images=others, **options)
