"""Bytes to upright pixels."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import pictures
from legibly import errors
from legibly.images import decode, privacy

LIMIT = 50_000_000


def corner(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """A 120 × 80 picture, white with a dark corner at the top left."""
    image = Image.new("L", (120, 80), 255)
    image.paste(10, (0, 0, 40, 30))
    return pictures.encoded(image.convert(mode), kind, **options)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (corner("PNG"), "image/png"),
        (corner("PNG", "L"), "image/png"),
        (corner("PNG", "1"), "image/png"),
        (corner("PNG", "P"), "image/png"),
        (corner("JPEG"), "image/jpeg"),
        (corner("JPEG", "CMYK"), "image/jpeg"),
        (corner("WEBP"), "image/webp"),
        (corner("AVIF"), "image/avif"),
        (corner("TIFF"), "image/tiff"),
        (corner("TIFF", "CMYK"), "image/tiff"),
        (corner("BMP"), "image/bmp"),
        (corner("GIF", "P"), "image/gif"),
    ],
)
def test_every_format_shows_the_same_picture(data: bytes, media_type: str) -> None:
    """Formats and colour modes differ; the dark corner stays where it is."""
    facts = decode.probe(data, max_pixels=LIMIT)
    assert facts == decode.Facts(media_type, 120, 80)
    picture = decode.decode(data, max_pixels=LIMIT)
    assert picture.facts == facts
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape[:2] == (80, 120)
    grey = picture.pixels.reshape(80, 120, -1).mean(axis=2)
    assert grey[:25, :35].mean() < 40
    assert grey[40:, 60:].mean() > 215


def test_heic_is_read_and_stripped() -> None:
    """An HEIC file, as phones make them, is decoded; camera and place can be taken out, and no
    pixel changes.
    """
    data = (
        Path(__file__).with_name("seven.heic").read_bytes()
    )  # a drawn 7 with EXIF, written by libheif
    picture = decode.decode(data, max_pixels=LIMIT)
    assert picture.facts == decode.Facts("image/heic", 280, 280)
    assert picture.pixels.shape == (280, 280)  # an RGB picture in which nothing has colour
    clean = privacy.strip(data, "image/heic")
    assert (b"Secret Camera" in data, b"Secret Camera" in clean) == (True, False)
    assert np.array_equal(decode.decode(clean, max_pixels=LIMIT).pixels, picture.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(orientation: int) -> None:
    """Whatever way the camera was held, the corner comes out at the top left, and the header says
    so beforehand.
    """
    upright = np.full((80, 120), 255, np.uint8)
    upright[:30, :40] = 10
    undo: dict[int, Callable[[decode.Pixels], decode.Pixels]] = {
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
    }
    undo |= {6: lambda a: np.rot90(a), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}
    turned = undo[orientation](upright) if orientation in undo else upright
    stored = Image.fromarray(np.ascontiguousarray(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pictures.encoded(stored, "JPEG", exif=exif, quality=95)
    facts = decode.probe(data, max_pixels=LIMIT)
    assert (facts.width, facts.height) == (120, 80)
    pixels = decode.decode(data, max_pixels=LIMIT).pixels
    assert pixels.shape == (80, 120)
    assert pixels[:25, :35].mean() < 40
    assert pixels[40:, 60:].mean() > 240


def test_transparency_becomes_paper() -> None:
    """Dark ink on nothing is dark ink on white; white ink on nothing stays to be seen."""
    for ink, dark in (((0, 0, 0, 255), True), ((255, 255, 255, 255), False)):
        image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
        image.paste(ink, (20, 20, 40, 40))
        pixels = decode.decode(pictures.encoded(image), max_pixels=LIMIT).pixels
        inside = pixels[22:38, 22:38].mean()
        outside = pixels[:15, :15].mean()
        assert (inside < 5 and outside > 250) if dark else (inside > 250 and outside < 5)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_png_is_grey_only_if_every_pixel_is_grey_and_opaque(mode: str) -> None:
    """As browsers save a canvas; a single coloured or translucent pixel makes a difference."""
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    picture = Image.fromarray(grey).convert(mode)
    read = decode.decode(pictures.encoded(picture), max_pixels=10_000).pixels
    assert read.tobytes() == grey.tobytes()
    picture.putpixel((6, 4), (9, 8, 9, 255)[: len(mode)])
    assert decode.decode(pictures.encoded(picture), max_pixels=10_000).pixels.shape == (5, 7, 3)
    if mode == "RGBA":
        picture.putpixel((6, 4), (0, 0, 0, 0))
        read = decode.decode(pictures.encoded(picture), max_pixels=10_000).pixels
        assert read[4, 6].min() == 255


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    """The colour behind a palette's transparent entry is not shown."""
    image = Image.new("P", (60, 60), 0)
    image.putpalette([0, 0, 0, 20, 20, 20])
    image.paste(1, (20, 20, 40, 40))
    pixels = decode.decode(pictures.encoded(image, "PNG", transparency=0), max_pixels=LIMIT).pixels
    assert pixels[:10, :10].min() == 255
    assert pixels[25:35, 25:35].max() < 60


@pytest.mark.parametrize("top", [65535, 4095, 1000])
def test_deep_grey_is_scaled_to_eight_bits(top: int) -> None:
    """16-bit pictures, and 12-bit ones in 16, use the whole range."""
    values = np.full((60, 60), top, np.uint16)
    values[20:40, 20:40] = top // 10
    pixels = decode.decode(pictures.encoded(Image.fromarray(values)), max_pixels=LIMIT).pixels
    assert pixels[:10, :10].mean() > (240 if top != 4095 else 10)
    assert pixels[22:38, 22:38].mean() < 0.2 * pixels[:10, :10].mean()


def test_the_first_frame_of_an_animation_counts() -> None:
    """An animated GIF and an animated WebP are read as their first frame."""
    first = pictures.drawing().convert("RGB")
    second = Image.new("RGB", (280, 280), "black")
    for kind in ("GIF", "WEBP", "TIFF"):
        data = pictures.encoded(first, kind, save_all=True, append_images=[second])
        assert decode.decode(data, max_pixels=LIMIT).pixels.mean() > 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_big_pictures_come_reduced(kind: str) -> None:
    """A picture of several megapixels is reduced by a whole factor, told in `scale`; its facts keep
    the true size.
    """
    image = pictures.drawing(size=280).resize((2400, 1800)).convert("RGB")
    picture = decode.decode(pictures.encoded(image, kind), max_pixels=LIMIT)
    assert (picture.facts.width, picture.facts.height) == (2400, 1800)
    height, width = picture.pixels.shape[:2]
    assert height * width >= 0.9 * decode.REDUCED_PIXELS
    assert picture.scale == pytest.approx(2400 / width, rel=0.01)
    assert picture.scale >= 2


def test_long_strips_keep_their_low_side() -> None:
    """Reducing never takes a strip's lower side below what a digit needs."""
    image = Image.new("L", (9000, 70), 255)
    assert decode.decode(pictures.encoded(image), max_pixels=LIMIT).pixels.shape == (70, 9000)


def test_too_many_pixels_are_refused_by_the_header() -> None:
    """900 megapixels in a kilobyte are refused before anything is decoded, by both doors."""
    bomb = pictures.bomb()
    for look in (decode.probe, decode.decode):
        with pytest.raises(errors.Unusable, match="megapixels; the limit is 50"):
            look(bomb, max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("options", "start", "size"),
    [
        ({}, 26, struct.pack("<HH", 6100, 4000)),
        ({"lossless": True}, 21, struct.pack("<I", 6099 | 3999 << 14)),
        ({"exif": b"Exif"}, 24, struct.pack("<I", 6099)[:3] + struct.pack("<I", 3999)[:3]),
    ],
)
def test_a_webp_of_too_much_memory_is_refused_by_its_header(
    options: dict[str, Any], start: int, size: bytes
) -> None:
    """Its decoder takes memory for all pixels at once: it is too large, and not damaged."""
    data = pictures.encoded(Image.new("RGB", (30, 20)), "WEBP", **options)
    assert decode.probe(data, max_pixels=LIMIT).width == 30
    with pytest.raises(errors.Unusable, match="limit of WEBP"):
        decode.decode(data[:start] + size + data[start + len(size) :], max_pixels=LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_pictures_are_unusable(kind: str, share: float) -> None:
    """A file that broke off is refused with that word, at whatever place it broke."""
    noise = np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)
    data = pictures.encoded(Image.fromarray(noise), kind)
    with pytest.raises(errors.Unusable):
        decode.decode(data[: int(share * len(data))], max_pixels=LIMIT)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("7.png", b"")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file"),
        (b"name,label\n7,7\n", "text"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (_zip(), "a ZIP archive"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "a video"),
        (b"BM is how this text begins, no bitmap", "text"),
        (bytes(range(1, 200)), "an unknown kind of file"),
    ],
)
def test_other_files_are_named_with_a_remedy(data: bytes, kind: str) -> None:
    """What is no picture is called by its name, and the message says what to do."""
    for look in (decode.probe, decode.decode):
        with pytest.raises(errors.NotAnImage, match=kind) as raised:
            look(data, max_pixels=LIMIT)
        assert raised.value.remedy


def test_colour_profiles_do_not_hurt() -> None:
    """A picture with an embedded colour profile is read like any other."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = pictures.encoded(pictures.drawing().convert("RGB"), "JPEG", icc_profile=profile)
    assert decode.decode(data, max_pixels=LIMIT).pixels.shape[:2] == (280, 280)
