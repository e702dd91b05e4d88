"""Digits of the training sets as bad pictures show them, cut out as in production: moved while the
picture was taken, struck through, written with a thin or faint pen.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sources import Data, picture_crop

KINDS = ("blurred", "struck")


def bad_pictures(data: Data, count: int) -> dict[str, np.ndarray]:
    """`KIND_x`, `KIND_y` of MNIST: `count` moved and as many struck through; `check_…` are a
    twentieth as many of held-out hands.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        images, labels = data.mnist("train")
        arrays = {}
        parts = (("", slice(0, -5000), 1), ("check_", slice(-5000, None), 20))
        for kind, change in (("blurred", motion_blur), ("struck", strike_through)):
            for prefix, part, share in parts:
                x, y = _changed(rng, change, images[part], labels[part], max(10, count // share))
                arrays[f"{prefix}{kind}_x"] = x
                arrays[f"{prefix}{kind}_y"] = y
        return arrays

    return data.cached("bad_pictures", build)


def faint_scans(data: Data, count: int) -> dict[str, np.ndarray]:
    """`count` raw cells of the training writers of kensanata, thinned, at few pixels or with little
    contrast.
    """

    def build(rng: np.random.Generator) -> dict[str, np.ndarray]:
        raw = data.arrays("kensanata/raw_gray.npz")
        x = []
        chosen = []
        for i in rng.choice(np.flatnonzero(raw["split"] == 0), count):
            crop = picture_crop(faint(rng, raw["x"][i]))
            if crop is not None:
                x.append(crop)
                chosen.append(i)
        return {"x": np.stack(x), "y": raw["y"][chosen], "w": raw["w"][chosen]}

    return data.cached("faint_scans", build)


def _changed(rng, change, images, labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    crops = []
    chosen = []
    for i in rng.integers(len(images), size=count):
        ink = change(rng, images[i], int(labels[i]))
        paper = int(rng.integers(200, 256)) if rng.random() < 0.5 else 255
        crop = picture_crop(np.round(paper - ink * (paper / 255.0)).astype(np.uint8))
        if crop is not None and not (change is motion_blur and lies_flat(crop)):
            crops.append(crop)
            chosen.append(i)
    return np.stack(crops), labels[chosen]


def lies_flat(crop: np.ndarray) -> bool:
    """Whether the ink is much wider than high, as of no digit: it may be a dash or `=` as well."""
    rows = np.flatnonzero((crop > 60).any(axis=1))
    columns = np.flatnonzero((crop > 60).any(axis=0))
    return len(rows) == 0 or np.ptp(rows) + 1 < 0.7 * (np.ptp(columns) + 1)


def motion_blur(rng: np.random.Generator, ink: np.ndarray, _label: int) -> np.ndarray:
    """The mean of pictures along a straight or bent path of 2 to 11 of 28 pixels."""
    angle = rng.uniform(0, np.pi)
    length = rng.uniform(2, 11)
    along = np.linspace(-length / 2, length / 2, int(rng.integers(8, 20)))
    bend = rng.normal(0, 0.03) * along**2
    plane = Image.fromarray(np.pad(ink.astype(np.float32), 8))
    total = np.zeros(np.asarray(plane).shape, np.float32)
    for a, b in zip(along, bend - bend.mean(), strict=True):
        x = a * np.cos(angle) - b * np.sin(angle)
        y = a * np.sin(angle) + b * np.cos(angle)
        shift = (1, 0, x, 0, 1, y)
        total += plane.transform(
            plane.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR
        )
    full = total / total.max() * 255
    spread = full if rng.random() < 0.6 else total / len(along)
    cut = int(rng.integers(4, 9))  # what was moved may leave the picture
    return spread[cut:-cut, cut:-cut]


def strike_through(rng: np.random.Generator, ink: np.ndarray, label: int) -> np.ndarray:
    """A straight, bent or jagged line over the digit, from side to side or within the picture."""
    scale = 4
    side = 28 * scale
    plane = Image.new("L", (side, side))
    start = rng.uniform(-0.1, 0.25)
    end = rng.uniform(0.75, 1.1)
    straightest = 6 if label == 1 else 2  # a 1 with a straight line is a plus sign as well
    count = int(rng.integers(straightest, 13))
    across = np.linspace(start, end, count) + rng.normal(0, 0.01, count)
    middle = np.interp(across, (0, 1), rng.uniform(0.15, 0.85, 2))
    jags = rng.uniform(0.02, 0.16) * np.resize((1, -1), count) * rng.uniform(0.6, 1.3, count)
    points = np.stack([across, middle + jags], axis=1) * side
    if rng.random() < 0.25:
        points = points[:, ::-1]
    pen = ImageDraw.Draw(plane)
    pen.line([tuple(point) for point in points], fill=255, width=int(rng.integers(2, 9)))
    line = np.asarray(plane.resize((28, 28), Image.Resampling.BOX), np.float32)
    return np.maximum(ink, line * rng.uniform(0.6, 1))


def faint(rng: np.random.Generator, cell: np.ndarray) -> np.ndarray:
    """A scanned cell, dark ink on light paper, with thinner strokes, fewer pixels, less contrast;
    two of the three at least.
    """
    left_out = rng.integers(5)
    plane = Image.fromarray(cell)
    if left_out != 0:
        fine = plane.resize((128, 128), Image.Resampling.BICUBIC)
        thin = fine.filter(ImageFilter.MaxFilter(int(rng.choice([3, 5]))))
        plane = thin.resize((64, 64), Image.Resampling.BOX)
    if left_out != 1:
        side = int(rng.integers(26, 64))
        plane = plane.resize((side, side), Image.Resampling.BOX)
    values = np.asarray(plane, np.float32)
    if left_out != 2:
        paper = np.median(values)
        values = paper - (paper - values) * rng.uniform(0.2, 0.8)
        values = values + rng.normal(0, rng.uniform(0, 3), values.shape)
    return np.clip(values, 0, 255).astype(np.uint8)
