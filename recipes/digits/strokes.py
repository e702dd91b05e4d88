"""Draw pen strokes and letters of handwriting fonts, as a pen of any width would leave them on
paper.

Strokes: x and y from 0, the longer side of a character 1, y downwards; in the files a third column
is 1 at the last point before the pen is lifted. Pictures: (h, w) uint8, ink 255, paper 0.
"""

import csv
import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Strokes = list[np.ndarray]
FINE = 2
"""Strokes are drawn this many times larger, then averaged by area."""


def load(path: Path) -> tuple[list[Strokes], dict[str, np.ndarray]]:
    """Every character's strokes, and the other columns of the file (`y`, `w`, `split`)."""
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files}
    points = columns.pop("pts").astype(np.float32)
    starts = columns.pop("off")
    characters = []
    for start, end in itertools.pairwise(starts):
        character = points[start:end]
        lifts = np.flatnonzero(character[:, 2] > 0.5) + 1
        characters.append([part[:, :2] for part in np.split(character, lifts[:-1]) if len(part)])
    return characters, columns


def draw(rng: np.random.Generator, strokes: Strokes, height: int = 56) -> np.ndarray:
    """Draw a character with a random pen (thin to marker), slant, turn, wobble and taper."""
    pen = FINE * height * np.exp(rng.uniform(np.log(0.025), np.log(0.15)))
    taper = rng.uniform(0, 0.7) * (rng.random() < 0.4)
    placed = _place(rng, strokes, FINE * height, pen)
    size = np.ceil(np.concatenate(placed).max(axis=0) + pen + 4).astype(int)
    plane = Image.new("L", (int(size[0]) // FINE * FINE + FINE, int(size[1]) // FINE * FINE + FINE))
    canvas = ImageDraw.Draw(plane)
    for path in placed:
        along = np.abs(np.linspace(-1, 1, len(path))) if len(path) > 1 else np.zeros(1)
        _ink(canvas, path, pen / 2 * (1 - taper * along**3))
    return np.asarray(plane.reduce(FINE))


def _place(rng: np.random.Generator, strokes: Strokes, height: float, pen: float) -> Strokes:
    """Slant, turn, stretch and bend strokes, then scale them to `height` pixels, the pen's width
    left around.
    """
    angle = np.deg2rad(np.clip(rng.normal(0, 5), -12, 12))
    slant = rng.normal(0, 0.15)
    aspect = np.exp(rng.normal(0, 0.15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    change = turn @ np.array([[aspect, -slant], [0, 1]])
    wobble = rng.uniform(0, 0.02)
    bent = []
    for stroke in strokes:
        drift = np.cumsum(rng.normal(size=stroke.shape), axis=0)
        drift = drift / np.sqrt(np.arange(1, len(stroke) + 1))[:, None]
        bent.append(_thin_out(stroke @ change.T + wobble * drift))
    points = np.concatenate(bent)
    low = points.min(axis=0)
    extent = points.max(axis=0) - low
    scale = (height - pen) / max(extent[1], 0.35 * extent[0], 1e-3)
    return [(stroke - low) * scale + pen / 2 + 2 for stroke in bent]


def _thin_out(stroke: np.ndarray, most: int = 40) -> np.ndarray:
    """At most so many points of a stroke, its ends among them."""
    if len(stroke) <= most:
        return stroke
    return stroke[np.linspace(0, len(stroke) - 1, most).round().astype(int)]


def _ink(canvas: ImageDraw.ImageDraw, path: np.ndarray, radius: np.ndarray) -> None:
    """Draw one stroke: a disc at every point, a line between two."""
    for i, (x, y) in enumerate(path):
        r = float(radius[i])
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=255)
        if i:
            width = max(1, round(2 * r))
            canvas.line([tuple(path[i - 1]), (x, y)], fill=255, width=width)


@dataclass(frozen=True)
class Font:
    """One font file, the weight of its samples and whether it is for validation."""

    path: Path
    weight: float
    validation: bool


def fonts(folder: Path) -> list[Font]:
    """The fonts that `fonts.csv` lists."""
    with (folder / "fonts.csv").open(newline="", encoding="utf-8") as file:
        return [
            Font(folder / "ttf" / row["file"], float(row["sample_weight"]), row["split"] == "val")
            for row in csv.DictReader(file)
        ]


@lru_cache(maxsize=8)
def _typeface(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), 80, layout_engine=ImageFont.Layout.BASIC)


def character(rng: np.random.Generator, path: Path, sign: str) -> np.ndarray | None:
    """One character of a font, slanted, stretched, thickened or thinned; None where the font lacks
    it.
    """
    font = _typeface(path)
    left, top, right, bottom = font.getbbox(sign)
    mask = font.getmask(sign)
    if right <= left or bottom <= top or bytes(mask) == bytes(font.getmask("\uffff")):
        return None
    margin = 30
    plane = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    ImageDraw.Draw(plane).text((margin - left, margin - top), sign, font=font, fill=255)
    slant = rng.normal(0, 0.12)
    wide = np.exp(rng.normal(0, 0.12))
    change = (wide, slant, -slant * plane.height / 2 - (wide - 1) * plane.width / 2, 0, 1, 0)
    plane = plane.transform(plane.size, Image.Transform.AFFINE, change, Image.Resampling.BILINEAR)
    thicken = rng.random()
    if thicken < 0.25:
        plane = plane.filter(ImageFilter.MaxFilter(int(rng.choice([3, 5, 7]))))
    elif thicken < 0.35:
        thinner = plane.filter(ImageFilter.MinFilter(3))
        plane = thinner if np.asarray(thinner).sum() > 0.5 * np.asarray(plane).sum() else plane
    return np.asarray(plane)
