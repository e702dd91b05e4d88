"""Pictures lose what tells of their makers, and nothing else."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import pictures
from legibly.images import decode, privacy

SECRETS = (b"Secret Camera", b"2026:11:22 10:00:00", b"a private comment")


def _exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secret Camera"
    exif[0x0132] = "2026:11:22 10:00:00"
    exif.get_ifd(0x8769)[0x9286] = b"a private comment"
    exif.get_ifd(0x8825)[2] = (47.0, 22.0, 1.5)
    return exif


def _png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a private comment")
    return pictures.encoded(pictures.drawing(), "PNG", exif=_exif(), pnginfo=text)


FILES = {
    "image/jpeg": pictures.encoded(
        pictures.drawing(), "JPEG", exif=_exif(), comment=b"a private comment"
    ),
    "image/png": _png(),
    "image/webp": pictures.encoded(
        pictures.drawing().convert("RGB"), "WEBP", exif=_exif(), lossless=True
    ),
    "image/tiff": pictures.encoded(
        pictures.drawing(), "TIFF", exif=_exif(), description="a private comment"
    ),
    "image/avif": pictures.encoded(
        pictures.drawing().convert("RGB"), "AVIF", exif=_exif(orientation=1)
    ),
}


@pytest.mark.parametrize("media_type", FILES)
def test_nothing_private_stays_and_every_pixel_does(media_type: str) -> None:
    """Camera, time, comment and place are gone; the upright picture is the same to the pixel."""
    data = FILES[media_type]
    assert any(secret in data for secret in SECRETS)
    clean = privacy.strip(data, media_type)
    assert not any(secret in clean for secret in SECRETS)
    with Image.open(io.BytesIO(clean)) as opened:
        place = opened.getexif().get_ifd(0x8825)
    assert not any(
        np.nan_to_num(np.asarray(value, dtype=float)).any() for value in place.values()
    )  # blanked: 0/0
    before, after = (decode.decode(d, max_pixels=10**6) for d in (data, clean))
    assert before.facts == after.facts
    assert np.array_equal(before.pixels, after.pixels)


@pytest.mark.parametrize("media_type", FILES)
def test_stripping_twice_changes_nothing_more(media_type: str) -> None:
    """A clean file stays as it is."""
    once = privacy.strip(FILES[media_type], media_type)
    assert privacy.strip(once, media_type) == once


@pytest.mark.parametrize("media_type", FILES)
def test_torn_files_are_no_crash(media_type: str) -> None:
    """Any beginning of a file comes back as some bytes."""
    data = FILES[media_type]
    for length in range(0, min(len(data), 2000), 7):
        assert isinstance(privacy.strip(data[:length], media_type), bytes)


def test_a_picture_without_metadata_is_the_same_bytes() -> None:
    """What holds nothing private is stored as it came."""
    assert privacy.strip(pictures.png(), "image/png") == pictures.png()
