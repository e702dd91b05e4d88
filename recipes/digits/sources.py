"""The sets of digits that the recipe learns from and is checked on: normalised crops, labels,
weights.

Every set becomes (N, 28, 28) uint8 crops, ink 255, through the production preprocessing
(`vision.ink.normalise`). Sets with writers weigh every writer alike. What is costly to make is
kept as .npz in a cache folder.
"""

import gzip
import sys
import urllib.request
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import strokes
import synthesis
from PIL import Image

from legibly.vision.ink import find, glyphs, normalise, paper

REJECT = 10
"""The label of what is no digit."""
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # MNIST, CC BY-SA 3.0
WHERE = {  # what stands where under DATA, and where it comes from
    "mnist": "the four idx files of MNIST, gzipped; without --offline they are fetched",
    "opencv_digits": "opencv_digits.npz: x (5000, 20, 20) uint8, y; "
    "cut from samples/data/digits.png of OpenCV",
    "semeion": "semeion.npz: x (1593, 16, 16) uint8, y; UCI, Semeion Handwritten Digit",
    "optdigits": "optdigits.tra, tab separated; UCI, Optical Recognition of Handwritten Digits",
    "kensanata": "digits.npz and raw_gray.npz: x (N, 64, 64), y, w, split, writers; "
    "github.com/kensanata/numbers",
    "pendigits": "digits.npz: pts, off, y, w, split; UCI, Pen-Based Recognition, original strokes",
    "uji": "chars.npz: pts, off, y, w, split; UCI, UJI Pen Characters",
    "skahl": "digits.npz: pts, off, y, w, split; github.com/skahl/handwritten-digits-corpus",
    "fonts": "fonts.csv (file, sample_weight, split) and ttf/: handwriting fonts, freely licensed",
    "greek": "may be missing; files/*-greek-*-normal.woff of @fontsource/mansalva, mynerve and "
    "comic-relief (npm): handwriting fonts under OFL-1.1",
    "rejects": "omniglot_small1.zip (images_background_small1) and "
    "notmnist-{images-idx3,labels-idx1}-ubyte.gz",
    "usps": "usps.npz: x_train, y_train (16 × 16); validation only",
    "canvas": "canvas_glut_100.npz: x (N, 100, 100), ink dark, y; validation only",
}


@dataclass(frozen=True)
class Crops:
    """Crops with labels; `weight` (N,) sums to 1 and says how often each is drawn."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def weighted(x: np.ndarray, y: np.ndarray, writer: np.ndarray | None = None) -> Crops:
    """Crops that count alike, or whose writers count alike."""
    weight = np.ones(len(x)) if writer is None else 1 / np.bincount(writer)[writer]
    return Crops(x, y.astype(np.int64), weight / weight.sum())


class Data:
    """The DATA folder: opens its files, says what is missing, keeps costly crops in `cache`."""

    def __init__(self, folder: Path, *, cache: Path | None = None, offline: bool = False) -> None:
        self.folder = folder
        self.cache = cache
        self.offline = offline

    def path(self, name: str) -> Path:
        """A file under DATA. Ends the program, saying what to put where, if it is missing."""
        path = self.folder / name
        if not path.exists():
            sys.exit(f"{path} is missing: put there {WHERE[name.split('/')[0]]}")
        return path

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Every array of an .npz file under DATA."""
        with np.load(self.path(name)) as file:
            return {key: file[key] for key in file.files}

    def cached(
        self, name: str, build: Callable[[np.random.Generator], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The arrays that `build` makes with a generator seeded by `name`: always the same."""
        path = self.cache / f"{name}.npz" if self.cache else None
        if path and path.exists():
            with np.load(path) as file:
                return {key: file[key] for key in file.files}
        arrays = build(np.random.default_rng(zlib.crc32(name.encode())))
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **arrays)
        return arrays

    def mnist(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """MNIST's `train` or `t10k` part, fetched where it is missing."""
        arrays = []
        for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
            path = self.folder / "mnist" / name
            if not path.exists() and not self.offline:
                print(f"fetching {name}", flush=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                with urllib.request.urlopen(MIRROR + name, timeout=60) as answer:
                    path.write_bytes(answer.read())
            arrays.append(idx(self.path(f"mnist/{name}")))
        return arrays[0], arrays[1].astype(np.int64)


def idx(path: Path) -> np.ndarray:
    """Read an idx file, gzipped or not."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def to_crop(ink: np.ndarray) -> np.ndarray:
    """A grey picture of one item, ink 255 → (28, 28) uint8, through production preprocessing."""
    return (normalise.normalise(ink.astype(np.float32) / 255) * 255).round().astype(np.uint8)


def crops(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Pictures of one item each → (N, 28, 28) uint8."""
    return np.stack([to_crop(picture) for picture in pictures])


def plain(data: Data) -> dict[str, np.ndarray]:
    """The sets without writers, `NAME_x` and `NAME_y`: OpenCV's grid, Semeion, optdigits' training
    part, and
    for validation USPS' training part and the canvas drawings."""

    def build(_rng: np.random.Generator) -> dict[str, np.ndarray]:
        grid = data.arrays("opencv_digits/opencv_digits.npz")
        semeion = data.arrays("semeion/semeion.npz")
        table = np.loadtxt(data.path("optdigits/optdigits.tra"), delimiter="\t", dtype=np.int64)
        few = (table[:, :64].reshape(-1, 8, 8) * 255 // 16).astype(np.uint8)
        usps = data.arrays("usps/usps.npz")
        canvas = data.arrays("canvas/canvas_glut_100.npz")
        return {
            "opencv_x": crops(grid["x"]), "opencv_y": grid["y"],
            "semeion_x": crops(np.kron(semeion["x"], np.ones((1, 2, 2), np.uint8))),
            "semeion_y": semeion["y"],
            "optdigits_x": crops(resized(few, 32)), "optdigits_y": table[:, 64],
            "usps_x": crops(resized(usps["x_train"], 64)), "usps_y": usps["y_train"],
            "canvas_x": crops(255 - canvas["x"]), "canvas_y": canvas["y"],
        }  # fmt: skip

    return data.cached("plain", build)


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Square pictures enlarged smoothly to `side` pixels."""
    how = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(x).resize((side, side), how)) for x in images])


# ---- Sets with writers: the training part, and the writers kept for validation ----


def scanned(data: Data) -> dict[str, np.ndarray]:
    """Kensanata: cleaned cells, the same at few pixels, and raw cells of training writers as
    Legibly cuts them.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        clean = data.arrays("kensanata/digits.npz")
        raw = data.arrays("kensanata/raw_gray.npz")
        train = np.flatnonzero(clean["split"] == 0)
        x = [crops(clean["x"][train]), crops(small(rng, clean["x"][i]) for i in train)]
        y = [clean["y"][train]] * 2
        w = [clean["w"][train]] * 2
        for i in np.flatnonzero(raw["split"] == 0):
            crop = cut(raw["x"][i])
            if crop is not None:
                x.append(crop[None])
                y.append(raw["y"][i : i + 1])
                w.append(raw["w"][i : i + 1])
        check = clean["split"] == 1
        return {
            "x": np.concatenate(x), "y": np.concatenate(y), "w": np.concatenate(w),
            "check_x": crops(clean["x"][check]), "check_y": clean["y"][check],
        }  # fmt: skip

    return data.cached("kensanata", build)


def small(rng: np.random.Generator, ink: np.ndarray) -> np.ndarray:
    """The same ink at few pixels and a little noise, as a thumbnail or a distant photo has it."""
    rows = np.flatnonzero(ink.max(axis=1) > 60)
    columns = np.flatnonzero(ink.max(axis=0) > 60)
    tight = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = rng.uniform(13, 28) / max(tight.size)
    size = (max(2, round(tight.width * scale)), max(2, round(tight.height * scale)))
    values = np.pad(np.asarray(tight.resize(size, Image.Resampling.BOX), np.float32), 2)
    peak = np.quantile(values[values > 20], 0.9) if (values > 20).any() else 255.0
    values = values * 255 / peak + rng.uniform(0, 12) * rng.normal(size=values.shape)
    values[values < 25] = 0  # as the paper's noise is cut off in production
    return np.clip(values, 0, 255).astype(np.uint8)


def cut(cell: np.ndarray) -> np.ndarray | None:
    """The one large piece of ink of a scanned cell, found and cut as in production; None if it is
    not the only.
    """
    ink = paper.find_ink(np.repeat(cell[..., None], 3, axis=2))
    pieces = find.find(ink)
    area = sum(piece.area for piece in pieces)
    large = [piece for piece in pieces if piece.area > 0.9 * area and piece.height > 14]
    return _crop_of(ink, large[0]) if large else None


def picture_crop(picture: np.ndarray) -> np.ndarray | None:
    """The ink of a picture of one digit, found and cut as in production: all of it in a tiny one,
    else the one large piece; None if there is none.
    """
    ink = paper.find_ink(np.repeat(picture[..., None], 3, axis=2))
    pieces = find.find(ink)
    if max(picture.shape) <= find.TINY_SIDE and pieces:
        return _crop_of(ink, glyphs.merge(pieces))
    area = sum(piece.area for piece in pieces)
    large = [piece for piece in pieces if piece.area > 0.8 * area]
    return _crop_of(ink, large[0]) if large else None


def _crop_of(ink: paper.Ink, piece: glyphs.Piece) -> np.ndarray:
    return np.round(255 * normalise.normalise(glyphs.crop(ink, piece))).astype(np.uint8)


def drawn(data: Data, name: str, file: str, times: int) -> dict[str, np.ndarray]:
    """A set of pen strokes, each character of a training writer drawn `times` times, of others
    once.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        characters, columns = strokes.load(data.path(file))
        digit = np.char.isdigit(columns["y"].astype(str))
        arrays = {}
        for part, split, repeat in (("", 0, times), ("check_", 1, 1)):
            chosen = np.repeat(np.flatnonzero(digit & (columns["split"] == split)), repeat)
            arrays[f"{part}x"] = crops(strokes.draw(rng, characters[i]) for i in chosen)
            arrays[f"{part}y"] = columns["y"][chosen].astype(np.int64)
            arrays[f"{part}w"] = columns["w"][chosen]
        return arrays

    return data.cached(name, build)


def typed(data: Data, times: int) -> dict[str, np.ndarray]:
    """Digits of handwriting fonts, `times` ways of each; the weight is the font's."""

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        x = []
        y = []
        weight = []
        data.path("fonts/fonts.csv")
        for font in strokes.fonts(data.folder / "fonts"):
            for digit in range(10) if not font.validation else ():
                for _ in range(times):
                    picture = strokes.character(rng, font.path, str(digit))
                    if picture is not None and picture.max() > 60:
                        x.append(to_crop(picture))
                        y.append(digit)
                        weight.append(font.weight)
        return {"x": np.stack(x), "y": np.array(y), "weight": np.array(weight)}

    return data.cached("fonts", build)


def pages(data: Data, count: int) -> dict[str, np.ndarray]:
    """Crops off synthetic pages as Legibly finds them, and wrong cuts, of training hands and
    (`check_`) of others.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        arrays = {}
        scans = data.arrays("kensanata/digits.npz")
        images, labels = data.mnist("train")
        parts = (("", slice(0, -5000), 0, count), ("check_", slice(-5000, None), 1, count // 8))
        for prefix, part, split, n in parts:
            scan = scans["split"] == split
            hands = [*images[part], *scans["x"][scan]]
            hand_labels = np.concatenate([labels[part], scans["y"][scan]])
            # Two of three digits are MNIST's, whatever the sizes of the two sets.
            order = _mixed(rng, len(images[part]), int(scan.sum()))
            glyph_list = [hands[i] for i in order]
            arrays[f"{prefix}x"], arrays[f"{prefix}y"] = synthesis.crops(
                rng, n, glyph_list, hand_labels[order], own=0.25
            )
            arrays[f"{prefix}wrong"] = synthesis.mistakes(
                rng, n // 3, glyph_list, hand_labels[order]
            )
        return arrays

    return data.cached("pages", build)


def _mixed(rng: np.random.Generator, first: int, second: int) -> np.ndarray:
    """Indices of two sets laid end to end, two of three from the first."""
    count = min(first, 20_000)
    return np.concatenate(
        [
            rng.choice(first, count, replace=False),
            first + rng.choice(second, count // 2, replace=count // 2 > second),
        ]
    )
