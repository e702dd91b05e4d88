"""What is no digit: letters, signs, scribbles, parts of frames and rules, digits turned or run
together.

`training(…)` gives crops with weights, every family by its share; `validation(…)` the families kept
from training.
"""

import io
import math
import zipfile

import numpy as np
import strokes
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sources import REJECT, Crops, Data, crops, idx, to_crop

# Characters that a person may take for a digit are left out, counted from 1 within each alphabet.
LOOKALIKES = {
    "Balinese": {5, 14},
    "Early_Aramaic": {2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 20},
    "Greek": {2, 4, 6, 7, 9, 14, 15, 18, 21},
    "Korean": {21, 22, 24, 27, 33, 37},
    "Latin": {2, 4, 7, 9, 12, 15, 17, 19, 26},
}
TYPED = "ACEFHKLMNPRTUVWXYacefhkmnprtuvwx"
"""Letters of a typeface that look like no digit."""
WRITTEN = "ACEFHKMNPRUVWXcefhkmnprtuvwx"
"""Letters that look like no digit whoever writes them: a hand's Y and y may be a 4, its a a 9, its
L a 6, its T a 7.
"""
GREEK = "αβγηκλμπρυχψωΔΛΞΠΣΨΩ"
"""Greek letters that look like no digit: o and I are a 0 and a 1, B, δ and θ an 8, φ a crossed 0,
ς, Z, ζ, ξ, σ, τ and Γ a 5, 2, 6 or 7 of some hand.
"""
SIGNS = "+=-_.,:;*#%@~^{}[]"
SHARES = {  # of the training non-digits
    "scripts": 0.11, "greek": 0.10, "printed letters": 0.10, "typeface": 0.05, "scribbles": 0.14,
    "neighbours": 0.10,
    "turned": 0.11, "wrong cuts": 0.14, "written letters": 0.12, "signs": 0.05, "crumbs": 0.06,
}  # fmt: skip
TURNS = {  # Quarter turns counterclockwise (4: mirrored) after which a digit is a digit no more.
    1: [1, 3],
    2: [1, 3],
    3: [1, 2, 3, 4],
    4: [1, 2, 3, 4],
    5: [1, 3],
    6: [1, 3],
    7: [1, 2, 3, 4],
    8: [1, 3],
    9: [1, 3, 4],
}


def training(data: Data, digits: np.ndarray, labels: np.ndarray, wrong: np.ndarray) -> Crops:
    """Every family of non-digits; `wrong` are wrong cuts off synthetic pages."""
    families = data.cached("nondigits", lambda rng: _families(rng, data, digits, labels))
    families["wrong cuts"] = wrong
    families = {name: without_bars(x) for name, x in families.items()}
    x = np.concatenate(list(families.values()))
    weight = np.concatenate(
        [np.full(len(part), SHARES[name] / len(part)) for name, part in families.items()]
    )
    return Crops(x, np.full(len(x), REJECT), weight / weight.sum())


def _families(
    rng: np.random.Generator, data: Data, digits: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        "scripts": omniglot(data, ["Greek", "Korean", "Latin"]),
        "greek": greek(rng, data),
        "printed letters": letters(data, "ACEF"),
        "typeface": printed(TYPED),
        "scribbles": np.stack([scribble(rng) for _ in range(6000)]),
        "neighbours": neighbours(rng, digits, 3000),
        "turned": turned(rng, digits, labels, 6000),
        "written letters": written(rng, data),
        "signs": signs(rng, data),
        "crumbs": np.stack([crumb(rng) for _ in range(3000)]),
    }


def validation(data: Data, wrong: np.ndarray) -> dict[str, np.ndarray]:
    """Families for fitting the confidence: of other scripts, letters, hands and generators than
    training's.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "Balinese": omniglot(data, ["Balinese"]),
            "notMNIST H": letters(data, "H"),
            "signs": without_bars(
                np.concatenate([printed("%#@+*=~<>$£^"), signs(rng, data, check=True)])
            ),
            "scribbles": np.stack([scribble(rng) for _ in range(1500)]),
            "written letters": written(rng, data, check=True),
            "crumbs": np.stack([crumb(rng) for _ in range(500)]),
        }

    return {**data.cached("nondigits_check", build), "wrong cuts": without_bars(wrong)}


def without_bars(x: np.ndarray) -> np.ndarray:
    """The crops less upright bars: narrow straight ink may be a 1, wherever it comes from."""
    return np.stack([crop for crop in x if not upright_bar(crop)])


def upright_bar(crop: np.ndarray) -> bool:
    """Whether ink is much higher than wide."""
    rows = np.nonzero((crop > 60).any(axis=1))[0]
    columns = np.nonzero((crop > 60).any(axis=0))[0]
    return len(rows) > 0 and np.ptp(columns) + 1 < 0.45 * (np.ptp(rows) + 1)


def omniglot(data: Data, alphabets: list[str]) -> np.ndarray:
    """Characters of other scripts, each with a thin and two thicker pens."""
    pictures = []
    with zipfile.ZipFile(data.path("rejects/omniglot_small1.zip")) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".png") or parts[1] not in alphabets:
                continue
            if int(parts[2].removeprefix("character")) in LOOKALIKES[parts[1]]:
                continue
            page = Image.open(io.BytesIO(archive.read(name))).convert("L")
            pens = [page.filter(ImageFilter.MinFilter(pen)) for pen in (3, 7, 11)]
            pictures += [255 - np.asarray(picture) for picture in pens]
    return crops(pictures)


def letters(data: Data, names: str) -> np.ndarray:
    """Printed letters of notMNIST."""
    images = idx(data.path("rejects/notmnist-images-idx3-ubyte.gz"))
    labels = idx(data.path("rejects/notmnist-labels-idx1-ubyte.gz"))
    return crops(images[np.isin(labels, ["ABCDEFGHIJ".index(name) for name in names])])


def printed(characters: str) -> np.ndarray:
    """Letters and signs of Pillow's own typeface, light to bold."""
    font = ImageFont.load_default(size=90)
    pictures = []
    for sign in characters:
        for weight in (0, 2, 4, 6):
            page = Image.new("L", (160, 160))
            pen = ImageDraw.Draw(page)
            pen.text((80, 80), sign, fill=255, font=font, anchor="mm", stroke_width=weight)
            pictures.append(np.asarray(page))
    return crops(pictures)


def written(rng: np.random.Generator, data: Data, *, check: bool = False) -> np.ndarray:
    """Letters by hand: UJI's strokes with many pens, and handwriting fonts; `check` takes the
    validation writers.
    """
    characters, columns = strokes.load(data.path("uji/chars.npz"))
    chosen = np.isin(columns["y"], list(WRITTEN)) & (columns["split"] == int(check))
    pictures = [
        strokes.draw(rng, characters[i])
        for i in np.repeat(np.flatnonzero(chosen), 2 if check else 8)
    ]
    return crops(pictures + _from_fonts(rng, data, WRITTEN, check=check))


def greek(rng: np.random.Generator, data: Data) -> np.ndarray:
    """Greek letters by hand: Omniglot's, and those of the fonts in greek/ where it is there."""
    pictures = []
    for font in sorted((data.folder / "greek").glob("*.woff")):
        for sign in GREEK * 30:
            picture = strokes.character(rng, font, sign)
            if picture is not None and picture.max() > 60:
                pictures.append(_bent(rng, picture))
    drawn = omniglot(data, ["Greek"])
    return np.concatenate([crops(pictures), drawn]) if pictures else drawn


def _bent(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The picture turned a little and its corners pulled, as no two letters of a hand are alike."""
    plane = Image.fromarray(picture).rotate(rng.normal(0, 6), Image.Resampling.BILINEAR)
    width, height = plane.size
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)])
    pulled = corners + rng.normal(0, 0.06, (4, 2)) * (width, height)
    return np.asarray(
        plane.transform(
            plane.size, Image.Transform.QUAD, tuple(pulled.ravel()), Image.Resampling.BILINEAR
        )
    )


def signs(rng: np.random.Generator, data: Data, *, check: bool = False) -> np.ndarray:
    """Operators, brackets and points: from handwriting fonts, and drawn."""
    pictures = _from_fonts(rng, data, SIGNS, check=check)
    drawn = [strokes.draw(rng, _sign(rng)) for _ in range(200 if check else 2000)]
    return crops(pictures + drawn)


def _from_fonts(
    rng: np.random.Generator, data: Data, characters: str, *, check: bool
) -> list[np.ndarray]:
    data.path("fonts/fonts.csv")
    pictures = []
    for font in strokes.fonts(data.folder / "fonts"):
        if font.validation != check or rng.random() > max(font.weight, 0.2):
            continue
        for sign in characters:
            picture = strokes.character(rng, font.path, sign)
            if picture is not None and picture.max() > 60:
                pictures.append(picture)
    return pictures


def _sign(rng: np.random.Generator) -> strokes.Strokes:
    """Strokes of + × = - ( ) [ ] or a tick, in a box about 1 high."""
    a, b, c = rng.normal(0, 0.06, 3)
    deep = rng.uniform(0.18, 0.35)
    bow = np.stack([deep * np.cos(np.linspace(-1.4, 1.4, 12)), np.linspace(0, 1, 12)], axis=1)
    hook = rng.uniform(0.3, 0.5)
    square = np.array([(hook, a), (0, 0), (b, 1), (hook, 1 + c)])
    flip = np.array([-1, 1])
    shapes = [
        [np.array([(0, 0.5 + a), (1, 0.5 + b)]), np.array([(0.5 + c, 0), (0.5, 1)])],
        [np.array([(0, a), (1, 1)]), np.array([(1 + b, 0), (c, 1)])],
        [np.array([(0, a), (1, b)]), np.array([(0.05, 0.35 + c), (1, 0.4)])],
        [np.array([(0, a), (1, b)])],
        [bow],
        [bow * flip],
        [square],
        [square * flip],
        [np.array([(0, 0.55 + a), (0.3, 1), (1, 0)])],
    ]
    return [stroke.astype(np.float32) for stroke in shapes[rng.integers(len(shapes))]]


def crumb(rng: np.random.Generator) -> np.ndarray:
    """What is left of frames, tables and rules: corners, crossings, combs, a cell with an open
    side.

    A corner at the top right may be a 7, a closed cell a 0: both are left out.
    """
    a, b = rng.uniform(0.35, 1.2, 2)
    up = np.array([(0, 0), (0, a)])
    down = np.array([(b, 0), (b, a)])
    top = np.array([(0, 0), (b, 0)])
    bottom = np.array([(0, a), (b, a)])
    x, y = rng.uniform(0.2, 0.8, 2)
    middle = np.array([(0, y * a), (b, y * a)])
    upright = np.array([(x * b, 0), (x * b, a)])
    teeth = [np.array([(x, a * 0.5), (x, a)]) for x in np.linspace(0, 1.5, rng.integers(4, 7))]
    shapes = [
        [up, top], [up, bottom], [down, bottom], [up, down, bottom], [up, down, top],
        [up, top, bottom],
        [middle, upright], [middle, up], [middle, down, up], [bottom, upright],
        [top, bottom, upright],
        [*teeth, np.array([(0, a), (1.5, a)])], [top, bottom, middle, upright], [top, bottom],
    ]  # fmt: skip
    lines = [line + rng.normal(0, 0.012, (2, 2)) for line in shapes[rng.integers(len(shapes))]]
    return to_crop(strokes.draw(rng, [line.astype(np.float32) for line in lines]))


def turned(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Digits on their side, upside down, mirrored: a page on its side must not be read."""
    result = []
    for i in rng.permutation(np.nonzero(labels > 0)[0])[:n]:
        turn = rng.choice(TURNS[int(labels[i])])
        result.append(images[i][:, ::-1] if turn == 4 else np.rot90(images[i], turn))
    return np.stack(result)


def neighbours(rng: np.random.Generator, images: np.ndarray, n: int) -> np.ndarray:
    """Two or three digits in one box, as a failed cut would leave them."""
    result = []
    for _ in range(n):
        chosen = images[rng.integers(len(images), size=rng.choice([2, 2, 3]))]
        wide = np.zeros((28, 28 * len(chosen)), np.uint8)
        x = 0
        for digit in chosen:
            columns = np.nonzero(digit.max(axis=0) > 60)[0]
            part = digit[:, columns[0] : columns[-1] + 1]
            place = wide[:, x : x + part.shape[1]]
            np.maximum(place, part, out=place)
            x += max(4, part.shape[1] + int(rng.integers(-3, 3)))
        result.append(to_crop(np.kron(wide, np.ones((2, 2), np.uint8))))
    return np.stack(result)


def scribble(rng: np.random.Generator) -> np.ndarray:
    """A curl, zigzag, crossing lines, dots, a shape, a texture or a comb of strokes."""
    kind = rng.integers(7)
    if kind == 5:
        side = int(rng.integers(3, 28))
        noise = (rng.random((side, side)) ** rng.uniform(0.5, 3) * 255).astype(np.uint8)
        return np.asarray(Image.fromarray(noise).resize((28, 28)))
    page = Image.new("L", (112, 112))
    draw = (_curve, _zigzag, _crossing, _dots, _shape, _shape, _comb)[kind]
    draw(rng, ImageDraw.Draw(page), int(rng.integers(5, 17)))
    if rng.random() < 0.5:
        page = page.rotate(float(rng.uniform(0, 360)))
    return to_crop(np.asarray(page))


def _curve(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    t = np.linspace(0, 1, 80)
    axes = [
        sum(rng.normal() / k * np.sin(2 * np.pi * k * t + rng.uniform(0, 7)) for k in range(1, 8))
        for _ in "xy"
    ]
    points = 56 + 26 * np.stack(axes, axis=1)
    pen.line([tuple(point) for point in points], fill=255, width=min(width, 8), joint="curve")


def _zigzag(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    n = int(rng.integers(6, 14))
    x = np.linspace(10, 100, n)
    y = 56 + np.where(np.arange(n) % 2, 1, -1) * rng.uniform(10, 40, n)
    points = [(a, b) if rng.random() < 0.9 else (b, a) for a, b in zip(x, y, strict=True)]
    pen.line(points, fill=255, width=min(width, 9), joint="curve")


def _crossing(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    for _ in range(int(rng.integers(2, 5))):
        pen.line([tuple(rng.uniform(8, 104, 2)) for _ in "ab"], fill=255, width=width)


def _dots(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    for _ in range(int(rng.integers(2, 12))):
        x, y = rng.uniform(15, 97, 2)
        r = rng.uniform(4, 14)
        pen.ellipse([x - r, y - r, x + r, y + r], fill=255)


def _shape(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    points = [
        tuple(56 + rng.uniform(20, 50) * np.array([math.cos(a), math.sin(a)]))
        for a in np.sort(rng.uniform(0, 6.28, rng.integers(3, 7)))
    ]
    fill = 255 if rng.random() < 0.6 else 0
    pen.polygon(points, fill=fill, outline=255, width=width // 2 + 1)


def _comb(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int) -> None:
    for x in np.arange(12, 104, rng.uniform(14, 26)):
        low = rng.uniform(8, 50)
        high = rng.uniform(62, 104)
        pen.line([(x, low), (x + rng.normal() * 8, high)], fill=255, width=width // 2 + 2)
