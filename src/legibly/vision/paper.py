"""Paper and ink: from pixels to how much ink lies where, whatever the light, the paper's colour and the pen's.

The paper's brightness is estimated as if nothing were written on it, and the picture is divided by it: shadows and
vignettes multiply what the camera sees, so dividing takes them out. What remains is ink, 0 paper … 1 black.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

THUMB_SIDE = 200
"""Paper is estimated on a picture of about this many pixels along its longer side."""
WINDOW = 0.2
"""No stroke is thicker than this share of the longer side."""
FAINTEST = 0.07
"""Ink that darkens its paper by less than this is not seen."""
GRAINY = 0.06
"""From this share of noise in the ink's strength on, the picture is smoothed first."""
SMOOTHING = (1.0, 2.0, 3.5)
EDGE = 0.42
"""A stroke ends where the ink falls to this share of its full strength."""


@dataclass(frozen=True, slots=True)
class Ink:
    """How much ink lies on each pixel, and where strokes are.

    `values` (H, W) float32, 0 paper … 1 full contrast, below 0 where noise is brighter than paper; `mask` (H, W) says
    where strokes are; `noise` is the paper's standard deviation in the unit of `values`; `light` says that the
    ink is lighter than its paper; `doubt` in 0 … 1 is how nearly that was decided the other way.
    """

    values: Floats
    mask: Mask
    noise: float
    light: bool
    doubt: float

    def above(self, level: float) -> "Ink":
        """The same ink, strokes fainter than `level` left out."""
        return replace(self, mask=self.mask & (self.values > level))


def find_ink(pixels: Pixels, light: bool | None = None) -> Ink:
    """Tell ink from paper. `pixels` (H, W) or (H, W, 3) uint8; `light` decides what `None` leaves to the picture."""
    thumb = _thumb(pixels)
    if light is None:
        light, doubt = _polarity(thumb)
    else:
        doubt = 0.0
    weights = _weights(thumb, light)
    grey = _grey(pixels, weights)
    small = thumb if thumb.ndim == 2 else np.asarray(thumb @ weights, np.float32)
    if light:
        grey, small = 255 - grey, 255.0 - small
    paper = _paper(small)
    values = _divide(grey, paper)
    noise, typical = _levels(values)
    for radius in SMOOTHING:
        if _grain(values) <= GRAINY * typical or max(grey.shape) < 50 * radius:
            break
        values = _divide(np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(radius))), paper)
        noise, typical = _levels(values)
    return Ink(values, _strokes(values, noise, typical), noise, light, doubt)


def _thumb(pixels: Pixels) -> Floats:
    """A small copy, (h, w) or (h, w, 3) float32 in 0 … 255, averaged by area."""
    factor = max(1, round(max(pixels.shape[:2]) / THUMB_SIDE))
    if factor == 1:
        return pixels.astype(np.float32)
    return np.asarray(Image.fromarray(pixels).reduce(factor), np.float32)


def _window(shape: tuple[int, ...], share: float = WINDOW) -> int:
    height, width = shape[:2]
    return max(3, min(round(share * max(height, width)), int(0.9 * min(height, width))) | 1)


def _dilate(plane: Floats, size: int) -> Floats:
    """The largest value in a square window of odd `size`, cut off at the borders."""
    for axis in (0, 1):
        plane = _slide(plane, size, axis)
    return plane


def _slide(plane: Floats, size: int, axis: int) -> Floats:
    """A running maximum along one axis, by doubling."""
    half = size // 2
    pad = [(0, 0), (0, 0)]
    pad[axis] = (half, half)
    wide = np.pad(plane, pad, constant_values=-np.inf)
    length, covered = plane.shape[axis], 1
    while covered < size:
        step = min(covered, size - covered)
        count = wide.shape[axis] - step
        ahead = wide[step:] if axis == 0 else wide[:, step:]
        here = wide[:count] if axis == 0 else wide[:, :count]
        wide = np.maximum(here, ahead)
        covered += step
    return wide[:length] if axis == 0 else wide[:, :length]


def _close(plane: Floats, size: int) -> Floats:
    """Fill dark features narrower than `size` with the brightness around them."""
    return -_dilate(-_dilate(plane, size), size)


def _polarity(thumb: Floats) -> tuple[bool, float]:
    """Whether the ink is lighter than its paper, and how doubtful that is (0 certain … 1 a coin's toss).

    Ink stands out from the brightness around it in few places, and much: the skew of that difference tells its sign,
    whatever the light. What lies along the border is paper more often than not.
    """
    plane = thumb if thumb.ndim == 2 else thumb.mean(axis=2)
    skews = []
    for share in (0.3, 0.12):
        flat = plane - _box(plane, _window(plane.shape, share))
        deviation = float(flat.std())
        skews.append(float(np.tanh(np.mean((flat / max(deviation, 0.5)) ** 3) / 2)))
    level = _otsu(plane)
    ring = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    vote = 1.2 * skews[0] + 0.6 * skews[1] - 0.7 * (2.0 * float(np.mean(ring > level)) - 1.0)
    return vote > 0.0, float(np.clip(1.0 - abs(vote) / 0.8, 0.0, 1.0))


def _otsu(plane: Floats) -> float:
    """The level that best parts dark from bright (Otsu 1979)."""
    low, high = float(plane.min()), float(plane.max())
    if high - low < 1e-3:
        return low
    counts, edges = np.histogram(plane, bins=64, range=(low, high))
    middle = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts).astype(np.float64)
    mass = np.cumsum(counts * middle)
    above = below[-1] - below
    gap = mass / np.maximum(below, 1) - (mass[-1] - mass) / np.maximum(above, 1)
    return float(edges[int(np.argmax(below * above * gap**2)) + 1])


def _weights(thumb: Floats, light: bool) -> Floats:
    """How much each colour channel shows the ink, summing to 1: red and blue pens hide in one channel or two."""
    if thumb.ndim == 2:
        return np.ones(1, np.float32)
    size = _window(thumb.shape)
    seen = np.zeros(3, np.float32)
    for channel in range(3):
        plane = 255.0 - thumb[:, :, channel] if light else thumb[:, :, channel]
        paper = _close(plane, size)
        contrast = np.clip((paper - plane) / np.maximum(paper, 16.0), 0.0, 1.0)
        seen[channel] = np.partition(contrast.ravel(), -max(1, contrast.size // 100))[-max(1, contrast.size // 100)]
    power = seen**2 + 0.02 * float(seen.max()) ** 2 + 1e-6
    return np.asarray(power / power.sum(), np.float32)


def _grey(pixels: Pixels, weights: Floats) -> Pixels:
    if pixels.ndim == 2:
        return pixels
    red, green, blue = (float(weight) for weight in weights)
    mixed = Image.fromarray(pixels).convert("L", (red, green, blue, 0.5))
    return np.asarray(mixed)


def _paper(small: Floats) -> Floats:
    """The paper's brightness under the ink, (h, w) like `small`."""
    grain = _grain(small) / max(float(np.median(small)), 1.0)
    if grain > 0.03 and max(small.shape) > THUMB_SIDE / 3:
        # The closing would follow the brightest grains.
        small = _box(small, 3 if grain < 0.06 else 5)
    widest = _window(small.shape)
    rough = np.maximum(_close(small, widest), 8.0)
    # A window just wider than the strokes follows the edges of shadows best.
    size = min(widest, _stroke_window(np.subtract(1.0, small / rough, dtype=np.float32)))
    paper = rough if size == widest else np.maximum(_close(small, size), 8.0)
    ratio = small / paper
    blank = ratio > max(0.8 * float(np.quantile(ratio, 0.6)), float(np.quantile(ratio, 0.3)))
    # The closing follows the brightest grain of the paper; the mean of what is blank nearby puts that right.
    weight = _box(blank.astype(np.float32), size // 2 | 1)
    mean = _box(np.where(blank, ratio, 0.0).astype(np.float32), size // 2 | 1) / np.maximum(weight, 1e-3)
    return paper * np.where(weight > 0.05, mean, 1.0).astype(np.float32)


def _stroke_window(ink: Floats) -> int:
    """An odd window about three times as wide as the strokes on a small ink plane."""
    strong = ink > max(FAINTEST, 0.5 * float(np.quantile(ink, 0.995)))
    edges = np.count_nonzero(strong[1:] != strong[:-1]) + np.count_nonzero(strong[:, 1:] != strong[:, :-1])
    # Edges counted along rows and columns are some 4/π longer than they are.
    width = 2.0 * np.count_nonzero(strong) / max(edges * np.pi / 4, 1.0)
    return max(7, round(3.0 * width + 2.0) | 1)


def _box(plane: Floats, size: int) -> Floats:
    """The mean over a square window of odd `size`, edges repeated."""
    half = size // 2
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (half + 1, half)
        total = np.cumsum(np.pad(plane, pad, mode="edge"), axis=axis, dtype=np.float64)
        high = total[size:] if axis == 0 else total[:, size:]
        low = total[:-size] if axis == 0 else total[:, :-size]
        plane = ((high - low) / size).astype(np.float32)
    return plane


def _divide(grey: Pixels, paper: Floats) -> Floats:
    """1 − grey / paper at full size, (H, W) float32."""
    height, width = grey.shape
    if paper.shape != grey.shape:
        full = Image.fromarray(paper).resize((width, height), Image.Resampling.BILINEAR)
        paper = np.asarray(full)
    values = np.divide(grey, paper, dtype=np.float32)
    return np.subtract(np.float32(1.0), values, out=values)


def _levels(values: Floats) -> tuple[float, float]:
    """The noise of the paper and the typical full strength of the ink, 0 where there is none."""
    sample = values[:: max(1, values.shape[0] // 256), :: max(1, values.shape[1] // 256)]
    noise = _noise(sample)
    peaks = strength(values)
    inked = peaks[peaks > max(6.0 * noise, FAINTEST)]
    return noise, float(np.quantile(inked, 0.75)) if inked.size else 0.0


def _strokes(values: Floats, noise: float, typical: float) -> Mask:
    """Where strokes are, (H, W)."""
    floor = max(4.5 * noise, FAINTEST, 0.22 * typical)
    level = np.maximum(EDGE * strength(values), floor)
    block = _block(values.shape)
    height, width = values.shape
    local = Image.fromarray(level).resize((level.shape[1] * block, level.shape[0] * block), Image.Resampling.BILINEAR)
    return np.asarray(values > np.asarray(local)[:height, :width])


def _grain(values: Floats) -> float:
    """The standard deviation of what changes from pixel to pixel: noise that smoothing takes out."""
    rows = values[:: max(1, values.shape[0] // 128)]
    return 0.49 * float(np.quantile(np.abs(rows[:, 2:] - rows[:, :-2]), 0.85))  # 1 / (1.44 √2)


def _noise(sample: Floats) -> float:
    """The standard deviation of blank paper, from the values below its median: ink lies above only."""
    middle, low = np.quantile(sample, (0.5, 0.01))
    below = sample[sample <= middle]
    if not below.size:
        return 0.0
    # JPEG flattens most of the noise and leaves some peaks of it: the tail counts as well as the middle.
    return float(max(1.4826 * np.median(middle - below), (middle - low) / 2.33))


def _block(shape: tuple[int, int]) -> int:
    return max(4, round(max(shape) / 64))


def strength(values: Floats) -> Floats:
    """The full strength of the ink near each block of the picture, (h, w) float32."""
    block = _block(values.shape)
    height, width = values.shape
    rows, columns = -(-height // block), -(-width // block)
    padded = np.full((rows * block, columns * block), -1.0, np.float32)
    padded[:height, :width] = values
    peaks = padded.reshape(rows, block, columns, block).max(axis=(1, 3))
    return _dilate(peaks, 5)
