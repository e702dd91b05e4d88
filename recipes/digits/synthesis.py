"""Pictures of handwritten digits that never were: ink on synthetic paper, in bad light, through a
bad camera.

    pages(rng, n, glyphs, labels, kind=…)   → (PNG or JPEG bytes, Truth): development pictures and
    the stress set
    crops(rng, n, glyphs, labels)           → (N, 28, 28) uint8, (N,): the same as Legibly finds and
    cuts them
    mistakes(rng, n, glyphs, labels)        → (N, 28, 28) uint8: wrong cuts and joins, which are no
    digits

`glyphs` (M, 28, 28) uint8, ink 255, with their labels, are real handwriting to enlarge: give the
training part for training and a held-out part for testing. Write a folder to look at: python
recipes/digits/synthesis.py --help
"""

import argparse
import csv
import gzip
import io
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
import handwriting

KINDS = (
    "plain", "shadow", "blur", "tilt", "rules", "squares", "low light", "jpeg", "small", "canvas",
    "tiny", "inverted", "crop", "colour", "thin", "touching", "rows", "frame",
)  # fmt: skip
"""What is hard about a picture. `wild` mixes all of it."""
UNTRAINED = ("slant",)
"""More of it, no part of `wild`: rows that climb or fall steeply, their digits upright."""


@dataclass(frozen=True)
class Truth:
    """`text` as Legibly writes it; `rows` of (label, box), box = left, top, right, bottom in pixels
    of the picture.
    """

    text: str
    rows: list[list[tuple[int, tuple[float, float, float, float]]]]
    kind: str
    light: bool = False  # whether the ink is lighter than its paper


@dataclass
class Scene:
    """A sheet on the desk: coverage of ink, what colours, and what stands where."""

    ink: np.ndarray  # (H, W) float32, 0 paper … 1 ink
    rows: list
    height: float  # of a digit, pixels
    pen: np.ndarray  # (3,) 0 … 1
    paper: np.ndarray  # (3,) 0 … 1


def write(
    rng, glyphs, labels, *, lines, count, height, touching=0.0, loose=False, slope=0.0, own=0.35
) -> Scene:
    """Write `lines` rows of about `count` digits each, `height` pixels high, on a sheet that just
    holds them.
    """
    rows = []
    for _ in range(lines):
        number = count if lines == 1 else max(1, count + int(rng.integers(-1, 2)))
        row = []
        for _ in range(number):
            plane, label = handwriting.digit(
                rng, glyphs, labels, height * rng.uniform(0.85, 1.15), own=own
            )
            row.append((plane, label))
        rows.append(row)
    placed = []
    y = height * rng.uniform(0.3, 1.2)
    right = 0.0
    for row in rows:
        x = height * rng.uniform(0.3, 1.5)
        line = []
        for plane, label in row:
            gap = height * (rng.uniform(0.1, 0.75) if loose else rng.uniform(0.1, 0.4))
            if line and rng.random() < touching:
                gap = -height * rng.uniform(0.0, 0.06)
            x += gap
            top = y + slope * x + height - plane.shape[0] + height * rng.normal(0, 0.05)
            line.append((plane, label, x, top))
            x += plane.shape[1]
        right = max(right, x)
        placed.append(line)
        y += height * rng.uniform(1.45, 2.2)
    margin = height * rng.uniform(0.3, 1.2)
    lowest = min(top for line in placed for _, _, _, top in line)
    shift = max(0.0, height * 0.25 - lowest)
    bottom = max(top + plane.shape[0] for line in placed for plane, _, _, top in line)
    ink = np.zeros((int(bottom + shift + margin) + 2, int(right + margin) + 2), np.float32)
    truth = []
    for line in placed:
        truth.append([])
        for plane, label, left, top in line:
            x = round(left)
            y = round(top + shift)
            h, w = plane.shape
            area = ink[y : y + h, x : x + w]
            np.maximum(area, plane[: area.shape[0], : area.shape[1]], out=area)
            truth[-1].append((label, (x, y, x + w, y + h)))
    return Scene(ink, truth, height, _pen(rng), _paper(rng))


def _pen(rng, colourful=0.35) -> np.ndarray:
    if rng.random() > colourful:
        return np.array([0.05, 0.05, 0.08]) + rng.uniform(0, 0.25)
    inks = [
        (0.1, 0.15, 0.6),
        (0.05, 0.1, 0.4),
        (0.75, 0.1, 0.12),
        (0.05, 0.45, 0.2),
        (0.45, 0.1, 0.5),
        (0.85, 0.4, 0.05),
        (0.35, 0.35, 0.38),
    ]
    return np.clip(np.array(inks[rng.integers(len(inks))]) + rng.normal(0, 0.05, 3), 0, 1)


def _paper(rng) -> np.ndarray:
    if rng.random() < 0.7:
        return np.clip(rng.uniform(0.8, 1.0) + rng.normal(0, 0.02, 3), 0, 1)
    sheets = [
        (0.95, 0.9, 0.7),
        (0.7, 0.72, 0.75),
        (0.95, 0.8, 0.8),
        (0.75, 0.9, 0.8),
        (0.7, 0.85, 0.95),
        (0.8, 0.7, 0.55),
    ]
    return np.clip(np.array(sheets[rng.integers(len(sheets))]) + rng.normal(0, 0.03, 3), 0, 1)


def _smooth(rng, shape, cells) -> np.ndarray:
    """Smooth random values of about unit deviation, with so many bumps along each side."""
    coarse = rng.normal(size=(cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(
        Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    )


def rules(rng, scene: Scene, squares: bool) -> np.ndarray:
    """Printed rules or squares: coverage (H, W)."""
    height, width = scene.ink.shape
    step = scene.height * (rng.uniform(0.35, 0.8) if squares else rng.uniform(1.1, 1.9))
    plane = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(plane)
    thick = max(1, round(2 * scene.height * rng.uniform(0.012, 0.035)))
    lean = rng.normal(0, 0.012)
    bend = rng.normal(0, 0.006)
    xs = np.linspace(0, width * 2, 24)
    for at in np.arange(rng.uniform(0, step), height + abs(lean) * width + step, step):
        ys = 2 * at + lean * xs + bend * (xs - width) ** 2 / max(width, 1)
        draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=255, width=thick)
    if squares:
        ys = np.linspace(0, height * 2, 24)
        for at in np.arange(rng.uniform(0, step), width + step, step):
            draw.line(
                list(zip((2 * at - lean * ys).tolist(), ys.tolist(), strict=True)),
                fill=255,
                width=thick,
            )
    return np.asarray(plane.reduce(2), np.float32) / 255


def frame(rng, scene: Scene) -> np.ndarray:
    """A box around the writing, or the cells of a table around each digit of the first row."""
    height, width = scene.ink.shape
    plane = Image.new("L", (width, height))
    draw = ImageDraw.Draw(plane)
    gap = scene.height * rng.uniform(0.08, 0.2)
    thick = max(1, round(scene.height * rng.uniform(0.015, 0.05)))
    boxes = [box for row in scene.rows for _, box in row]
    left = min(b[0] for b in boxes) - gap
    top = min(b[1] for b in boxes) - gap
    right = max(b[2] for b in boxes) + gap
    bottom = max(b[3] for b in boxes) + gap
    draw.rectangle((left, top, right, bottom), outline=255, width=thick)
    if rng.random() < 0.6:
        for row in scene.rows:
            for (_, first), (_, second) in itertools.pairwise(row):
                if second[0] - first[2] > 3 * thick:
                    x = (first[2] + second[0]) / 2
                    draw.line(
                        (x, min(first[1], second[1]) - gap, x, max(first[3], second[3]) + gap),
                        fill=255,
                        width=thick,
                    )
    return np.asarray(plane, np.float32) / 255


def lay(rng, scene: Scene, printed: np.ndarray | None, contrast: float = 1.0) -> np.ndarray:
    """Paper, print and ink as light, (H, W, 3) float32 in 0 … 1."""
    height, width = scene.ink.shape
    grain = 0.012 * rng.random() * rng.normal(size=(height, width)) + 0.02 * rng.random() * _smooth(
        rng, (height, width), 6
    )
    sheet = scene.paper[None, None] * (1 + grain[..., None])
    if printed is not None:
        colour = np.array(
            [(0.45, 0.6, 0.85), (0.6, 0.6, 0.6), (0.85, 0.5, 0.5), (0.3, 0.3, 0.35)][
                rng.integers(4)
            ]
        )
        strength = rng.uniform(0.35, 0.9)
        sheet = sheet * (1 - printed[..., None] * strength * (1 - colour))
    pressure = np.clip(1 - 0.12 * np.abs(_smooth(rng, (height, width), 8)), 0.5, 1) * contrast
    cover = (scene.ink * pressure)[..., None]
    return (sheet * (1 - cover) + scene.pen[None, None] * sheet * cover).astype(np.float32)


def shade(rng, light: np.ndarray, hard: bool) -> np.ndarray:
    """A lamp at one side, a vignette, and where `hard` is set the shadow of a hand or a phone."""
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    lamp = 1 - rng.uniform(0, 0.3) * (0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)))
    lamp *= 1 - rng.uniform(0, 0.25) * (x**2 + y**2) / 2
    if hard:
        lamp *= 1 - _shadow(rng, height, width)
    return light * lamp[..., None]


def _shadow(rng, height, width) -> np.ndarray:
    plane = Image.new("L", (128, 128))
    draw = ImageDraw.Draw(plane)
    angle = rng.uniform(0, 2 * np.pi)
    at = rng.normal(0, 30, 2) + 64
    along = np.array([np.cos(angle), np.sin(angle)])
    over = np.array([-np.sin(angle), np.cos(angle)])
    corners = [
        at + along * a + over * b
        for a, b in ((-200, 0), (200, rng.normal(0, 40)), (200, 260), (-200, 260))
    ]
    draw.polygon([tuple(corner) for corner in corners], fill=255)
    if rng.random() < 0.4:
        r = rng.uniform(12, 40)
        draw.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), fill=255)
    plane = plane.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 10)))
    return (
        np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        / 255
        * rng.uniform(0.25, 0.6)
    )


def shoot(
    rng, light: np.ndarray, *, blur: float = 0.0, noise: float = 0.01, exposure: float = 1.0
) -> Image.Image:
    """What a camera makes of it."""
    image = Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8))
    if blur > 0.2:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    values = np.asarray(image, np.float32) / 255 * exposure
    if noise:
        values = (
            values
            + noise * rng.normal(size=values.shape[:2])[..., None]
            + 0.5 * noise * rng.normal(size=values.shape)
        )
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def pages(
    rng, n: int, glyphs, labels, *, kind: str = "wild", own: float = 0.35
) -> Iterator[tuple[bytes, Truth]]:
    """`n` pictures of one kind, or of all by turns and mixed where kind is `wild`."""
    for _ in range(n):
        chosen = kind if kind != "wild" else KINDS[rng.integers(len(KINDS))]
        image, rows, light = _picture(rng, glyphs, labels, chosen, own, mix=kind == "wild")
        text = "/".join("".join(str(label) for label, _ in row) for row in rows)
        yield _encode(rng, image, chosen), Truth(text, rows, chosen, light)


def _picture(rng, glyphs, labels, kind, own, *, mix):
    """One picture and where its digits are."""
    if kind == "canvas":
        return _canvas(rng, glyphs, labels, own)
    if kind == "tiny":
        return _tiny(rng, glyphs, labels, own)
    also = {
        name
        for name in ("shadow", "blur", "rules", "tilt", "colour", "frame")
        if mix and rng.random() < 0.12
    } | {kind}
    several = kind in ("rows", "touching", "frame", "slant") or rng.random() < 0.55
    height = (
        100 / rng.uniform(1.8, 3)
        if kind == "small" and not several
        else rng.uniform(20, 30)
        if kind == "small"
        else rng.uniform(34, 130)
    )
    lines = (
        int(rng.integers(2, 6))
        if kind == "rows"
        else int(rng.integers(1, 3))
        if several and kind != "small"
        else 1
    )
    count = int(rng.integers(2, 8)) if several else 1
    count = min(count, 4) if kind == "small" else count
    lines = 1 if kind == "slant" else lines
    slope = rng.uniform(-0.12, 0.12) if "tilt" in also and lines > 1 else rng.normal(0, 0.015)
    slope = rng.uniform(0.2, 0.5) * rng.choice([-1, 1]) if kind == "slant" else slope
    scene = write(
        rng, glyphs, labels, lines=lines, count=count, height=height, slope=slope,
        own=1.0 if kind == "thin" else own,
        touching=0.5 if kind == "touching" else 0.0, loose=several and kind != "touching",
    )  # fmt: skip
    if "colour" in also:
        scene.pen = _pen(rng, 1.0)
        scene.paper = _paper(rng)
    rows = scene.rows
    printed = rules(rng, scene, kind == "squares") if "rules" in also or kind == "squares" else None
    if "frame" in also:
        printed = np.maximum(frame(rng, scene), 0 if printed is None else printed)
    light = lay(rng, scene, printed, contrast=rng.uniform(0.75, 1.0))
    light = shade(rng, light, "shadow" in also) if kind != "inverted" else 1 - 0.9 * light
    blur = height * rng.uniform(0.03, 0.06) if "blur" in also else rng.uniform(0, 0.012) * height
    dim = (
        {"noise": rng.uniform(0.02, 0.035), "exposure": rng.uniform(0.2, 0.4)}
        if kind == "low light"
        else {"noise": rng.uniform(0, 0.02)}
    )
    image = shoot(rng, light, blur=blur, **dim)
    if "tilt" in also and lines == 1:
        image, rows = _rotate(rng, image, rows)
    if kind == "crop":
        image, rows = _cropped(rng, image, rows)
    return image, rows, kind == "inverted"


def _rotate(rng, image, rows):
    """Turned by up to 15 degrees, the corners filled with more paper."""
    angle = rng.uniform(-15, 15)
    colour = tuple(int(value) for value in np.median(np.asarray(image)[:3].reshape(-1, 3), axis=0))
    turned = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)
    a = np.deg2rad(angle)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    old = np.array(image.size) / 2
    new = np.array(turned.size) / 2
    result = []
    for row in rows:
        result.append([])
        for label, (left, top, right, bottom) in row:
            corners = (
                np.array([(left, top), (right, top), (left, bottom), (right, bottom)]) - old
            ) @ turn.T + new
            result[-1].append((label, (*corners.min(axis=0), *corners.max(axis=0))))
    return turned, result


def _cropped(rng, image, rows):
    """Cut closely around one digit, a neighbour's edge left in where it stands near."""
    row = rows[rng.integers(len(rows))]
    label, (left, top, right, bottom) = row[rng.integers(len(row))]
    size = max(right - left, bottom - top)
    m = size * rng.uniform(0.06, 0.4, 4)
    box = (
        max(0, left - m[0]),
        max(0, top - m[1]),
        min(image.width, right + m[2]),
        min(image.height, bottom + m[3]),
    )
    box = tuple(round(value) for value in box)
    return image.crop(box), [
        [(label, (left - box[0], top - box[1], right - box[0], bottom - box[1]))]
    ]


def _canvas(rng, glyphs, labels, own):
    """Drawn with a mouse or finger on a square canvas: one thick colour, no noise."""
    size = int(rng.choice([200, 280, 280, 400, 560]))
    height = size * rng.uniform(0.35, 0.85)
    label = int(rng.integers(10))
    plane = handwriting.drawn(rng, label, height, size * rng.uniform(0.03, 0.1))
    if rng.random() > max(own, 0.5):
        index = int(rng.integers(len(labels)))
        plane = handwriting.enlarged(rng, glyphs[index], height)
        label = int(labels[index])
    plane = plane[:size, :size]
    y, x = (int(rng.uniform(0, size - extent + 1)) for extent in plane.shape)
    ink = np.zeros((size, size), np.float32)
    ink[y : y + plane.shape[0], x : x + plane.shape[1]] = plane
    inverted = bool(rng.random() < 0.4)
    value = ink if inverted else 1 - ink
    image = Image.fromarray((value * 255).astype(np.uint8)).convert("RGB")
    return image, [[(label, (x, y, x + plane.shape[1], y + plane.shape[0]))]], inverted


def _tiny(rng, glyphs, labels, own):
    """A picture of 20 to 40 pixels with one digit: a thumbnail, a crop of a form."""
    plane, label = handwriting.digit(rng, glyphs, labels, 90, own=own)
    margin = (rng.uniform(0.02, 0.35, 4) * max(plane.shape)).astype(int)
    plane = np.pad(plane, ((margin[0], margin[1]), (margin[2], margin[3])))
    scene = Scene(plane, [], 90, _pen(rng), _paper(rng))
    light = shade(rng, lay(rng, scene, None), rng.random() < 0.3)
    inverted = bool(rng.random() < 0.4)
    image = shoot(rng, 1 - light if inverted else light, noise=0.02 * rng.random())
    size = int(rng.integers(20, 41))
    small = image.resize(
        (size, size)
        if rng.random() < 0.5
        else (
            max(8, size * plane.shape[1] // max(plane.shape)),
            max(8, size * plane.shape[0] // max(plane.shape)),
        ),
        Image.Resampling.BOX,
    )
    return small, [[(label, (0, 0, small.width, small.height))]], inverted


def _encode(rng, image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "small":
        image.thumbnail((100, 100))
    if kind in ("canvas", "tiny") and rng.random() < 0.6:
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=20 if kind == "jpeg" else int(rng.integers(60, 96)))
    return out.getvalue()


def crops(rng, n: int, glyphs, labels, *, own: float = 0.35) -> tuple[np.ndarray, np.ndarray]:
    """`n` digits from wild pages as Legibly finds and normalises them: (n, 28, 28) uint8 and their
    labels (n,).
    """
    from legibly.images import decode
    from legibly.vision.ink import find, normalise, paper
    from legibly.vision.ink import glyphs as pieces_of

    images = []
    truths = []
    while len(images) < n:
        for data, truth in pages(rng, 1, glyphs, labels, own=own):
            if truth.kind in ("small", "touching"):
                continue  # boxes are not kept there
            ink = paper.find_ink(decode.decode(data, max_pixels=50_000_000).pixels)
            digits_there = [entry for row in truth.rows for entry in row]
            pieces = find.find(ink)
            if max(ink.values.shape) <= find.TINY_SIDE and pieces:
                pieces = [pieces_of.merge(pieces)]
            for piece in pieces:
                match = [
                    label
                    for label, box in digits_there
                    if _overlap(piece.box, box) > 0.75 or truth.kind == "tiny"
                ]
                if len(match) == 1:
                    images.append(
                        np.round(255 * normalise.normalise(pieces_of.crop(ink, piece))).astype(
                            np.uint8
                        )
                    )
                    truths.append(match[0])
    return np.stack(images[:n]), np.array(truths[:n], np.uint8)


def mistakes(rng, n: int, glyphs, labels) -> np.ndarray:
    """`n` crops of wrong joins (two digits as one) and of printed lines and smudges found as ink:
    (n, 28, 28) uint8.
    """
    from legibly.images import decode
    from legibly.vision.ink import find, normalise, paper
    from legibly.vision.ink import glyphs as pieces_of

    images = []
    while len(images) < n:
        kind = str(
            rng.choice(
                ["plain", "touching", "rows", "rules", "squares", "frame", "shadow", "low light"]
            )
        )
        for data, truth in pages(rng, 1, glyphs, labels, kind=kind):
            ink = paper.find_ink(decode.decode(data, max_pixels=50_000_000).pixels)
            digits_there = [entry for row in truth.rows for entry in row]
            pieces = sorted(find.find(ink), key=lambda piece: piece.box[0])
            # An upright line is a 1 to anybody who sees it alone.
            wrong = [piece for piece in pieces if piece.width > 0.6 * piece.height]
            wrong = [
                piece
                for piece in wrong
                if all(_shared(piece.box, box) < 0.15 for _, box in digits_there)
            ]
            digits = [
                piece
                for piece in pieces
                if any(_overlap(piece.box, box) > 0.75 for _, box in digits_there)
            ]
            for digit in digits:
                near = [
                    other for other in digits
                    if other is not digit and 0 <= other.box[0] - digit.box[2] < 0.35 * digit.height
                    and abs(other.middle[1] - digit.middle[1]) < 0.4 * digit.height
                ]  # fmt: skip
                wrong += [pieces_of.merge([digit, other]) for other in near[:1]]
            wrong += [
                piece
                for piece in pieces
                if piece.width > 1.4 * piece.height and truth.kind == "touching"
            ]
            images += [
                np.round(255 * normalise.normalise(pieces_of.crop(ink, piece))).astype(np.uint8)
                for piece in wrong[:6]
            ]
    return np.stack(images[:n])


def _shared(first, second) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return (
        max(0.0, width) * max(0.0, height) / max(1.0, (first[2] - first[0]) * (first[3] - first[1]))
    )


def _overlap(first, second) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(0.0, width) * max(0.0, height)
    return both / (
        (first[2] - first[0]) * (first[3] - first[1])
        + (second[2] - second[0]) * (second[3] - second[1])
        - both
    )


def validation_glyphs(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The last 5,000 training images of MNIST, never trained on: glyphs for development pictures
    and the stress set.
    """
    images = np.frombuffer(
        gzip.decompress((data / "mnist/train-images-idx3-ubyte.gz").read_bytes()),
        np.uint8,
        offset=16,
    )
    labels = np.frombuffer(
        gzip.decompress((data / "mnist/train-labels-idx1-ubyte.gz").read_bytes()),
        np.uint8,
        offset=8,
    )
    return images.reshape(-1, 28, 28)[-5000:], labels[-5000:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Write a folder of synthetic pictures with labels.csv."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--each", type=int, default=100, help="pictures a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=[*KINDS, *UNTRAINED])
    args = parser.parse_args()
    glyphs, labels = validation_glyphs(args.data)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "kind", "source"])
        for kind in args.kinds:
            rng = np.random.default_rng([args.seed, [*KINDS, *UNTRAINED].index(kind)])
            for number, (data, truth) in enumerate(
                pages(rng, args.each, glyphs, labels, kind=kind)
            ):
                ending = "png" if data[:4] == bytes.fromhex("89504e47") else "jpg"
                name = f"{kind.replace(' ', '_')}_{number:04d}.{ending}"
                (args.out / name).write_bytes(data)
                table.writerow([name, truth.text, kind, "synthetic"])


if __name__ == "__main__":
    main()
