"""Forms: made of one scan, read from others that lie differently."""

import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

import pictures
from legibly import errors
from legibly.cli.form import command
from legibly.forms import boxes, reading, registration
from legibly.forms.form import Field, Form
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.vision.reading import Reader

LIMIT = 50_000_000
FIELDS = [
    ("postcode", (150, 260), 5, 56, 66),
    ("number", (760, 260), 4, 56, 66),
    ("amount", (150, 420), 8, 50, 60),
    ("one", (760, 420), 1, 70, 70),
    ("free", (150, 580), 1, 400, 80),
    ("date", (700, 590), 6, 56, 64),
]
TRUTH = {
    "postcode": "90210",
    "number": "4682",
    "amount": "735",
    "one": "6",
    "free": "50831",
    "date": "241207",
}
Digits = dict[str, Image.Image]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(open_pack(registry.find("digits")))


@pytest.fixture(scope="module")
def digits(data: Path) -> Digits:
    """A real digit of each class, ink bright, by one writer."""
    arrays = np.load(data / "kensanata" / "digits.npz")
    of_writer = (arrays["w"] == 5) & (arrays["p"] > 250)
    result = {}
    for number in range(10):
        pixels = arrays["x"][np.flatnonzero(of_writer & (arrays["y"] == number))[0]]
        image = Image.fromarray(pixels)
        ink = image.crop(image.point(lambda value: 255 if value > 60 else 0).getbbox())
        result[str(number)] = ink.resize((max(3, round(ink.width * 44 / ink.height)), 44))
    return result


def sheet(values: dict[str, str] | None = None, digits: Digits | None = None) -> Image.Image:
    """The form with these values, numbers to the right of their combs."""
    image = Image.new("L", (1240, 900), 255)
    draw = ImageDraw.Draw(image)
    draw.text((150, 120), "APPLICATION FORM 12/2024", fill=0, font_size=44)
    for name, (x, y), cells, width, height in FIELDS:
        draw.text((x, y - 34), name, fill=0, font_size=24)
        draw.rectangle((x, y, x + cells * width, y + height), outline=0, width=2)
        for cell in range(1, cells):
            draw.line((x + cell * width, y, x + cell * width, y + height), fill=0, width=2)
        text = (values or {}).get(name, "")
        step = width if cells > 1 else 62
        left = x + (cells - len(text)) * width if cells > 1 else x + 4
        for place, sign in enumerate(text):
            digit = (digits or {})[sign]
            middle = left + place * step + step // 2
            image.paste(30, (middle - digit.width // 2, y + (height - 44) // 2), digit)
    return image


def scan(
    image: Image.Image,
    *,
    angle: float = 0.0,
    scale: float = 1.0,
    shift: tuple[int, int] = (0, 0),
    noise: float = 3.0,
) -> bytes:
    """A grey, noisy scan of a sheet that lies so."""
    turned = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    size = (round(turned.width * scale), round(turned.height * scale))
    page = Image.new("L", (size[0] + 160, size[1] + 160), 255)
    page.paste(turned.resize(size, Image.Resampling.LANCZOS), (80 + shift[0], 80 + shift[1]))
    grain = np.random.default_rng(1).normal(0, noise, (page.height, page.width))
    pixels = (245 - (255 - np.asarray(page, np.float32)) * 0.86 + grain).clip(0, 255)
    return pictures.encoded(Image.fromarray(pixels.astype(np.uint8)), "JPEG", quality=88)


@pytest.fixture(scope="module")
def form() -> Form:
    """The form of the empty sheet."""
    form = reading.make(scan(sheet(), scale=1.2), max_pixels=LIMIT)
    return form.named([name for name, *_ in FIELDS])


def test_boxes_and_combs_are_fields(form: Form) -> None:
    """In the order of reading, with their cells; printed text is no field."""
    assert [field.cells for field in form.fields] == [cells for _, _, cells, _, _ in FIELDS]
    left, top, width, height = form.fields[0].box
    assert abs(width / height - 5 * 56 / 66) < 0.1
    assert abs(left - 1.2 * 150 - 80) < 6
    assert abs(top - 1.2 * 260 - 80) < 6


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [(0.0, 1.2, (0, 0)), (2.0, 0.9, (50, -40)), (-2.0, 1.6, (-30, 60)), (180.0, 1.0, (0, 0))],
)
def test_a_scan_is_read_wherever_the_form_lies_on_it(
    reader: Reader, digits: Digits, form: Form, angle: float, scale: float, shift: tuple[int, int]
) -> None:
    """Shifted, scaled, two degrees askew, upside down: each value by its name, blanks included."""
    values = {**TRUTH, "number": ""}
    page = scan(sheet(values, digits), angle=angle, scale=scale, shift=shift)
    answers = {value.field: value for value in reading.read(form, page, reader, max_pixels=LIMIT)}
    assert {name: answer.text for name, answer in answers.items()} == values
    assert answers["number"].verdict == "blank"
    assert sum(answer.verdict == "read" for answer in answers.values()) >= 4


@pytest.mark.parametrize(("noise", "scale"), [(2.0, 0.8), (3.0, 1.2), (5.0, 1.6)])
def test_an_empty_field_is_blank_on_a_grainy_scan(
    reader: Reader, form: Form, noise: float, scale: float
) -> None:
    """The grain of a scan is no ink: nobody has to check a field without writing."""
    page = scan(sheet(), angle=1.0, scale=scale, noise=noise)
    values = reading.read(form, page, reader, max_pixels=LIMIT)
    assert {value.verdict for value in values} == {"blank"}


def test_digits_that_do_not_fit_their_cells_are_not_sure(
    reader: Reader, digits: Digits, form: Form
) -> None:
    """A comb with an empty cell between two digits is `unsure`."""
    image = sheet({"postcode": "90210"}, digits)
    image.paste(255, (150 + 56 + 4, 264, 150 + 112 - 4, 260 + 62))
    (postcode, *_) = reading.read(form, scan(image), reader, max_pixels=LIMIT)
    assert (postcode.text, postcode.verdict) == ("9210", "unsure")


def test_another_sheet_is_named_as_such(reader: Reader, form: Form) -> None:
    """A page without the form's boxes, and one with other boxes, are no scans of it."""
    other = Image.new("L", (900, 900), 255)
    draw = ImageDraw.Draw(other)
    for top in (100, 260, 520):
        draw.rectangle((100, top, 700, top + 90), outline=0, width=3)
    for page in (scan(other), scan(Image.new("L", (600, 600), 255))):
        with pytest.raises(errors.Unusable, match="form was not found") as caught:
            reading.read(form, page, reader, max_pixels=LIMIT)
        assert caught.value.code == "form-not-found"
    with pytest.raises(errors.Unusable, match="no boxes and no combs"):
        reading.make(scan(Image.new("L", (600, 600), 255)), max_pixels=LIMIT)


def test_a_comb_with_teeth_and_a_table_are_found() -> None:
    """A lower line with teeth is one field; a table has a field for each wide cell."""
    page = Image.new("L", (1200, 800), 255)
    draw = ImageDraw.Draw(page)
    draw.line((100, 200, 400, 200), fill=0, width=2)
    for tooth in range(7):
        draw.line((100 + 50 * tooth, 170, 100 + 50 * tooth, 200), fill=0, width=2)
    for row in range(3):
        draw.line((100, 400 + 70 * row, 900, 400 + 70 * row), fill=0, width=2)
    for side in (100, 500, 900):
        draw.line((side, 400, side, 540), fill=0, width=2)
    comb, *cells = boxes.find(np.asarray(page))
    assert comb.cells == 6
    assert comb.height > 60
    assert [(round(cell.left, -1), cell.cells) for cell in cells] == [(100, 1), (500, 1)] * 2


def test_a_field_that_was_not_found_does_not_stop_the_others() -> None:
    """The place is told by the others, and is right for all."""
    fields = tuple(
        Field(str(number), (100.0, 100.0 * number, 200.0, 50.0)) for number in range(1, 6)
    )
    form = Form(1000, 1000, fields)
    moved = [
        boxes.Box(2 * f.box[0] + 30, 2 * f.box[1] + 7, 2 * f.right + 30, 2 * f.bottom + 7, 1)
        for f in fields[:-1]
    ]
    place = registration.require(form, moved)
    assert place.share == 0.8
    assert place.at(100.0, 500.0) == pytest.approx((230.0, 1007.0))


def test_the_commands_make_store_and_read_a_form(
    tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PDF of a filled sheet and a page without the form: CSV, JSON, an error and exit code 1;
    the form is a file, or stored under a name.
    """
    monkeypatch.setenv("LEGIBLY_STORE", f"file://{tmp_path / 'store'}")
    empty = tmp_path / "empty.png"
    empty.write_bytes(scan(sheet()))
    path = tmp_path / "form.json"
    names = ",".join(name for name, *_ in FIELDS)
    run = CliRunner().invoke
    making = run(command, ["make", str(empty), "--names", names, "--out", str(path)])
    assert (making.exit_code, "6 fields" in making.stderr) == (0, True), making.stderr
    page = Image.open(io.BytesIO(scan(sheet(TRUTH, digits), angle=1.0))).convert("L")
    filled = tmp_path / "filled.pdf"
    blank = Image.new("L", page.size, 255)
    page.save(filled, save_all=True, append_images=[blank], resolution=200)
    result = run(command, ["read", str(path), str(filled)])
    rows = result.stdout.splitlines()
    assert rows[0] == f"source,{names},unsure"
    assert rows[1].startswith(f"{filled} p. 1,90210,4682,735,6,50831,241207,")
    assert len(rows) == 2
    assert "filled.pdf p. 2: the form was not found" in result.stderr
    assert result.exit_code == 1
    read_json = ["read", "meters", str(filled), "--json"]
    assert "no stored form" in str(run(command, read_json).exception)
    assert run(command, ["save", "meters", str(path)]).exit_code == 0
    answer = json.loads(run(command, read_json).stdout)
    assert run(command, ["list"]).stdout == "meters\t6\n"
    assert json.loads(run(command, ["show", "meters"]).stdout) == json.loads(path.read_text())
    assert run(command, ["delete", "meters"]).exit_code == 0
    assert run(command, ["list"]).stdout == ""
    assert answer["fields"]["date"]["text"] == "241207"


def field_json(box: list[float]) -> str:
    """A form of one field."""
    field = {"name": "a", "box": box}
    return json.dumps({"format": 1, "width": 9, "height": 9, "fields": [field]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is not a form"),
        ('{"format": 2}', "format 2 is not known"),
        ('{"format": 1, "width": 9, "height": 9, "fields": []}', "1 to 200 fields"),
        (field_json([0, 0, 1e9, 9]), "too narrow"),
        (field_json([0, 0, 90, 90]), "lies outside"),
        (field_json([0, 0, float("inf"), float("nan")]), "no size"),
        ('{"format": 1, "width": 9, "fields": [{"name": "a", "box": [0, 0, 9, 9]}]}', "'height'"),
        (
            '{"format": 1, "width": 9, "height": 9, "fields": [{"name": "a", "box": [1]}]}',
            "not a form",
        ),
    ],
)
def test_a_file_that_is_no_form_is_named(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong, and how to make a form."""
    path = tmp_path / "form.json"
    path.write_text(text)
    with pytest.raises(errors.Invalid, match=message) as caught:
        Form.load(path)
    assert "legibly form make" in caught.value.remedy
    with pytest.raises(errors.NotFound):
        Form.load(tmp_path / "none.json")


def test_many_fields_and_boxes_cost_little() -> None:
    """200 fields among 200 boxes that lie otherwise take no minutes."""
    rng = np.random.default_rng(3)
    fields = tuple(
        Field(str(number), (*(900 * rng.random(2)).tolist(), 40.0, 20.0)) for number in range(200)
    )
    corners = (900 * rng.random((300, 2))).tolist()
    others = [boxes.Box(left, top, left + 40, top + 20, 1) for left, top in corners]
    began = time.process_time()
    assert registration.register(Form(1000, 1000, fields), others) is None
    assert time.process_time() - began < 8


def test_names_have_to_fit(form: Form) -> None:
    """As many different names as there are fields."""
    with pytest.raises(errors.Invalid, match="6 fields need as many different names; 2"):
        form.named(["a", "b", "b", "a", "b", "a"])
