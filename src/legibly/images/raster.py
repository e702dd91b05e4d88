"""Decodes in this process: the kind and size of a picture, and its upright pixels.

The pixel limit is checked on the header before decoding. Large pictures are reduced by an integer
factor, since reading needs a few megapixels, not fifty.
"""

import importlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from legibly import errors
from legibly.images import limits, sniff, truncation

Pixels = NDArray[np.uint8]

# Importing a plugin registers it; with these `Image.open` does not try the forty others.
for _kind in ("Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP"):
    importlib.import_module(f"PIL.{_kind}ImagePlugin")
REDUCED_PIXELS = 700_000
"""A picture is never reduced below this many pixels."""
REDUCED_SIDE = 64
"""Nor is a side reduced below this: a strip of digits may be long and narrow."""

# We check our own pixel limit before decoding; Pillow's would only warn on standard error.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of odd metadata, which is not needed.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts in a header; `width` and `height` are those of the upright picture, in pixels."""

    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright: `pixels` is (H, W) grey or (H, W, 3) RGB, uint8.

    `scale` is original pixels per decoded pixel, 1 unless a big picture was reduced.
    """

    pixels: Pixels
    scale: float
    facts: Facts


def probe(data: bytes, *, max_pixels: int) -> Facts:
    """Return kind and size from the header alone.

    Raises NotAnImage for other kinds of bytes, Unusable for a broken header, a missing end or more
    than `max_pixels` pixels.
    """
    media_type = sniff.media_type(data)
    limits.check_header(data, media_type, max_pixels)
    image = _open(data, media_type)
    try:
        facts = _facts(image, media_type, max_pixels)
        truncation.check(data, media_type)
    except MemoryError:
        raise
    except Exception as error:  # as in `decode`
        raise _broken(media_type, error) from error
    return facts


def decode(
    data: bytes, *, max_pixels: int, enough_pixels: int = REDUCED_PIXELS, frame: int = 0
) -> Picture:
    """Decode one frame: upright, alpha laid on white, at most 8 bits a channel.

    The picture is reduced by the largest of 1, 2, 3, … that leaves `enough_pixels`. Raises
    NotAnImage for other kinds of bytes, Unusable for broken, truncated or too large pictures.
    """
    media_type = sniff.media_type(data)
    limits.check_header(data, media_type, max_pixels)
    image = _open(data, media_type)
    try:
        if frame:
            image.seek(frame)
        facts = _facts(image, media_type, max_pixels)
        pixels = _pixels(image, facts, enough_pixels)
    except MemoryError:
        raise
    except Exception as error:  # broken bytes make decoders raise all kinds of errors
        raise _broken(media_type, error) from error
    scale = max(facts.width / pixels.shape[1], facts.height / pixels.shape[0])
    return Picture(pixels, scale, facts)


def _open(data: bytes, media_type: str) -> Image.Image:
    """A lazy image, of which only the header has been read."""
    try:
        if media_type in ("image/heic", "image/heif"):
            import pi_heif  # takes 20 ms, needed for HEIC only

            return pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)  # type: ignore[no-any-return]
        return Image.open(io.BytesIO(data), formats=sniff.FORMATS[media_type])
    except MemoryError:
        raise
    except Exception as error:  # the same
        raise _broken(media_type, error) from error


def _broken(media_type: str, error: Exception) -> errors.LegiblyError:
    kind = media_type.removeprefix("image/").upper()
    if isinstance(error, errors.LegiblyError):
        return error
    return errors.Unusable(
        "the {kind} picture is truncated or damaged.",
        code="damaged",
        remedy="Send it again, or save a new copy.",
        kind=kind,
    )


def _facts(image: Image.Image, media_type: str, max_pixels: int) -> Facts:
    width, height = image.size
    if width < 1 or height < 1:
        raise _broken(media_type, ValueError("no pixels"))
    limits.check_size(width, height, media_type, max_pixels)
    if _orientation(image) >= 5:  # it lies on its side
        return Facts(media_type, height, width)
    return Facts(media_type, width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 … 8; upright for HEIF, since its decoders turn the picture themselves."""
    if not isinstance(image, Image.Image):
        return 1
    # Pillow turns a TIFF itself when its pixels are loaded.
    if image.format == "TIFF":
        return 1
    # For a PNG Pillow would decode all pixels to look for EXIF behind them.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF must not make a picture unreadable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pixels(image: Image.Image, facts: Facts, enough_pixels: int) -> Pixels:
    orientation = _orientation(image)
    factor = _reduction(image.size, enough_pixels)
    if not isinstance(image, Image.Image):
        image = image.to_pillow()
    elif isinstance(image, ImageFile.ImageFile) and facts.media_type == "image/jpeg" and factor > 1:
        # libjpeg scales by 1/2, 1/4, 1/8 while decoding, in a third of the time.
        power = 8 if factor >= 8 else 4 if factor >= 4 else 2
        full = image.size
        image.draft(None, (full[0] // power, full[1] // power))
        factor = 1 if image.size != full else factor
    image.load()
    if facts.media_type == "image/png" and factor == orientation == 1:
        grey = _colourless(image)
        if grey is not None:
            return grey
    if factor > 1 and image.mode in ("I;16", "I", "F", "I;16B"):
        image = Image.fromarray(_to_eight_bits(_reduced(image, factor)))
        factor = 1
    if factor > 1 and image.mode not in ("P", "1", "I;16", "I", "F", "PA", "I;16B"):
        image = image.reduce(factor)
        factor = 1
    flat = _flatten(image)
    if factor > 1:
        flat = flat.reduce(factor)
    if orientation != 1:
        flat = flat.transpose(_TURNS[orientation])
    return grey_if_colourless(np.asarray(flat))


def _colourless(image: Image.Image) -> Pixels | None:
    """The grey of an opaque picture that has three equal channels, as browsers save a canvas."""
    if image.mode not in ("RGB", "RGBA") or "transparency" in image.info:
        return None
    layout = "RGBX" if image.mode == "RGB" else "RGBA"
    channels = np.frombuffer(image.tobytes("raw", layout), np.uint8).reshape(-1, 4)
    if image.mode == "RGBA" and channels[0, 3] != 255:
        return None
    grey = np.ascontiguousarray(channels[:, 1])
    # The four channels of a pixel are compared as one number.
    equal = grey.astype("<u4") * np.uint32(0x010101)
    together = channels.view("<u4")[:, 0]
    if image.mode == "RGB":
        together = together & np.uint32(0xFFFFFF)
    else:
        equal |= np.uint32(0xFF000000)
    return grey.reshape(image.height, image.width) if (equal == together).all() else None


def grey_if_colourless(pixels: Pixels) -> Pixels:
    """RGB without colour as one channel, which is read in half the time; others unchanged."""
    for part in (pixels[::64], pixels):  # most colour pictures have colour in the first rows
        if part.ndim == 2 or (part[:, :, :2] != part[:, :, 1:]).any():
            return pixels
    return np.ascontiguousarray(pixels[:, :, 1])


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _reduction(size: tuple[int, int], enough_pixels: int) -> int:
    """The largest integer factor that leaves enough pixels, and enough of the shorter side."""
    width, height = size
    by_area = int((width * height / enough_pixels) ** 0.5)
    return max(1, min(by_area, min(width, height) // REDUCED_SIDE))


def _flatten(image: Image.Image) -> Image.Image:
    """Convert any mode to L or RGB, with alpha laid on white."""
    if image.mode in ("L", "RGB"):
        if "transparency" not in image.info:
            return image
        image = image.convert("RGBA")
    if image.mode in ("1", "CMYK", "YCbCr", "RGBX", "HSV", "LAB"):
        return image.convert("L" if image.mode == "1" else "RGB")
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_eight_bits(np.asarray(image)))
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    return _on_paper(image.convert("RGBA"))


def _reduced(image: Image.Image, factor: int) -> NDArray[np.float32]:
    """The block means of a deep picture, in strips to avoid four copies of the whole."""
    columns = image.width // factor
    rows = image.height // factor
    result = np.empty((rows, columns), np.float32)
    for row in range(rows):
        strip = image.crop((0, row * factor, columns * factor, (row + 1) * factor))
        blocks = np.nan_to_num(np.asarray(strip)).reshape(factor, columns, factor)
        result[row] = blocks.mean(axis=(0, 2), dtype=np.float32)
    return result


def _to_eight_bits(values: NDArray[np.generic]) -> Pixels:
    """Scale deep or floating-point grey to 0 … 255, by its own range if that is small."""
    deep = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=65535.0, neginf=0.0)
    low = min(float(deep.min()), 0.0)
    high = float(deep.max())
    if 4096 <= high <= 65535:
        high = 65535.0
    return ((deep - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8)


def _on_paper(image: Image.Image) -> Image.Image:
    """Lay a picture with alpha on white, or on black if it is itself nearly white."""
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB")
    weight = np.asarray(alpha, np.float32)
    grey = np.asarray(image.convert("L"), np.float32)
    shown = float((grey * weight).sum() / max(float(weight.sum()), 1.0))
    light = shown > 215 and float(weight.mean()) < 128
    paper = Image.new("RGB", image.size, (0, 0, 0) if light else (255, 255, 255))
    paper.paste(image.convert("RGB"), mask=alpha)
    return paper
