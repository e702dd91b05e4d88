"""Texts with their separators."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from legibly.labels import rules
from legibly.vision.reading import Reader

HEIGHT = 44
GAP = 10


@pytest.fixture(scope="module")
def numbers(reader: Reader) -> Reader:
    """The shipped pack, with texts that keep their separators."""
    return Reader(reader.pack, text="numbers")


@pytest.fixture(scope="module")
def digits(data: Path) -> dict[str, Image.Image]:
    """A real digit of each class, ink bright, by one writer."""
    arrays = np.load(data / "kensanata" / "digits.npz")
    of_writer = (arrays["w"] == 5) & (arrays["p"] > 250)
    result = {}
    for number in range(10):
        pixels = arrays["x"][np.flatnonzero(of_writer & (arrays["y"] == number))[0]]
        image = Image.fromarray(pixels)
        ink = image.crop(image.point(lambda value: 255 if value > 60 else 0).getbbox())
        wide = max(3, round(ink.width * HEIGHT / ink.height))
        result[str(number)] = ink.resize((wide, HEIGHT))
    return result


def picture(lines: list[str], digits: dict[str, Image.Image]) -> bytes:
    """Rows of real digits with drawn separators, dark on light."""
    sheet = Image.new("L", (90 * max(map(len, lines)) + 40, 110 * len(lines) + 40), 0)
    draw = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        left = 40
        top = 40 + 110 * row
        bottom = top + HEIGHT
        for sign in line:
            wide = digits[sign].width if sign in digits else 10
            if sign in digits:
                sheet.paste(digits[sign], (left, top))
            elif sign in ".:":
                draw.ellipse((left, bottom - 7, left + 6, bottom - 1), fill=255)
            elif sign == ",":
                draw.line((left + 6, bottom - 4, left + 1, bottom + 12), fill=255, width=5)
            elif sign == "-":
                wide = 22
                draw.line((left, top + 22, left + wide, top + 22), fill=255, width=5)
            elif sign == "/":
                wide = 24
                draw.line((left + wide, top - 6, left, bottom + 6), fill=255, width=4)
            if sign == ":":
                draw.ellipse((left, top + 10, left + 6, top + 16), fill=255)
            left += wide + GAP
    buffer = io.BytesIO()
    Image.eval(sheet, lambda value: 255 - value).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("lines", "text", "bare"),
    [
        (["7.5"], "7.5", "75"),
        (["42,80"], "42,80", "4280"),
        (["26/03/2024"], "26/03/2024", "26032024"),
        (["-5"], "-5", "5"),
        (["08:36"], "08:36", "0836"),
        (["3.6", "-24"], "3.6 -24", "3624"),
        (["9036"], "9036", "9036"),
    ],
)
def test_a_text_keeps_its_separators(
    numbers: Reader, digits: dict[str, Image.Image], lines: list[str], text: str, bare: str
) -> None:
    """Point, comma, slash, minus and colon stand in their places and are items of their kind; with
    one of them a text is never sure. Items have the input and number that explanations use.
    """
    data = picture(lines, digits)
    reading = numbers.read(data).reading
    assert reading.text == text
    assert reading.keeps == "numbers"
    assert "".join(item.label for item in reading.digits) == bare
    signs = [item for item in reading.items if item.kind == "separator"]
    assert len(reading.items) == len(bare) + len(signs)
    assert all(item.confidence < 1 and not item.probabilities for item in signs)
    assert not signs or reading.verdict == "unsure"
    assert len(numbers.inputs(data)) == len(reading.digits)


def test_digits_alone_stay_the_default(reader: Reader, digits: dict[str, Image.Image]) -> None:
    """Without the setting a point is no part of the text."""
    reading = reader.read(picture(["7.5"], digits)).reading
    assert (reading.text, reading.keeps) == ("75", "digits")
    assert "keeps" not in reading.to_json()


def test_what_has_no_digits_is_left_as_it_is(numbers: Reader) -> None:
    """A blank picture is blank."""
    buffer = io.BytesIO()
    Image.new("L", (200, 100), 255).save(buffer, "PNG")
    assert numbers.read(buffer.getvalue()).reading.verdict == "blank"


def test_labels_of_numbers_have_one_form() -> None:
    """Blanks beside a separator go, so that texts can be compared; one before a minus stays."""
    known = rules.LabelRules(tuple("0123456789"), numbers=True)
    assert known.normalize("7 . 5") == "7.5"
    assert known.normalize("12 / 03/ 2024") == "12/03/2024"
    assert known.normalize("- 5  -6") == "-5 -6"
    assert rules.LabelRules(tuple("0123456789")).normalize("7 . 5") == "7 . 5"
