"""Synthetic lines of digits for the line reader: glyphs that touch, rules, boxes, signs, noise.

A line is (32, W) float32, 0 paper … 1 ink, digits some 20 pixels high, as `vision.line` cuts them
out of a page. Its label is the sequence of digits and of signs that are no digits (`OTHER`).
All lines of a batch are written at once, on PyTorch's default device.
"""

import math
from dataclasses import dataclass

import network as nets
import numpy as np
import torch
from torch.nn import functional

HEIGHT = 32
GLYPH = 28
BLANK = 0
OTHER = 11
"""Labels: 0 is CTC's blank, 1 to 10 the digits 0 to 9, 11 a sign that is no digit."""
OUTPUTS = 12
MAX_DIGITS = 10
"""A line has at most so many digits and signs."""
CLOSE = ((-5.0, 0.0), 0.45), ((-1.5, 5.0), 0.55)
APART = ((2.0, 16.0), 0.85), ((14.0, 34.0), 0.15)
APART_SHARE = 0.2
"""The distances between digits, in pixels, and how often; of batches, for lines of the same width
waste no paper.
"""
Gaps = tuple[tuple[tuple[float, float], float], ...]
LEAST_INK = 0.3
NO_COLUMN = 99


@dataclass
class Glyphs:
    """Digits by source, (N, 28, 28) uint8 with labels, and what is no digit."""

    digits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # crops, labels, weights
    others: np.ndarray


@dataclass
class Batch:
    """Lines (N, 1, 32, W), their labels (N, most) and how many labels each has."""

    x: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor

    @property
    def texts(self) -> list[list[int]]:
        """The labels of each line."""
        rows = zip(self.labels.tolist(), self.lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows]


@dataclass
class Ends:
    """The first and last columns of the digits of each line, and a row where they have ink:
    (N, most) each; `there` says which exist.
    """

    left: torch.Tensor
    right: torch.Tensor
    middle: torch.Tensor
    there: torch.Tensor

    @property
    def width(self) -> torch.Tensor:
        """Where the last digit of each line ends."""
        return torch.where(self.there, self.right, 0).amax(1) + 1


class Writer:
    """Writes lines by chance from `glyphs`; `shares` says how often each source is drawn from."""

    def __init__(self, glyphs: Glyphs, shares: dict[str, float], seed: int) -> None:
        names = [name for name in shares if name in glyphs.digits]
        self.shares = torch.tensor([shares[name] for name in names])
        sets = [glyphs.digits[name] for name in names]
        self.crops = _tensor(np.concatenate([x for x, _, _ in sets]))
        self.labels = _tensor(np.concatenate([y for _, y, _ in sets])).long()
        # Every source adds 1, so that one search finds a glyph of any source.
        weights = [number + weight for number, (_, _, weight) in enumerate(sets)]
        self.weights = _tensor(np.concatenate(weights))
        source = np.repeat(np.arange(len(sets)), [len(y) for _, y, _ in sets])
        group = _tensor(source) * 10 + self.labels
        self.order = group.argsort()
        self.counts = torch.bincount(group, minlength=10 * len(sets))
        self.others = _tensor(glyphs.others)
        self.rng = np.random.default_rng(seed)

    def batch(self, count: int, least: int, most: int) -> Batch:
        """`count` lines of `least` to `most` signs; W is a multiple of 4."""
        lengths = torch.randint(least, most + 1, (count,))
        there = torch.arange(most) < lengths[:, None]
        crops, labels = self._glyphs(there)
        crops = nets.warp(crops.view(-1, 1, GLYPH, GLYPH))
        crops = uneven(crops.view(count, most, GLYPH, GLYPH))
        crops = gapped(crops, labels) * there[..., None, None]
        gaps = APART if self.rng.random() < APART_SHARE else CLOSE
        plane, ends = assembled(crops, there, gaps)
        self._surroundings(plane, ends)
        return Batch(camera(self.rng, plane[:, None]), labels, lengths)

    def _glyphs(self, there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops of one source a line, some of them repeated or no digits, and their labels."""
        count, most = there.shape
        source = torch.multinomial(self.shares, count, replacement=True)[:, None]
        last = len(self.labels) - 1
        place = torch.rand(count, most, dtype=torch.double) + source
        at = torch.searchsorted(self.weights, place).clamp(max=last)
        pair = torch.randint(0, 10, (count, 2))  # runs of one digit: 1000, 55
        pair[torch.rand(count) < 0.5, 0] = 0
        group = 10 * source + pair.gather(1, (torch.rand(count, most) < 0.3).long())
        first = (self.counts.cumsum(0) - self.counts)[group]
        same = first + (torch.rand(count, most) * self.counts[group]).long()
        same = self.order[same.clamp(max=last)]
        at = torch.where(torch.rand(count, 1) < 0.2, same, at)
        labels = self.labels[at] + 1
        kind = torch.rand(count, 1)
        chance = torch.where(kind < 0.07, 1.0, torch.where(kind < 0.2, 0.3, 0.0))
        other = torch.rand(count, most) < chance
        labels[other] = OTHER
        crops = self.crops[at]
        crops[other] = self.others[torch.randint(len(self.others), (int(other.sum()),))]
        return crops.float() / 255, labels

    def _surroundings(self, plane: torch.Tensor, ends: Ends) -> None:
        """Rules, parts of boxes, strokes that join digits, points, dashes, ink of other rows."""
        count = len(plane)
        ligatures(plane, ends, torch.rand(count) < 0.15)
        rules(plane, ends.width, torch.rand(count) < 0.27)
        boxes(plane, ends, torch.rand(count) < 0.14)
        marks(plane, ends, torch.rand(count) < 0.22)
        chosen = nets.some(count, 0.12)
        for part in (chosen, chosen[::2]):
            self._other_rows(plane, part)

    def _other_rows(self, plane: torch.Tensor, chosen: torch.Tensor) -> None:
        """The row above or below reaches in."""
        n = len(chosen)
        crops = self.crops[torch.randint(len(self.crops), (n,))][:, 4:24].float() / 255
        depth = torch.randint(1, 6, (n, 1))
        upper = torch.rand(n, 1) < 0.5
        row = torch.arange(HEIGHT) - torch.where(upper, 0, HEIGHT - depth)
        inside = (row >= 0) & (row < depth)
        from_row = row + torch.where(torch.rand(n, 1) < 0.5, 20 - depth, 0)
        ink = crops[torch.arange(n)[:, None], from_row.clamp(0, 19)] * inside[..., None]
        left = (torch.rand(n, 1, 1) * max(1, plane.shape[2] - GLYPH)).long()
        column = (left + torch.arange(GLYPH)).expand_as(ink)
        lines = chosen[:, None, None]
        _add(plane, lines, torch.arange(HEIGHT)[:, None], column, ink)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).to(torch.get_default_device())


def _between(low: float, high: float, *shape: int) -> torch.Tensor:
    return torch.rand(shape) * (high - low) + low


# ---- Single glyphs: (N, most, 28, 28) ----


def uneven(crops: torch.Tensor) -> torch.Tensor:
    """In some lines, digits of quite different heights."""
    i = nets.some(len(crops), 0.15)
    if not len(i):
        return crops
    glyphs = crops[i].view(-1, 1, GLYPH, GLYPH)
    smaller = 1 / _between(0.6, 1.05, len(glyphs))
    theta = torch.zeros(len(glyphs), 2, 3)
    theta[:, 0, 0] = smaller
    theta[:, 1, 1] = smaller
    # Small digits stand on the line, a few pixels higher, or hang.
    theta[:, 1, 2] = (1 - smaller) * _between(-0.3, 0.75, len(glyphs))
    grid = functional.affine_grid(theta, list(glyphs.shape), align_corners=False)
    crops[i] = functional.grid_sample(glyphs, grid, align_corners=False).view_as(crops[i])
    return crops


def gapped(crops: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Some digits with a gap in their stroke; zeros, the most often left open, more of them."""
    i = torch.nonzero(torch.rand(labels.shape) < torch.where(labels == 1, 0.15, 0.04))
    glyphs = crops[i[:, 0], i[:, 1]]
    upwards = torch.rand(len(i), 1, 1) < 0.6
    turn = torch.where(upwards, _between(-2.6, -0.3, len(i), 1, 1), _between(0, 6.3, len(i), 1, 1))
    half = _between(1, 2.6, len(i), 1, 1)
    place = torch.arange(GLYPH) - (GLYPH - 1) / 2
    along = place * torch.cos(turn) + place[:, None] * torch.sin(turn)
    across = place[:, None] * torch.cos(turn) - place * torch.sin(turn)
    open_here = ((across.abs() - half + 0.5).clamp(0, 1) + (along < 2)).clamp(0, 1)
    crops[i[:, 0], i[:, 1]] = glyphs * open_here
    return crops


# ---- Lines ----


def assembled(crops: torch.Tensor, there: torch.Tensor, gaps: Gaps) -> tuple[torch.Tensor, Ends]:
    """Glyphs side by side, near, touching or apart: planes (N, 32, W), and where the glyphs are."""
    count, most = there.shape
    shares = torch.tensor([share for _, share in gaps])
    style = torch.multinomial(shares, count, replacement=True)
    low, high = torch.tensor([limits for limits, _ in gaps])[style].T
    glyphs = at_heights(crops)
    inked = glyphs > LEAST_INK
    inked[..., HEIGHT // 2, :] |= ~inked.any(3).any(2, keepdim=True)
    used = inked.any(3)
    columns = torch.arange(GLYPH)
    left = torch.where(inked, columns, NO_COLUMN).amin(3)
    right = torch.where(inked, columns, -NO_COLUMN).amax(3)
    first = left.amin(2)
    edge = torch.full((count, HEIGHT), -NO_COLUMN)
    # Before some lines there is room for a dash.
    before = torch.randint(1, 12, (count,))
    before += torch.randint(8, 16, (count,)) * (torch.rand(count) < 0.1)
    places = []
    for number in range(most):
        # Neighbours are as far apart as their nearest rows are, not as their boxes are.
        near = functional.max_pool1d(edge[:, None].float(), 3, 1, 1)[:, 0].long()
        gap = (low + torch.rand(count) * (high - low)).round().long()
        at = (near - left[:, number] + 1 + gap[:, None]).amax(1)
        at = torch.maximum(at, (before - first[:, number]).clamp(min=-first[:, number]))
        if number:
            at += torch.randint(10, 30, (count,)) * (torch.rand(count) < 0.04)
        before = at + first[:, number] + 4
        edge = torch.where(used[:, number], at[:, None] + right[:, number], edge)
        places.append(at)
    at = torch.stack(places, 1)
    middle = (torch.rand(used.shape) * used).argmax(2)
    ends = Ends(at + first, at + right.amax(2), middle, there)
    width = ends.width + torch.randint(1, 12, (count,))
    plane = torch.zeros(count, HEIGHT, -(-int(width.max()) // 4) * 4)
    column = at[..., None, None] + torch.arange(GLYPH)
    lines = torch.arange(count).view(-1, 1, 1, 1)
    _add(plane, lines, torch.arange(HEIGHT)[:, None], column, glyphs)
    return plane, ends


def at_heights(crops: torch.Tensor) -> torch.Tensor:
    """Glyphs on the line, each a little higher or lower than its neighbours: (N, most, 32, 28)."""
    count, most = crops.shape[:2]
    fall = torch.randn(count, 1) * 0.5 * (torch.arange(most) - most / 2)
    y = (2 + torch.randn(count, most) * 1.2 + fall).round().clamp(-3, 7).long()
    padded = functional.pad(crops, (0, 0, 7, 7))
    row = torch.arange(HEIGHT) - y[..., None] + 7
    return padded.gather(2, row[..., None].expand(-1, -1, -1, GLYPH))


def _add(
    plane: torch.Tensor,
    lines: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    ink: torch.Tensor,
) -> None:
    """Put ink on the planes (N, 32, W), the darkest stays; what is outside is left out."""
    inside = (columns >= 0) & (columns < plane.shape[2]) & (rows >= 0) & (rows < HEIGHT)
    place = (lines * HEIGHT + rows) * plane.shape[2] + columns
    place = torch.where(inside, place, 0).expand_as(ink)
    plane.view(-1).scatter_reduce_(0, place.reshape(-1), (ink * inside).reshape(-1), "amax")


def _strokes(
    plane: torch.Tensor,
    lines: torch.Tensor,
    path: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    strength: torch.Tensor,
    thick: torch.Tensor,
) -> None:
    """Straight strokes from (x0, y0) to (x1, y1), one or two pixels thick, on these lines."""
    if not len(lines):
        return
    x0, y0, x1, y1 = (end[:, None].float() for end in path)
    steps = int(torch.maximum((x1 - x0).abs(), (y1 - y0).abs()).max() * 1.5) + 2
    share = torch.linspace(0, 1, steps)
    x = torch.lerp(x0, x1, share).round().long()
    y = torch.lerp(y0, y1, share).round().long()
    for offset in range(2):
        ink = (strength * (thick > offset))[:, None].expand_as(x)
        _add(plane, lines[:, None], y + offset, x, ink)


# ---- What else may stand there; `chosen` (N,) says on which lines ----


def _gaps(ends: Ends) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The columns on either side of the paper before, between and after the digits, and which of
    these exist: (N, most + 1) each.
    """
    count = len(ends.left)
    width = ends.width[:, None]
    zeros = torch.zeros(count, 1, dtype=torch.long)
    before = torch.cat([zeros, torch.where(ends.there, ends.right, 0)], 1)
    after = torch.cat([torch.where(ends.there, ends.left, width + 8), width + 8], 1)
    there = torch.cat([torch.ones(count, 1, dtype=torch.bool), ends.there], 1)
    return before, after, there


def ligatures(plane: torch.Tensor, ends: Ends, chosen: torch.Tensor) -> None:
    """Strokes from one digit to the next, half of them near the top, as between zeros."""
    pairs = ends.there[:, 1:] & chosen[:, None] & (torch.rand(ends.there[:, 1:].shape) < 0.5)
    lines, number = torch.nonzero(pairs, as_tuple=True)
    n = len(lines)
    high = torch.rand(n) < 0.4
    y = _between(6, 14, n)
    x0 = ends.right[lines, number] - 2
    x1 = ends.left[lines, number + 1] + 2
    y0 = torch.where(high, y, ends.middle[lines, number])
    y1 = torch.where(high, y + torch.randn(n), ends.middle[lines, number + 1])
    _strokes(plane, lines, (x0, y0, x1, y1), _between(0.5, 1, n), torch.randint(1, 3, (n,)))


def rules(plane: torch.Tensor, width: torch.Tensor, chosen: torch.Tensor) -> None:
    """Level lines, mostly below, some of them broken off."""
    all_lines = torch.nonzero(chosen).squeeze(1)
    for lines in (all_lines, all_lines[::2]):
        n = len(lines)
        wide = width[lines] + 6
        kind = torch.rand(n)
        y = torch.where(kind < 0.6, _between(22, 31, n), _between(0, 6, n))
        y = torch.where(kind > 0.9, _between(0, 31, n), y)
        x0 = wide / 2 * _between(0, 1, n) * (torch.rand(n) < 0.3)
        x1 = wide * (1 - _between(0, 0.5, n) * (torch.rand(n) < 0.3))
        path = x0, y, x1, y + torch.randn(n) * 0.8
        _strokes(plane, lines, path, _between(0.3, 1, n), torch.randint(1, 3, (n,)))


def boxes(plane: torch.Tensor, ends: Ends, chosen: torch.Tensor) -> None:
    """The walls of boxes from edge to edge, or the teeth of a comb, some with their lower side."""
    count = len(plane)
    before, after, there = _gaps(ends)
    top = torch.where(torch.rand(count) < 0.7, -1.0, _between(18, 27, count))
    strength = _between(0.3, 1, count)
    thick = torch.randint(1, 3, (count,))
    is_wide = (after - before > 2) & (torch.rand(there.shape) < 0.7)
    lines, number = torch.nonzero(is_wide & there & chosen[:, None], as_tuple=True)
    n = len(lines)
    start = before[lines, number]
    x = start + (after[lines, number] - start) * _between(0.3, 0.7, n)
    path = x, top[lines], x + torch.randn(n) * 0.5, torch.full((n,), float(HEIGHT))
    _strokes(plane, lines, path, strength[lines], thick[lines])
    lines = torch.nonzero(chosen & (torch.rand(count) < 0.4)).squeeze(1)
    y = _between(26, 31, len(lines))
    path = torch.zeros_like(y), y, ends.width[lines] + 6, y + torch.randn(len(lines)) * 0.5
    _strokes(plane, lines, path, strength[lines], thick[lines])


def marks(plane: torch.Tensor, ends: Ends, chosen: torch.Tensor) -> None:
    """Points, commas, dashes and specks before, between and after digits."""
    before, after, there = _gaps(ends)
    lines, number = torch.nonzero(
        there & chosen[:, None] & (torch.rand(there.shape) < 0.45), as_tuple=True
    )
    n = len(lines)
    gap = after[lines, number] - before[lines, number]
    x = (before[lines, number] + after[lines, number]) / 2
    y = torch.where(torch.rand(n) < 0.5, _between(20, 26, n), _between(4, 28, n))
    far = _between(0, 1, n) * torch.where(gap < 6, 2, torch.where(gap < 14, 5, 9))
    path = x - far / 2, y, x + far / 2, y + _between(0, 2, n)
    _strokes(plane, lines, path, _between(0.4, 1, n), torch.randint(1, 3, (n,)))


# ---- Other sizes, pens, light and sharpness: (N, 1, 32, W), each line changed by itself ----


def camera(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    """Lines as a camera or a scanner shows them."""
    if rng.random() < 0.7:
        x = resized(x, rng.uniform(0.75, 1.2), rng.uniform(0.8, 1.2))
    return sharpness(rng, strength(x)).contiguous()


def strength(x: torch.Tensor) -> torch.Tensor:
    """Wider and finer pens, faint, streaky and broken strokes."""
    count = len(x)
    i = nets.some(count, 0.25)
    x[i] = torch.lerp(x[i], functional.max_pool2d(x[i], 3, 1, 1), nets.each(len(i), 0, 0.9))
    i = nets.some(count, 0.22)
    x[i] = torch.lerp(x[i], -functional.max_pool2d(-x[i], 3, 1, 1), nets.each(len(i), 0, 0.75))
    i = nets.some(count, 0.14)  # a dry brush, a pen that skips
    size = x.shape[2:]
    streaks = functional.interpolate(torch.rand(len(i), 1, 10, size[1] // 3), size, mode="bilinear")
    x[i] = x[i] * (1 - nets.each(len(i), 0, 1.2) * (streaks - 0.35).clamp(0, 1)).clamp(0, 1)
    i = nets.some(count, 0.4)
    faint = torch.exp(nets.each(len(i), -0.8, 0.8)), nets.each(len(i), 0.4, 1)
    x[i] = x[i].clamp(1e-4, 1) ** faint[0] * faint[1]
    return x


def sharpness(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    """Out of focus, moved, few pixels, noise, grains of the paper."""
    count = len(x)
    size = x.shape[2:]
    i = nets.some(count, 0.2)
    x[i] = torch.lerp(x[i], functional.avg_pool2d(x[i], 3, 1, 1), nets.each(len(i), 0, 1.2)).clamp(
        0, 1
    )
    i = nets.some(count, 0.05)
    high = int(rng.integers(0, 2))
    moved = functional.avg_pool2d(x[i], (1 + 2 * high, 3), 1, (high, 1))
    x[i] = functional.avg_pool2d(moved, (1, 3), 1, (0, 1))
    i = nets.some(count, 0.12)
    few = functional.interpolate(x[i], scale_factor=float(rng.uniform(0.4, 0.8)), mode="area")
    x[i] = functional.interpolate(few, size, mode="bilinear")
    i = nets.some(count, 0.25)
    x[i] = (x[i] + torch.randn_like(x[i]) * nets.each(len(i), 0, 0.15)).clamp(0, 1)
    i = nets.some(count, 0.08)
    grain = (torch.rand_like(x[i]) < 0.01).float() * torch.rand_like(x[i])
    x[i] = torch.maximum(x[i], functional.max_pool2d(grain, 2, 1, 1)[..., : size[0], : size[1]])
    return x


def resized(x: torch.Tensor, high: float, wide: float) -> torch.Tensor:
    """Lines made higher and wider by these factors, cut or filled to 32 pixels again."""
    size = round(HEIGHT * high), math.ceil(x.shape[3] * high * wide / 4) * 4
    x = functional.interpolate(x, size, mode="bilinear", antialias=True)
    spare = HEIGHT - size[0]
    return functional.pad(x, (0, 0, spare // 2, spare - spare // 2))
