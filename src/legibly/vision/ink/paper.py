"""Computes the amount of ink per pixel, independent of the light and the colours of paper and pen.

The brightness of the blank paper is estimated, and the picture is divided by it: shadows and
vignettes multiply the brightness, so this removes them. The rest is ink, 0 paper … 1 black.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from legibly.vision.ink import components, native, planes

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

THUMB_SIDE = 140
"""The paper is estimated on a copy with about this many pixels along its longer side."""
MAX_STROKE_SHARE = 0.2
"""No stroke is thicker than this share of the longer side."""
MIN_INK = 0.07
"""Ink that darkens its paper by less than this is ignored."""
GRAIN_LIMIT = 0.06
"""A picture with more noise, as a share of the ink's strength, is smoothed first."""
MIN_PAPER = 40.0
MAX_GREY_DIFFERENCE = 8.0
"""Channels that differ by less than this everywhere count as grey."""
SMOOTHING_RADII = (1.0, 2.0, 3.5)
THIN_STROKE = 5.0
"""Strokes of at most this width, in pixels, would lose faint parts to a single threshold."""
FAINT_THRESHOLD = 0.4
"""Threshold for faint parts of a stroke, as a share of that for the rest."""
EDGE_LEVEL = 0.42
"""A stroke ends where the ink falls to this share of its full strength."""


@dataclass(frozen=True, slots=True)
class Ink:
    """The amount of ink on each pixel, and a mask of strokes.

    `values` (H, W) float32, 0 paper … 1 full contrast, below 0 where noise is brighter than paper;
    `mask` (H, W) marks strokes; `noise` is the standard deviation of the paper in the unit of
    `values`; `light`: the ink is lighter than its paper; `doubt` (0 … 1) of that decision.
    """

    values: Floats
    mask: Mask
    noise: float
    light: bool
    doubt: float

    def above(self, level: float) -> "Ink":
        """The same ink without strokes fainter than `level`."""
        return replace(self, mask=self.mask & (self.values > level))


def find_ink(pixels: Pixels, light: bool | None = None) -> Ink:
    """Tell ink from paper. `pixels` (H, W) or (H, W, 3) uint8; `light` decides what `None` leaves
    to the picture.
    """
    thumb = _thumb(pixels)
    even = _even_paper(thumb)
    doubt = 0.0
    if light is None:
        light, doubt = (even < float(thumb.mean()), 0.0) if even is not None else _polarity(thumb)
    weights = _weights(thumb, light)
    grey = _grey(pixels, weights)
    small = thumb if thumb.ndim == 2 else np.asarray(thumb @ weights, np.float32)
    if light:
        grey = 255 - grey
        small = 255.0 - small
    paper = _paper(small) if even is None else np.full_like(small, max(small[0, 0], 0.1))
    values = _divide(grey, paper)
    peaks = strength(values)
    noise, typical = _levels(values, peaks)
    for radius in SMOOTHING_RADII:
        if not planes.is_grainy(values, GRAIN_LIMIT * typical) or max(grey.shape) < 50 * radius:
            break
        values = _divide(
            np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(radius))), paper
        )
        peaks = strength(values)
        noise, typical = _levels(values, peaks)
    return Ink(
        values,
        _strokes(values, peaks, max(4.5 * noise, MIN_INK, 0.22 * typical), noise),
        noise,
        light,
        doubt,
    )


def _thumb(pixels: Pixels) -> Floats:
    """A small copy, (h, w) or (h, w, 3) float32 in 0 … 255, averaged by area."""
    factor = max(1, round(max(pixels.shape[:2]) / THUMB_SIDE))
    if factor == 1:
        return pixels.astype(np.float32)
    return planes.reduce(pixels, factor).astype(np.float32)


def _even_paper(thumb: Floats) -> float | None:
    """The brightness of perfectly even paper, as in drawing programs; None for other paper.

    It must be the brightest or darkest value, and cover half of the picture.
    """
    plane = thumb if thumb.ndim == 2 else thumb[:, :, 1]
    if not planes.has_even_border(plane):
        return None
    level = float(plane[0, 0])
    if thumb.ndim == 3 and float(np.abs(thumb - thumb[:, :, :1]).max()) >= MAX_GREY_DIFFERENCE:
        return None
    low = float(plane.min())
    high = float(plane.max())
    is_extreme = low < high and level in (low, high)
    return level if is_extreme and np.count_nonzero(plane == level) >= 0.5 * plane.size else None


def _window(shape: tuple[int, ...], share: float = MAX_STROKE_SHARE) -> int:
    height, width = shape[:2]
    return max(3, min(round(share * max(height, width)), int(0.9 * min(height, width))) | 1)


def _polarity(thumb: Floats) -> tuple[bool, float]:
    """Whether the ink is lighter than its paper, and the doubt of that (0 certain … 1 a guess).

    Ink differs strongly from the brightness around it, in few places: the skew of the difference
    shows its sign. The border of a picture is usually paper.
    """
    plane = thumb if thumb.ndim == 2 else thumb.mean(axis=2)
    if max(plane.shape) > THUMB_SIDE / 2:
        plane = np.asarray(Image.fromarray(plane).reduce(2), np.float32)
    if float(plane.max() - plane.min()) < 4.0:
        return False, 0.0  # an even sheet
    skews = []
    for share in (0.3, 0.12):
        flat = plane - planes.box(plane, _window(plane.shape, share))
        skews.append(float(np.tanh(planes.skew(flat, 0.5) / 2)))
    level = planes.otsu(plane)
    ring = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    vote = 1.2 * skews[0] + 0.6 * skews[1] - 0.7 * (2.0 * float(np.mean(ring > level)) - 1.0)
    return vote > 0.0, float(np.clip(1.0 - abs(vote) / 0.8, 0.0, 1.0))


def _weights(thumb: Floats, light: bool) -> Floats:
    """The weight of each colour channel by its contrast, summing to 1: a red pen is invisible in
    red.
    """
    if thumb.ndim == 2:
        return np.ones(1, np.float32)
    if float(np.abs(thumb - thumb[:, :, :1]).max()) < MAX_GREY_DIFFERENCE:
        return np.full(3, 1 / 3, np.float32)
    size = _window(thumb.shape)
    contrasts = np.zeros(3, np.float32)
    for channel in range(3):
        plane = 255.0 - thumb[:, :, channel] if light else thumb[:, :, channel]
        paper = planes.close(plane, size)
        contrast = np.asarray((paper - plane) / np.maximum(paper, 16.0), np.float32)
        contrasts[channel] = planes.quantiles(contrast, 0.99)[0]
    power = contrasts**2 + 0.02 * float(contrasts.max()) ** 2 + 1e-6
    return np.asarray(power / power.sum(), np.float32)


def _grey(pixels: Pixels, weights: Floats) -> Pixels:
    if pixels.ndim == 2:
        return pixels
    red, green, blue = (float(weight) for weight in weights)
    mixed = Image.fromarray(pixels).convert("L", (red, green, blue, 0.5))
    return np.asarray(mixed)


def _paper(small: Floats) -> Floats:
    """The paper's brightness under the ink, (h, w) like `small`."""
    grain = planes.grain(small) / max(planes.quantiles(small, 0.5)[0], 1.0)
    if grain > 0.03 and max(small.shape) > THUMB_SIDE / 3:
        # The closing would follow the brightest grains.
        small = planes.box(small, 3 if grain < 0.06 else 5)
    widest = _window(small.shape)
    if max(small.shape) < planes.SMALL_SIDE:
        # A small picture is mostly digit, its strokes are a larger share of it, and no shadow falls
        # across it.
        widest = _window(
            small.shape, MAX_STROKE_SHARE + 0.5 * (1.0 - max(small.shape) / planes.SMALL_SIDE)
        )
    rough = np.maximum(planes.close(small, widest), 0.1)
    # A window just wider than the strokes follows the edges of shadows best.
    size = (
        widest
        if max(small.shape) < planes.SMALL_SIDE
        else min(widest, _stroke_window(np.subtract(1.0, small / rough, dtype=np.float32)))
    )
    paper = rough if size == widest else np.maximum(planes.close(small, size), 0.1)
    ratio = np.asarray(small / paper, np.float32)
    low, high = planes.quantiles(ratio, 0.3, 0.6)
    blank = ratio > max(0.8 * high, low)
    # The closing follows the brightest grain of the paper; the mean of blank pixels nearby corrects
    # that.
    weight = planes.box(blank.astype(np.float32), size // 2 | 1)
    mean = planes.box(np.where(blank, ratio, 0.0).astype(np.float32), size // 2 | 1) / np.maximum(
        weight, 1e-3
    )
    return (paper * np.where(weight > 0.05, mean, 1.0)).astype(np.float32)


def _stroke_window(ink: Floats) -> int:
    """An odd window about three times as wide as the strokes on a small ink plane."""
    strong = ink > max(MIN_INK, 0.5 * planes.quantiles(ink, 0.995)[0])
    edges = np.count_nonzero(strong[1:] != strong[:-1]) + np.count_nonzero(
        strong[:, 1:] != strong[:, :-1]
    )
    # Edges counted along rows and columns are some 4/π longer than they are.
    width = 2.0 * np.count_nonzero(strong) / max(edges * np.pi / 4, 1.0)
    return max(7, round(3.0 * width + 2.0) | 1)


def _divide(grey: Pixels, paper: Floats) -> Floats:
    """1 − grey / paper at full size, (H, W) float32."""
    height, width = grey.shape
    if paper.shape != grey.shape:
        full = Image.fromarray(paper).resize((width, height), Image.Resampling.BILINEAR)
        paper = np.asarray(full)
    if float(paper.min()) < MIN_PAPER:
        # Black is black in any light: differences below some levels are noise.
        return np.asarray((paper - grey) / np.maximum(paper, MIN_PAPER), np.float32)
    values = np.divide(grey, paper, dtype=np.float32)
    return np.subtract(np.float32(1.0), values, out=values)


def _levels(values: Floats, peaks: Floats) -> tuple[float, float]:
    """The noise of the paper and the typical full strength of the ink, 0 where there is none."""
    sample = values[:: max(1, values.shape[0] // 256), :: max(1, values.shape[1] // 256)]
    noise = planes.noise(sample)
    inked = peaks[peaks > max(6.0 * noise, MIN_INK)]
    return noise, planes.quantiles(inked, 0.75)[0] if inked.size else 0.0


def _strokes(values: Floats, peaks: Floats, floor: float, noise: float) -> Mask:
    """A mask of strokes: ink above a share of its full strength nearby, and above `floor`."""
    level = np.maximum(EDGE_LEVEL * peaks, floor)
    block = _block(values.shape)
    if native.resizes:
        local_level, mask = native.strokes(values, level, block)
        return _with_faint_parts(values, mask, local_level, noise)
    height, width = values.shape
    local = Image.fromarray(level).resize(
        (level.shape[1] * block, level.shape[0] * block), Image.Resampling.BILINEAR
    )
    level = np.asarray(local)[:height, :width]
    return _with_faint_parts(values, values > level, level, noise)


def _with_faint_parts(values: Floats, mask: Mask, level: Floats, noise: float) -> Mask:
    """The mask with the faint parts of thin strokes: ridges of ink below `level` that are connected
    with it.
    """
    typical = width(mask)
    if not 0.0 < typical <= THIN_STROKE:
        return mask
    least = np.maximum(FAINT_THRESHOLD * level, max(3.0 * noise, 0.35 * MIN_INK))
    rows, columns = np.nonzero((values > least) & ~mask)
    side = max(2, round(0.8 * typical))
    wide = planes.pad(values, side, -1.0)
    here = wide[rows + side, columns + side]
    crest = np.zeros(len(rows), np.bool_)
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near, far = (
            np.maximum(
                wide[rows + side - step * down, columns + side - step * across],
                wide[rows + side + step * down, columns + side + step * across],
            )
            for step in (1, side)
        )
        crest |= (here >= near) & (here - far > 0.5 * least[rows, columns])
    grown = mask.copy()
    grown[rows[crest], columns[crest]] = True
    parts = components.components(grown)
    return parts.paint(parts.peak((values - level).astype(np.float32)) > 0.0)


def width(mask: Mask) -> float:
    """The typical width of strokes in pixels: twice the ink over the length of its edges."""
    if native.kernels:
        some, down, across, _ = native.count_edges(mask)
        return 2.0 * some / max((down + across) * np.pi / 4, 1.0)
    edges = np.count_nonzero(mask[1:] != mask[:-1])
    edges += np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    return 2.0 * np.count_nonzero(mask) / max(edges * np.pi / 4, 1.0)


def _block(shape: tuple[int, int]) -> int:
    return max(4, round(max(shape) / 64))


def strength(values: Floats) -> Floats:
    """The full strength of the ink near each block of the picture, (h, w) float32."""
    block = _block(values.shape)
    if native.kernels:
        return native.strength(values, block)
    height, width = values.shape
    rows = -(-height // block)
    columns = -(-width // block)
    padded = values
    if height % block or width % block:
        padded = np.full((rows * block, columns * block), -1.0, np.float32)
        padded[:height, :width] = values
    strips = padded.reshape(rows, block, columns * block).max(axis=1)
    # Turned, since NumPy is slow where it reduces the last, short axis.
    peaks = np.ascontiguousarray(strips.T).reshape(columns, block, rows).max(axis=1).T
    return planes.dilate(peaks, 5)
