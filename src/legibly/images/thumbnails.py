"""Makes small upright copies of pictures: galleries stay fast, and every browser can show HEIC."""

import io
from collections import OrderedDict
from threading import Lock

import PIL.Image

from legibly.images import decode
from legibly.records import Box, Image

SIZES = (96, 192, 640, 1600)
SMALL_BYTES = 16_000
SMALL_SIDE = 320


def is_small(image: Image) -> bool:
    """Whether a page can show the original: a few kilobytes, of a kind that every browser shows."""
    known = image.state == "read" and image.media_type in ("image/png", "image/jpeg", "image/webp")
    has_few_pixels = 0 < max(image.width or 0, image.height or 0) <= SMALL_SIDE
    return known and image.bytes <= SMALL_BYTES and has_few_pixels


def shrink(data: bytes, *, side: int, max_pixels: int) -> bytes:
    """A WebP of at most `side` pixels a side. Raises NotAnImage and Unusable."""
    return _packed(PIL.Image.fromarray(decode.decode(data, max_pixels=max_pixels).pixels), side)


def cut(data: bytes, *, box: Box, margin: float, side: int, max_pixels: int) -> bytes:
    """A WebP of the area `box` (upright pixels); `margin` is a share of its longer side."""
    decoded = decode.decode(data, max_pixels=max_pixels)
    left, top, width, height = (edge / decoded.scale for edge in box)
    border = margin * max(width, height)
    picture = PIL.Image.fromarray(decoded.pixels)
    start = (max(0, left - border), max(0, top - border))
    right = min(picture.width, left + width + border)
    bottom = min(picture.height, top + height + border)
    return _packed(picture.crop((*start, right, bottom)), side)


def _packed(picture: PIL.Image.Image, side: int) -> bytes:
    if max(picture.size) > side:
        picture.thumbnail((side, side), PIL.Image.Resampling.LANCZOS, reducing_gap=2)
    out = io.BytesIO()
    lossless = max(picture.size) <= 300
    picture.save(out, "WEBP", quality=82, method=2, lossless=lossless)
    return out.getvalue()


class ThumbnailCache:
    """The most recently used thumbnails, up to a number of bytes; thread-safe."""

    def __init__(self, *, max_bytes: int = 16_000_000) -> None:
        self._thumbnails: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._lock = Lock()

    def get(self, image: str, side: int) -> bytes | None:
        """A thumbnail from the cache, or None."""
        with self._lock:
            data = self._thumbnails.get((image, side))
            if data is not None:
                self._thumbnails.move_to_end((image, side))
            return data

    def put(self, image: str, side: int, data: bytes) -> None:
        """Add a thumbnail; drops the least recently used ones."""
        with self._lock:
            self._bytes += len(data) - len(self._thumbnails.pop((image, side), b""))
            self._thumbnails[image, side] = data
            while self._bytes > self._max_bytes and self._thumbnails:
                self._bytes -= len(self._thumbnails.popitem(last=False)[1])
