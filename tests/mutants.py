"""Small picture files of every format, and how to break them."""

import random

from PIL import Image

import pictures

HEADS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF\x00\x01\x00\x00WEBPVP8 ",
    b"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00",
    b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf",
]


def files() -> list[bytes]:
    """Sound files of every format that can be written here, each some kilobytes."""
    drawing = pictures.drawing().resize((96, 80))
    colour = drawing.convert("RGB")
    deep = Image.new("I;16", (40, 40), 30000)
    exif = Image.Exif()
    exif[0x0112] = 6
    result = [
        pictures.encoded(drawing),
        pictures.encoded(colour.convert("P")),
        pictures.encoded(colour.convert("RGBA")),
        pictures.encoded(deep),
        pictures.encoded(colour, "JPEG", exif=exif),
        pictures.encoded(colour, "JPEG", progressive=True),
        pictures.encoded(colour.convert("CMYK"), "JPEG"),
        pictures.encoded(colour, "WEBP"),
        pictures.encoded(colour, "WEBP", lossless=True),
        pictures.encoded(colour, "GIF", save_all=True, append_images=[colour]),
        pictures.encoded(colour, "BMP"),
        pictures.encoded(colour, "AVIF"),
    ]
    result += [
        pictures.encoded(colour, "TIFF", compression=how)
        for how in ("raw", "tiff_lzw", "jpeg", "tiff_deflate")
    ]
    return result


def mutate(data: bytes, rng: random.Random) -> bytes:
    """The same file, broken at one to eight places; half of the time near its head, where sizes and
    kinds stand.
    """
    broken = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not broken:
            break
        at = rng.randrange(min(len(broken), 200 if rng.random() < 0.5 else len(broken)))
        how = rng.randrange(5)
        if how == 0:
            broken[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            broken[at] = rng.choice((0, 1, 127, 128, 255))
        elif how == 2:
            del broken[at : at + rng.randint(1, 40)]
        elif how == 3:
            broken[at:at] = broken[at : at + rng.randint(1, 40)]
        else:
            broken[at : at + 4] = rng.randbytes(4)
    return bytes(broken[: rng.randrange(len(broken) + 1)] if rng.random() < 0.1 else broken)
