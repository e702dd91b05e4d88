"""Decoding in expendable processes, and the limits on what a picture may cost."""

import concurrent.futures
import io
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictures
from legibly import errors
from legibly.images import child, child_pool, decode, limits, raster, thumbnails

LIMIT = 50_000_000
SEVEN = Path(__file__).with_name("seven.heic").read_bytes()


def poison() -> bytes:
    """The HEIC file whose item type is no UTF-8: one byte ends the process that opens it."""
    data = bytearray(SEVEN)
    data[data.find(b"Exif")] = 0xFF
    return bytes(data)


@pytest.fixture
def pool() -> Iterator[child_pool.ChildPool]:
    """A pool of one child."""
    pool = child_pool.ChildPool(children=1)
    yield pool
    pool.close()


@pytest.mark.parametrize(
    "look",
    [
        decode.probe,
        decode.decode,
        lambda data, max_pixels: thumbnails.shrink(data, side=96, max_pixels=max_pixels),
    ],
)
def test_a_picture_that_crashes_its_decoder_fails_alone(look: object) -> None:
    """The crash is a named error of that picture, and the next picture is decoded."""
    assert callable(look)
    with pytest.raises(errors.Unusable, match="decoder"):
        look(poison(), max_pixels=LIMIT)
    assert decode.decode(SEVEN, max_pixels=LIMIT).pixels.shape[:2] == (280, 280)


def test_mutated_heic_files_end_in_a_picture_or_a_named_error() -> None:
    """Whatever exception or crash broken bytes lead to, it has a name."""
    rng = random.Random(7)
    for _ in range(12):
        data = bytearray(SEVEN)
        for _ in range(3):
            data[rng.randrange(12, 600)] = rng.randrange(256)
        try:
            decode.decode(bytes(data), max_pixels=LIMIT)
        except (errors.Unusable, errors.NotAnImage):
            continue


def test_a_child_that_takes_too_long_is_replaced(pool: child_pool.ChildPool) -> None:
    """A picture over its time fails with that reason, and the pool decodes the next one."""
    slow = child_pool.ChildPool(children=1, wall_seconds=0.001)
    try:
        with pytest.raises(errors.Unusable, match=r"more than 0\.001 s"):
            slow.decode(SEVEN, max_pixels=LIMIT, enough_pixels=700_000)
    finally:
        slow.close()
    assert pool.decode(SEVEN, max_pixels=LIMIT, enough_pixels=700_000).facts.width == 280


def test_a_killed_child_is_replaced(pool: child_pool.ChildPool) -> None:
    """A child that somebody ended (out of memory, an operator) costs no picture."""
    pool.probe(SEVEN, max_pixels=LIMIT)
    waiting = pool._slots.get()
    assert waiting is not None
    waiting._process.kill()
    pool._slots.put(waiting)
    assert pool.probe(SEVEN, max_pixels=LIMIT).width == 280


def test_children_and_this_process_decode_alike(pool: child_pool.ChildPool) -> None:
    """The same pixels, scale and facts come out on either side of the pipe."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8))
    for kind in ("PNG", "GIF", "WEBP", "TIFF"):
        data = pictures.encoded(image, kind)
        here = raster.decode(data, max_pixels=LIMIT)
        there = pool.decode(data, max_pixels=LIMIT, enough_pixels=decode.REDUCED_PIXELS)
        assert here.facts == there.facts
        assert np.array_equal(here.pixels, there.pixels)


def test_threads_share_few_children(pool: child_pool.ChildPool) -> None:
    """Many threads wait for the one child, and each gets its own picture."""
    sizes = range(20, 36)
    data = [pictures.encoded(Image.new("L", (size, 9), 200), "GIF") for size in sizes]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        widths = threads.map(lambda entry: pool.probe(entry, max_pixels=LIMIT).width, data)
    assert list(widths) == list(sizes)


def test_plain_small_pictures_start_no_child() -> None:
    """PNG of a canvas and a baseline JPEG are decoded in process, at their old speed."""
    child_pool.shared().close()
    before = child_pool.shared()._slots.qsize()
    for kind in ("PNG", "JPEG"):
        decode.decode(pictures.encoded(Image.new("L", (280, 280), 9), kind), max_pixels=LIMIT)
    assert before == child_pool.CHILDREN
    assert all(slot is None for slot in child_pool.shared()._slots.queue)


def test_memory_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With less memory a smaller WebP is refused by its header, and a child ends at that limit."""
    monkeypatch.setattr(limits, "memory_bytes", 70_000_000)
    webp = pictures.encoded(Image.new("L", (2400, 2000), 255), "WEBP", method=0)
    with pytest.raises(errors.Unusable, match="WEBP"):
        decode.probe(webp, max_pixels=LIMIT)
    values = np.full((7000, 6000), 60_000, np.uint16)
    data = pictures.encoded(Image.fromarray(values), "TIFF", compression="tiff_deflate")
    pool = child_pool.ChildPool(children=1)
    try:
        with pytest.raises(errors.Unusable, match="70 MB"):
            pool.decode(data, max_pixels=LIMIT, enough_pixels=40_000_000)
    finally:
        pool.close()


def test_a_child_has_limits() -> None:
    """Memory beyond the limit is a named error, and says so."""
    assert child.CPU_SECONDS < child_pool.WALL_SECONDS
    assert "360 MB" in str(child._memory_error())


@pytest.mark.parametrize(
    ("size", "reason"),
    [((100_000, 1), "side"), ((150_000, 1), "side"), ((1, 40_000), "side"), ((9000, 9), "times")],
)
def test_sides_and_shapes_have_limits(size: tuple[int, int], reason: str) -> None:
    """A PNG of some hundred bytes that is a line of 100,000 pixels is refused by its header."""
    data = pictures.encoded(Image.new("1", size, 1), "PNG")
    for look in (decode.probe, decode.decode):
        with pytest.raises(errors.Unusable, match=reason):
            look(data, max_pixels=LIMIT)


def test_webp_is_limited_by_what_its_decoder_takes() -> None:
    """A WebP of 48 megapixels would take 0.9 GB: its header is enough to refuse it."""
    data = pictures.encoded(Image.new("L", (8000, 6000), 255), "WEBP", method=0)
    with pytest.raises(errors.Unusable, match="WEBP"):
        decode.probe(data, max_pixels=LIMIT)


def test_scans_of_a_jpeg_are_counted() -> None:
    """A progressive JPEG with thousands of scans is refused, an ordinary one read."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = pictures.encoded(image, "JPEG", progressive=True)
    assert decode.decode(data, max_pixels=LIMIT).facts.width == 64
    scan = data[data.rfind(b"\xff\xda") : -2]
    hostile = data[:-2] + scan * (limits.MAX_SCANS + 1) + data[-2:]
    for look in (decode.probe, decode.decode):
        with pytest.raises(errors.Unusable, match="scans"):
            look(hostile, max_pixels=LIMIT)


def test_deep_pictures_fit_in_memory() -> None:
    """A 16-bit TIFF of 24 megapixels is reduced strip by strip, within the limits of a child."""
    values = np.full((4000, 6000), 60_000, np.uint16)
    values[1000:2000, 1000:2000] = 1_000
    picture = decode.decode(pictures.encoded(Image.fromarray(values), "TIFF"), max_pixels=LIMIT)
    assert picture.pixels.max() > 200
    assert picture.pixels.min() < 30


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_kind_is_turned_once(kind: str, orientation: int) -> None:
    """Orientations 2 to 8 show the same upright picture, in every format that knows them."""
    image = Image.new("L", (120, 80), 255)
    image.paste(10, (0, 0, 40, 30))
    turned = image.transpose(raster._TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.convert("RGB").save(out, kind, exif=exif.tobytes())
    picture = decode.decode(out.getvalue(), max_pixels=LIMIT)
    assert (picture.facts.width, picture.facts.height) == turned.size
    assert decode.probe(out.getvalue(), max_pixels=LIMIT) == picture.facts
    pixels = picture.pixels.reshape(*picture.pixels.shape[:2], -1).mean(axis=2)
    assert np.abs(pixels - np.asarray(turned)).mean() < 8


def test_isolation_costs_plain_pictures_next_to_nothing() -> None:
    """The look at a plain PNG's header takes far less than 0.3 ms."""
    data = pictures.png()
    started = time.process_time()
    for _ in range(200):
        assert limits.is_plain(data, "image/png")
    assert (time.process_time() - started) / 200 < 0.0003
