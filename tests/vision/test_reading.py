"""Bytes in, reading out, with the shipped model."""

import concurrent.futures
import gzip
import io
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import pictures
from legibly import errors, records
from legibly.vision import page
from legibly.vision.reading import Reader

VERDICTS = get_args(records.Verdict)
SEVEN = pictures.SEVEN
ZERO = pictures.ZERO
ONE = pictures.ONE


def sheet(strokes: list[list[list[tuple[int, int]]]], *, step: int = 150) -> Image.Image:
    """Digits in rows on one white sheet, 90 pixels high."""
    image = Image.new(
        "L", (step * max(len(row) for row in strokes) + 40, 170 * len(strokes) + 40), 255
    )
    for y, row in enumerate(strokes):
        for x, stroke in enumerate(row):
            digit = pictures.drawing(stroke, width=16).resize((140, 140))
            image.paste(digit, (20 + step * x, 30 + 170 * y))
    return image


def text(reader: Reader, image: Image.Image, kind: str = "PNG") -> str:
    """What is read."""
    return reader.read(pictures.encoded(image, kind)).reading.text


def test_a_drawn_digit_is_read(reader: Reader) -> None:
    """One item, the right label, boxed where it was drawn, with a confidence that is a
    probability.
    """
    result = reader.read(pictures.png(SEVEN))
    reading = result.reading
    assert (reading.verdict, reading.text) == ("read", "7")
    assert reading.model == reader.model
    (item,) = reading.items
    left, top, width, height = item.box
    assert abs(left - 51) < 6
    assert abs(top - 51) < 6
    assert abs(width - 158) < 12
    assert abs(height - 188) < 12
    assert sum(item.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert 0.5 < reading.confidence <= item.confidence + 1e-6
    assert item.confused_with in set("012345689")
    assert {"decode", "find", "classify"} <= set(reading.milliseconds)
    assert records.Reading.from_json(reading.to_json()).items == reading.items


@pytest.mark.parametrize("stroke", [SEVEN, ZERO, ONE])
def test_the_look_of_it_does_not_matter(reader: Reader, stroke: list[tuple[int, int]]) -> None:
    """Dark on light, light on dark, small, large, JPEG, in colour, transparent: the same
    reading.
    """
    plain = pictures.drawing(stroke)
    expected = text(reader, plain)
    assert expected == {id(SEVEN): "7", id(ZERO): "0", id(ONE): "1"}[id(stroke)]
    inverted = Image.fromarray(255 - np.asarray(plain))
    blue = Image.merge("RGB", (plain, plain, Image.new("L", plain.size, 250)))
    for other in (inverted, plain.resize((56, 56)), plain.resize((1600, 1600)), blue):
        assert text(reader, other) == expected
    assert text(reader, plain, "JPEG") == expected
    clear = Image.merge("LA", (Image.new("L", plain.size, 0), inverted))
    assert text(reader, clear) == expected


def test_a_grey_photo_reads_like_the_drawing(reader: Reader) -> None:
    """A dim photo with a shadow across is read as well as the crop on white."""
    assert reader.read(pictures.grey_photo()).reading.text == "7"


def test_rows_are_read_in_order(reader: Reader) -> None:
    """Several rows of several digits: rows joined by a slash, boxes in the same order."""
    image = sheet([[SEVEN, ONE, ZERO], [ONE, SEVEN]])
    reading = reader.read(pictures.encoded(image)).reading
    assert reading.text == "710/17"
    assert [item.label for item in reading.items] == list("71017")
    tops = [item.box[1] for item in reading.items]
    assert max(tops[:3]) < min(tops[3:])


def test_a_wide_gap_is_a_space(reader: Reader) -> None:
    """Two numbers on one line are two words."""
    image = Image.new("L", (900, 180), 255)
    image.paste(sheet([[SEVEN, ZERO]]).crop((0, 0, 320, 180)), (0, 0))
    image.paste(sheet([[ONE, SEVEN]]).crop((0, 0, 320, 180)), (560, 0))
    assert text(reader, image) == "70 17"


def test_boxes_are_in_pixels_of_the_original(reader: Reader) -> None:
    """A photo so large that it is decoded reduced still tells boxes in its own pixels."""
    large = Image.new("L", (4000, 3000), 250)
    large.paste(pictures.drawing().resize((1120, 1120)), (2000, 1000))
    (item,) = reader.read(pictures.encoded(large, "JPEG")).reading.items
    left, top, width, height = item.box
    assert item.label == "7"
    assert abs(left - 2205) < 30
    assert abs(top - 1205) < 30
    assert abs(width - 632) < 50
    assert abs(height - 752) < 50


@pytest.mark.parametrize("height", [30, 60, 140, 400])
def test_a_large_picture_is_read_whatever_its_digits_size(reader: Reader, height: int) -> None:
    """A row of small digits on a large sheet, which a glance cannot read, and one that fills it
    read the same.
    """
    sheet = Image.new("L", (1500, 600), 235)
    seven = pictures.drawing().crop((40, 40, 220, 250)).resize((round(height * 0.85), height))
    for place in range(3):
        sheet.paste(
            seven.point(lambda level: level * 235 // 255), (100 + round(1.1 * height) * place, 90)
        )
    matches = text(reader, sheet)
    assert matches == "777"


def test_a_page_on_its_side_is_turned_by_its_digits(reader: Reader, data: Path) -> None:
    """A page of real digits photographed sideways or upside down reads as it does upright."""
    images = gzip.decompress((data / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((data / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())
    glyphs = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[-400:]
    names = labels[-400:]
    required = "2347/7254"
    rows = []
    for row in required.split("/"):
        chosen = [glyphs[names.index(int(name))] for name in row]
        rows.append(
            np.concatenate(
                [np.pad(255 - glyph, 8, constant_values=255) for glyph in chosen], axis=1
            )
        )
    page = Image.fromarray(np.concatenate(rows)).resize((528, 264))
    for quarters in range(4):
        turned = Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(page), quarters)))
        assert text(reader, turned) == required


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_blank_paper_is_blank(reader: Reader, colour: int) -> None:
    """An even or noisy sheet has no text and no items."""
    noise = np.random.default_rng(0).normal(colour, 3, (200, 300)).clip(0, 255).astype(np.uint8)
    for image in (Image.new("L", (200, 150), colour), Image.fromarray(noise)):
        reading = reader.read(pictures.encoded(image)).reading
        assert (reading.verdict, reading.text, reading.items) == ("blank", "", ())


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 400), (3, 3), (28, 28), (700, 2)])
def test_degenerate_sizes_get_a_reading(reader: Reader, size: tuple[int, int]) -> None:
    """A single pixel or line is read as something, never an error."""
    rng = np.random.default_rng(1)
    for pixels in (np.zeros(size, np.uint8), rng.integers(0, 255, size, np.uint8)):
        assert reader.read(pictures.encoded(Image.fromarray(pixels))).reading.verdict in VERDICTS


@pytest.mark.parametrize(("share", "grain"), [(0.05, 2), (0.05, 3), (0.1, 3), (0.35, 1)])
def test_speckles_cost_little_and_are_no_digits(reader: Reader, share: float, grain: int) -> None:
    """Texture of some hundred specks is neither cut nor joined at length, and never called read."""
    specks = np.random.default_rng(1).random((205 // grain, 294 // grain)) < share
    pixels = np.kron(np.where(specks, 0, 255), np.ones((grain, grain))).astype(np.uint8)
    calls = 0

    def judge(crops: page.Floats) -> tuple[page.Floats, page.Floats]:
        nonlocal calls
        calls += len(crops)
        return reader.pack.judge(reader.pack.logits(crops[:, None]))

    page.analyse(pixels, judge)
    assert calls < 2_500
    assert reader.read(pictures.encoded(Image.fromarray(pixels))).reading.verdict in (
        "unsure",
        "not_a_digit",
    )


def test_inputs_are_what_the_network_saw(reader: Reader) -> None:
    """One (28, 28) input an item, in the reading's order; judged again it gives the reading's
    probabilities.
    """
    data = pictures.encoded(sheet([[SEVEN, ONE, ZERO]]))
    reading = reader.read(data).reading
    inputs = reader.inputs(data)
    assert [crop.shape for crop in inputs] == [(28, 28)] * 3
    again = reader.crops(np.stack([np.round(255 * crop).astype(np.uint8) for crop in inputs]))
    assert [entry.text for entry in again] == [item.label for item in reading.items]


def test_reading_twice_gives_the_same(reader: Reader) -> None:
    """Readings repeat to the last digit, also from several threads at once."""
    data = pictures.encoded(sheet([[SEVEN, ONE, ZERO]]))
    expected = reader.read(data).reading
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for result in pool.map(reader.read, [data] * 12):
            assert result.reading.items == expected.items
            assert result.reading.confidence == expected.confidence


def test_explanations_are_pictures_and_sentences(reader: Reader) -> None:
    """Every item has a PNG and a sentence naming both classes; numbers and classes that are not
    there are not found.
    """
    data = pictures.png(SEVEN)
    message = reader.explanation(data, 0)
    assert message.intended == "7"
    assert message.rival != "7"
    assert "7" in message.sentence()
    with Image.open(io.BytesIO(reader.explain(data, 0))) as image:
        assert image.size == (280, 280)
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert (colours[:, 2] - colours[:, 0]).max() > 60, "some ink is blue"
    assert reader.explanation(data, 0, intended="1").intended == "1"
    for number, intended in ((1, None), (-1, None), (0, "x")):
        with pytest.raises(errors.NotFound):
            reader.explanation(data, number, intended=intended)


def test_a_clear_digit_is_more_legible_than_another_one_would_be(reader: Reader) -> None:
    """Legibility is near 1 for what was drawn, near 0 for what was not; thoroughly told as read if
    asked for.
    """
    data = pictures.png(SEVEN)
    assert reader.legibility(data, 0) > 0.8
    assert reader.legibility(data, 0, intended="8") < 0.1
    (item,) = Reader(reader.pack, thorough=True).read(data).reading.items
    assert item.legibility == pytest.approx(reader.legibility(data, 0), abs=1e-5)


def test_every_digit_read_tells_its_legibility(reader: Reader) -> None:
    """Readings carry a value near that of the thorough measure; what is no digit has none."""
    (item,) = reader.read(pictures.png(SEVEN)).reading.items
    assert item.legibility == pytest.approx(reader.legibility(pictures.png(SEVEN), 0), abs=0.03)
    sign = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(sign).text(
        (140, 140), "@", fill=0, font=ImageFont.load_default(size=200), anchor="mm"
    )
    reading = reader.read(pictures.encoded(sign)).reading
    assert reading.verdict == "not_a_digit"
    assert [entry.legibility for entry in reading.items] == [None] * len(reading.items)


def test_ink_that_reads_as_a_digit_only_in_part_is_not_read(reader: Reader) -> None:
    """An H is no 1 for its uprights, nor for the paper between them."""
    for size, width in ((280, 30), (280, 90), (28, 5), (28, 9)):
        image = Image.new("L", (size, size), 0)
        low = size // 8
        high = size - size // 8
        for line in ((low, 0, low, size), (high, 0, high, size), (low, size // 2, high, size // 2)):
            ImageDraw.Draw(image).line(line, fill=255, width=width)
        assert reader.read(pictures.encoded(image)).reading.verdict != "read"


def test_photos_of_a_test_set_stay_read(reader: Reader, data: Path) -> None:
    """A guard, not a measure: nine in ten of some real photos are read right."""
    table = (data / "photos" / "labels.csv").read_text(encoding="utf-8").splitlines()[1::4]
    right = sum(
        reader.read((data / "photos" / line.split(",")[0]).read_bytes()).reading.text
        == line.split(",")[1]
        for line in table
    )
    assert right >= 0.9 * len(table)


def test_a_digit_in_two_pieces_above_one_another_is_one(reader: Reader) -> None:
    """A 3 whose waist is torn is a 3, and no row of one digit above another."""
    image = Image.new("L", (120, 160), 255)
    draw = ImageDraw.Draw(image)
    draw.arc((30, 15, 85, 77), 200, 440, fill=0, width=8)
    draw.arc((30, 80, 90, 145), 280, 520, fill=0, width=8)
    reading = reader.read(pictures.encoded(image)).reading
    assert reading.text == "3"
