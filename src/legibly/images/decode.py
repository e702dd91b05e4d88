"""Decodes bytes safely: plain small pictures here, all others in an expendable child process.

A decoder that crashes, hangs or wants too much memory ends its child, and only that one picture
fails.
"""

from legibly.images import child_pool, limits, raster, sniff
from legibly.images.raster import REDUCED_PIXELS, Facts, Picture, Pixels

__all__ = ["REDUCED_PIXELS", "Facts", "Picture", "Pixels", "decode", "probe"]

_HEADER_CHILD = ("image/heic", "image/heif", "image/avif", "image/tiff")
"""Kinds whose header parser has crashed on broken bytes."""


def probe(data: bytes, *, max_pixels: int) -> Facts:
    """Return kind and size from the header alone.

    Raises NotAnImage for other kinds of bytes, Unusable for a broken header, a missing end, or
    more pixels, sides or scans than the limits allow.
    """
    if sniff.media_type(data) in _HEADER_CHILD:
        return child_pool.shared().probe(data, max_pixels=max_pixels)
    return raster.probe(data, max_pixels=max_pixels)


def decode(data: bytes, *, max_pixels: int, enough_pixels: int = REDUCED_PIXELS) -> Picture:
    """Decode the first frame: upright, alpha laid on white, at most 8 bits a channel.

    The picture is reduced by the largest of 1, 2, 3, … that leaves `enough_pixels`. Raises
    NotAnImage for other kinds of bytes, Unusable for broken, truncated or too large pictures.
    """
    if limits.is_plain(data, sniff.media_type(data)):
        return raster.decode(data, max_pixels=max_pixels, enough_pixels=enough_pixels)
    return child_pool.shared().decode(data, max_pixels=max_pixels, enough_pixels=enough_pixels)
