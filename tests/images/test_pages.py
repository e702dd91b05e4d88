"""Files with pages: PDF and TIFF."""

import io
import struct
import time
import zlib

import pypdfium2
import pytest
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

import pictures
from legibly import errors
from legibly.images import decode, pages
from legibly.packs import pack, registry
from legibly.vision.reading import Reader

LIMIT = 50_000_000


def split(data: bytes, *, max_pages: int = 50, max_pixels: int = LIMIT) -> list[bytes]:
    return list(pages.pages(data, max_pages=max_pages, max_pixels=max_pixels))


def darkness(data: bytes) -> list[bool]:
    """Which halves of a page are dark, left and right."""
    pixels = decode.decode(data, max_pixels=LIMIT).pixels
    grey = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
    half = grey.shape[1] // 2
    return [bool(side.mean() < 128) for side in (grey[:, :half], grey[:, half:])]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PDF", {}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("TIFF", {"compression": "group4"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_each_page_is_a_picture(kind: str, options: dict[str, object]) -> None:
    """In order and upright, whichever kind of file holds them."""
    left = Image.new("1", (200, 100), 1)
    left.paste(0, (0, 0, 100, 100))
    data = pictures.encoded(
        left,
        kind,
        save_all=True,
        append_images=[left.transpose(Image.Transpose.ROTATE_180)],
        **options,
    )
    assert pages.has_pages(data)
    assert [darkness(page) for page in split(data)] == [[True, False], [False, True]]


def test_a_picture_has_no_pages() -> None:
    """It passes as it is: PNG, animated GIF, and a TIFF with one page and its thumbnail."""
    picture = pictures.drawing()
    animated = pictures.encoded(picture, "GIF", save_all=True, append_images=[picture])
    thumbnail = pictures.encoded(picture.resize((64, 64)), "TIFF", tiffinfo={254: 1})
    for data in (pictures.png(), animated, pictures.encoded(picture, "TIFF"), thumbnail):
        assert not pages.has_pages(data)
        assert split(data) == [data]


def test_the_pages_of_a_tiff_are_not_read_as_one_picture() -> None:
    """Where one picture is asked for, as of an object in a bucket, a file of several pages is
    refused rather than read as its first page.
    """
    picture = pictures.drawing()
    data = pictures.encoded(picture, "TIFF", save_all=True, append_images=[picture])
    with pytest.raises(errors.Unusable, match="several pages"):
        Reader(pack.open_pack(registry.find("digits"))).read(data)


def test_a_reduced_copy_in_a_tiff_is_no_page() -> None:
    """Two pages with a thumbnail between them are two pages."""
    buffer = io.BytesIO()
    picture = pictures.drawing()
    with AppendingTiffWriter(buffer, new=True) as writer:
        for kind in (0, 1, 0):
            picture.save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    assert len(split(buffer.getvalue())) == 2


def test_a_pdf_page_has_200_dots_an_inch_or_fewer_where_it_is_large() -> None:
    """A4 is 1,653 wide; a poster stays below the limit on pixels of a page."""
    document = pypdfium2.PdfDocument.new()
    for size in ((595.2, 841.8), (5000, 4000)):
        document.new_page(*size)
    buffer = io.BytesIO()
    document.save(buffer)
    sheet, poster = (decode.probe(page, max_pixels=LIMIT) for page in split(buffer.getvalue()))
    assert abs(sheet.width - 1653) <= 1
    assert 7_900_000 < poster.width * poster.height < 8_100_000


def many_pages(count: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(count):
        document.new_page(72, 72)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def thousand_directories() -> bytes:
    """A TIFF whose chain of empty directories goes on and on."""
    body = b"".join(
        struct.pack("<HI", 0, 8 + 6 * (number + 1) if number < 999 else 0) for number in range(1000)
    )
    return b"II*\0" + struct.pack("<I", 8) + body


LOCKED = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\n"
    b"4 0 obj<</Filter/Standard/V 1/R 2/P -4/O<"
    + b"41" * 32
    + b">/U<"
    + b"42" * 32
    + b">>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]>>\n%%EOF"
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (many_pages(500), "too-many-pages"),
        (thousand_directories(), "too-many-pages"),
        (LOCKED, "pdf-password"),
        (b"%PDF-1.7\nnothing follows", "damaged"),
        (many_pages(3)[:200], "damaged"),
    ],
)
def test_what_cannot_be_used_is_named_at_once(data: bytes, code: str) -> None:
    """500 pages, a thousand directories, a password, a broken file: a named error with a remedy."""
    began = time.monotonic()
    with pytest.raises(errors.Unusable) as caught:
        split(data)
    assert caught.value.code == code
    assert caught.value.remedy
    assert time.monotonic() - began < 10


def test_the_chain_of_a_tiff_may_bite_its_tail() -> None:
    """It ends there, and is no file with pages."""
    data = b"II*\0" + struct.pack("<IHI", 8, 0, 8)
    assert not pages.has_pages(data)


def test_a_bad_page_is_named_by_its_number() -> None:
    """The second page has too many pixels; the first comes before the error."""
    small = Image.new("L", (100, 100), 255)
    large = Image.new("L", (2000, 2000), 255)
    data = pictures.encoded(
        small, "TIFF", save_all=True, append_images=[large], compression="tiff_deflate"
    )
    drawn = pages.pages(data, max_pages=5, max_pixels=1_000_000)
    assert next(drawn)
    with pytest.raises(errors.Unusable, match=r"page 2: 2000 × 2000 is 4 megapixels"):
        next(drawn)


def pdf_bomb(side: int = 30_000) -> bytes:
    """A page with an image that unpacks to `side` × `side` bytes."""
    packer = zlib.compressobj(9)
    head = packer.compress(bytes(side)) + packer.flush(zlib.Z_FULL_FLUSH)
    row = packer.compress(bytes(side)) + packer.flush(zlib.Z_FULL_FLUSH)
    rows = head + row * (side - 1)
    image = (
        f"<</Type/XObject/Subtype/Image/Width {side}/Height {side}/ColorSpace/DeviceGray"
        f"/BitsPerComponent 8/Filter/FlateDecode/Length {len(rows)}>>stream\n"
    )
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 5 0 R/Resources 6 0 R>>",
        image.encode() + rows + b"\nendstream",
        b"<</Length 22>>stream\n72 0 0 72 0 0 cm /I Do\nendstream",
        b"<</XObject<</I 4 0 R>>>>",
    ]
    objects = [b"%d 0 obj%s endobj\n" % (number, part) for number, part in enumerate(parts, 1)]
    return b"%PDF-1.4\n" + b"".join(objects) + b"trailer<</Root 1 0 R>>\n%%EOF"


def test_a_bomb_in_a_pdf_costs_little() -> None:
    """An image that unpacks to 900 MB is drawn row by row, in a child that may take 360 MB."""
    (page,) = split(pdf_bomb())
    assert decode.probe(page, max_pixels=LIMIT).width == 200
