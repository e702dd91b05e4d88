"""Whatever bytes are sent: the contract's status or a sensible reading, never a 500, and the next
request works.
"""

import io
import re
import struct
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

import pictures

PNG = pictures.png()
JPEG = pictures.encoded(pictures.drawing(), "JPEG", quality=90)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
ZIP = b"PK\x03\x04" + bytes(60)


def _sideways() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by a quarter to see it upright
    return pictures.encoded(pictures.drawing().rotate(90), "JPEG", exif=exif)


def _palette() -> bytes:
    picture = pictures.drawing().convert("P")
    picture.info["transparency"] = 0
    return pictures.encoded(picture, "PNG", transparency=0)


def _sixteen_bits() -> bytes:
    deep = Image.new("I;16", (280, 280))
    deep.putdata([value * 257 for value in pictures.drawing().tobytes()])
    return pictures.encoded(deep)


REFUSED = {
    "an empty body": (b"", 400, "empty"),
    "text called .png": (b"hello, I am a text file\n" * 20, 415, "text"),
    "an SVG": (SVG, 415, "SVG"),
    "a zip": (ZIP, 415, "(?i)zip"),
    "a truncated JPEG": (JPEG[: len(JPEG) // 3], 422, ""),
    "a pixel bomb": (pictures.bomb(), 422, "pixels"),
}
READ = {
    "an animated GIF": pictures.encoded(
        pictures.drawing(), "GIF", save_all=True, append_images=[pictures.drawing(pictures.ZERO)]
    ),
    "a CMYK JPEG": pictures.encoded(pictures.drawing().convert("RGB").convert("CMYK"), "JPEG"),
    "a 16-bit PNG": _sixteen_bits(),
    "a palette with transparency": _palette(),
    "a picture on its side": _sideways(),
    "WebP": pictures.encoded(pictures.drawing(), "WEBP"),
    "BMP": pictures.encoded(pictures.drawing(), "BMP"),
    "TIFF": pictures.encoded(pictures.drawing(), "TIFF"),
    "AVIF": pictures.encoded(pictures.drawing().convert("RGB"), "AVIF"),
}


@pytest.fixture(autouse=True)
def _the_next_request_works(client: httpx.Client) -> Iterator[None]:
    """After each test a plain upload is read as always."""
    yield
    answer = client.post("/api/images?wait=20", files={"file": PNG})
    assert answer.json()["reading"]["text"] == "7"


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason(client: httpx.Client, kind: str) -> None:
    """The status of the contract, and a sentence that says what it is."""
    data, status, message = REFUSED[kind]
    answer = client.post("/api/images", files={"file": ("picture.png", data)})
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert re.search(message, answer.json()["detail"])
    bare = client.post("/api/images", content=data, headers={"Content-Type": "image/png"})
    assert bare.status_code == status


@pytest.mark.parametrize("kind", READ)
def test_every_kind_of_picture_is_read(client: httpx.Client, kind: str) -> None:
    """The first frame, all colours turned to ink, upright."""
    answer = client.post("/api/images?wait=20", files={"file": ("picture", READ[kind])})
    assert answer.status_code == 200, answer.text
    assert answer.json()["reading"]["text"] == "7"


def test_a_single_pixel_is_blank(client: httpx.Client) -> None:
    """1×1 is a picture, with nothing in it."""
    answer = client.post(
        "/api/images?wait=20", files={"file": pictures.encoded(Image.new("L", (1, 1), 255))}
    )
    assert answer.json()["reading"]["verdict"] == "blank"
    assert answer.json()["reading"]["text"] == ""


def test_a_picture_of_too_many_bytes_is_refused(client: httpx.Client) -> None:
    """20 MB and one byte: 413, declared or not; 20 MB are taken."""
    allowed = 20_000_000
    full = PNG + bytes(allowed - len(PNG))
    for data, status in ((full + b"x", 413), (full, 202)):
        answer = client.post("/api/images", content=data, headers={"Content-Type": "image/png"})
        assert answer.status_code == status

    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(1_000_000)

    answer = client.post("/api/images", content=endless(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "multipart/form-data"}, b"no boundary", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\ntorn", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 400),
        ({"Content-Type": "application/json"}, b"{}", 415),
    ],
)
def test_odd_requests_are_told_what_would_do(
    client: httpx.Client, headers: dict[str, str], content: bytes, status: int
) -> None:
    """A form that is none, one without a file, another content type."""
    answer = client.post("/api/images", content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_labels_that_cannot_be_one_are_refused(client: httpx.Client) -> None:
    """Empty and endless labels are 400, at upload and later, and leave nothing behind."""
    image = client.post("/api/images?wait=20", files={"file": PNG}).json()
    for text in ("", "   ", "7" * 201):
        assert (
            client.put(f"/api/images/{image['id']}/label", json={"text": text}).status_code == 400
        )
    assert (
        client.post("/api/images", files={"file": PNG}, data={"label": "7" * 201}).status_code
        == 400
    )
    assert client.get(f"/api/images/{image['id']}").json()["label"] is None


def test_private_metadata_is_not_kept(client: httpx.Client) -> None:
    """The place where a photo was taken does not reach the store; its orientation does."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A camera maker"
    exif.get_ifd(0x8825)[2] = (47.0, 22.0, 1.5)
    data = pictures.encoded(
        pictures.drawing().rotate(90), "JPEG", exif=exif, comment=b"private words"
    )
    image = client.post("/api/images?wait=20", files={"file": data}).json()
    remaining = client.get(f"/api/images/{image['id']}/original").content
    assert b"A camera maker" not in remaining
    assert b"private words" not in remaining
    stored = Image.open(io.BytesIO(remaining)).getexif()
    assert (dict(stored), dict(stored.get_ifd(0x8825))) == ({0x0112: 6}, {})
    assert struct.pack("d", 47.0) not in remaining
