"""Synthetic lines of digits for the line reader: glyphs that touch, rules, boxes, signs, noise.

A line is (32, W) float32, 0 paper … 1 ink, digits some 20 pixels high, as `vision.line` cuts them
out of a page. Its label is the sequence of digits and of signs that are no digits (`OTHER`).
"""

import itertools
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


@dataclass
class Glyphs:
    """Digits by source, (N, 28, 28) uint8 with labels, and what is no digit."""

    digits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # crops, labels, weights
    others: np.ndarray


class Writer:
    """Writes lines by chance from `glyphs`; `shares` says how often each source is drawn from."""

    def __init__(self, glyphs: Glyphs, shares: dict[str, float], seed: int) -> None:
        self.glyphs = glyphs
        self.names = [name for name in shares if name in glyphs.digits]
        weights = np.array([shares[name] for name in self.names])
        self.shares = weights / weights.sum()
        self.rng = np.random.default_rng(seed)

    def batch(self, count: int, least: int, most: int) -> tuple[torch.Tensor, list[list[int]]]:
        """`count` lines of `least` to `most` signs, (count, 1, 32, W) with W a multiple of 4, and
        their labels.
        """
        rng = self.rng
        lengths = rng.integers(least, most + 1, count)
        crops = []
        labels = []
        for length in lengths:
            x, y = self._glyphs(int(length))
            crops.append(x)
            labels.append(y)
        warped = torch.from_numpy(np.concatenate(crops).astype(np.float32) / 255)[:, None]
        warped = nets.warp(warped)[:, 0].numpy()
        planes = []
        first = 0
        for length in lengths:
            planes.append(self._line(warped[first : first + length]))
            first += length
        width = -(-max(plane.shape[1] for plane in planes) // 4) * 4
        lines = np.zeros((count, 1, HEIGHT, width), np.float32)
        for line, plane in zip(lines, planes, strict=True):
            line[0, :, : plane.shape[1]] = plane
        return camera(rng, torch.from_numpy(lines)), labels

    def _glyphs(self, length: int) -> tuple[np.ndarray, list[int]]:
        """Crops of one source, some of them repeated or no digits, and their labels."""
        rng = self.rng
        x, y, weight = self.glyphs.digits[self.names[rng.choice(len(self.names), p=self.shares)]]
        if rng.random() < 0.2:  # runs of one digit: 1000, 55
            pair = rng.integers(0, 10, 2)
            if rng.random() < 0.5:
                pair[0] = 0
            digits = [pair[int(rng.random() < 0.3)] for _ in range(length)]
            at = [rng.choice(np.flatnonzero(y == digit)) for digit in digits]
        else:
            at = np.searchsorted(weight, rng.random(length))
        crops = x[at].copy()
        labels = [int(y[i]) + 1 for i in at]
        kind = rng.random()
        chance = 1.0 if kind < 0.07 else 0.3 if kind < 0.2 else 0.0
        for index in range(length):
            if chance and rng.random() < chance:
                crops[index] = self.glyphs.others[rng.integers(len(self.glyphs.others))]
                labels[index] = OTHER
        return crops, labels

    def _line(self, crops: np.ndarray) -> np.ndarray:
        """Glyphs side by side, near, touching or apart, with what else may stand there."""
        rng = self.rng
        style = rng.random()
        low, high = (-5.0, 0.0) if style < 0.35 else (-1.5, 5.0) if style < 0.8 else (2.0, 16.0)
        slope = rng.normal(0, 0.03)
        plane = np.zeros((HEIGHT, 40 + 40 * len(crops)), np.float32)
        start = int(rng.integers(1, 12))
        edge = np.full(HEIGHT, -99)
        ends: list[End] = []
        for crop in crops:
            glyph = self._at_height(crop, slope * start)
            # Neighbours are as far apart as their nearest rows are, not as their boxes are.
            at = glyph.place(edge, round(rng.uniform(low, high)))
            at = max(at, (ends[-1].left + 4 if ends else start) - glyph.first, -glyph.first)
            if ends and rng.random() < 0.04:
                at += int(rng.integers(10, 30))
            if at + GLYPH >= plane.shape[1]:
                plane = np.pad(plane, ((0, 0), (0, at + GLYPH - plane.shape[1] + 20)))
            target = plane[:, max(0, at) : at + GLYPH]
            np.maximum(target, glyph.plane[:, max(0, -at) :], out=target)
            edge = np.where(glyph.used, at + glyph.right, edge)
            rows = np.flatnonzero(glyph.used)
            middle = int(rows[rng.integers(len(rows))])
            ends.append(End(at + glyph.first, at + int(glyph.right[rows].max()), middle))
        width = ends[-1].right + 1 + int(rng.integers(1, 12))
        plane = np.pad(plane, ((0, 0), (0, max(0, width - plane.shape[1]))))[:, :width]
        return self._surroundings(plane, ends)

    def _at_height(self, crop: np.ndarray, fall: float) -> "Glyph":
        """A glyph on the line, a little higher or lower than its neighbours."""
        y = int(np.clip(round(2 + self.rng.normal(0, 1.2) + fall), -3, 7))
        plane = np.zeros((HEIGHT, GLYPH), np.float32)
        top = max(0, y)
        bottom = min(HEIGHT, y + GLYPH)
        plane[top:bottom] = crop[top - y : bottom - y]
        inked = plane > 0.3
        if not inked.any():
            inked[HEIGHT // 2] = True
        used = inked.any(1)
        left = np.where(used, inked.argmax(1), 99)
        right = GLYPH - 1 - inked[:, ::-1].argmax(1)
        return Glyph(plane, used, left, right, int(np.flatnonzero(inked.any(0))[0]))

    def _surroundings(self, plane: np.ndarray, ends: list["End"]) -> np.ndarray:
        """Rules, parts of boxes, strokes that join digits, points, dashes, ink of other rows."""
        chance = self.rng.random
        if chance() < 0.12:
            self._ligatures(plane, ends)
        if chance() < 0.25:
            self._rules(plane)
        if chance() < 0.12:
            self._walls(plane, ends)
        if chance() < 0.2:
            self._marks(plane, ends)
        if chance() < 0.12:
            self._other_rows(plane)
        return plane

    def _ligatures(self, plane: np.ndarray, ends: list["End"]) -> None:
        """Strokes from one digit to the next."""
        rng = self.rng
        for before, after in itertools.pairwise(ends):
            if rng.random() < 0.5:
                line = (before.right - 2, before.middle, after.left + 2, after.middle)
                _stroke(plane, *line, rng.uniform(0.5, 1))

    def _rules(self, plane: np.ndarray) -> None:
        """Level lines, mostly below, some of them broken off."""
        rng = self.rng
        width = plane.shape[1]
        for _ in range(int(rng.integers(1, 3))):
            heights = [rng.uniform(22, 31), rng.uniform(0, 6), rng.uniform(0, 31)]
            y = rng.choice(heights, p=[0.6, 0.3, 0.1])
            start = 0 if rng.random() < 0.7 else int(rng.integers(0, width // 2))
            stop = width if rng.random() < 0.7 else int(rng.integers(width // 2, width))
            line = (start, y, stop, y + rng.normal(0, 0.8))
            _stroke(plane, *line, rng.uniform(0.3, 1), rng.integers(1, 3))

    def _walls(self, plane: np.ndarray, ends: list["End"]) -> None:
        """The walls of boxes, from edge to edge."""
        rng = self.rng
        for before, after in itertools.pairwise([End(0, 0, 0), *ends]):
            gap = after.left - before.right
            if gap > 2 and rng.random() < 0.7:
                x = before.right + gap * rng.uniform(0.3, 0.7)
                _stroke(plane, x, -1, x + rng.normal(0, 0.5), HEIGHT, rng.uniform(0.3, 1))

    def _marks(self, plane: np.ndarray, ends: list["End"]) -> None:
        """Points, commas, dashes and specks between digits."""
        rng = self.rng
        width = plane.shape[1]
        for before, after in itertools.pairwise([*ends, End(width, width, 0)]):
            x = (before.right + after.left) / 2
            if rng.random() < 0.5:
                y = rng.choice([rng.uniform(20, 26), rng.uniform(4, 28)])
                far = rng.uniform(0, 2) if after.left - before.right < 6 else rng.uniform(0, 5)
                line = (x - far / 2, y, x + far / 2, y + rng.uniform(0, 2))
                _stroke(plane, *line, rng.uniform(0.4, 1), rng.integers(1, 3))

    def _other_rows(self, plane: np.ndarray) -> None:
        """The row above or below reaches in."""
        rng = self.rng
        other = self.glyphs.digits[self.names[0]][0]
        for _ in range(int(rng.integers(1, 3))):
            crop = other[rng.integers(len(other))].astype(np.float32)[4:24] / 255
            x = int(rng.integers(0, max(1, plane.shape[1] - GLYPH)))
            depth = int(rng.integers(1, 6))
            rows = slice(None, depth) if rng.random() < 0.5 else slice(-depth, None)
            source = crop[-depth:] if rng.random() < 0.5 else crop[:depth]
            part = plane[rows, x : x + GLYPH]
            np.maximum(part, source[:, : part.shape[1]], out=part)


@dataclass
class Glyph:
    """A digit on its line: its ink, which rows it uses, where it begins and ends in each, and its
    first column.
    """

    plane: np.ndarray
    used: np.ndarray
    left: np.ndarray
    right: np.ndarray
    first: int

    def place(self, edge: np.ndarray, gap: int) -> int:
        """The column for it, `gap` pixels from what ends at `edge` in each row."""
        near = edge.copy()
        near[1:] = np.maximum(near[1:], edge[:-1])
        near[:-1] = np.maximum(near[:-1], edge[1:])
        return int((near - self.left + 1 + gap).max())


@dataclass
class End:
    """The first and the last column of a digit on its line, and a row where it has ink."""

    left: int
    right: int
    middle: int


def _stroke(
    plane: np.ndarray, x0: float, y0: float, x1: float, y1: float, strength: float, thick: int = 1
) -> None:
    """A straight stroke from one place to another, in place."""
    count = int(max(abs(x1 - x0), abs(y1 - y0)) * 1.5) + 2
    x = np.linspace(x0, x1, count).round().astype(int)
    y = np.linspace(y0, y1, count).round().astype(int)
    for offset in range(int(thick)):
        inside = (x >= 0) & (x < plane.shape[1]) & (y + offset >= 0) & (y + offset < HEIGHT)
        target = y[inside] + offset, x[inside]
        plane[target] = np.maximum(plane[target], strength)


def camera(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    """Other sizes, pens, light and sharpness: x (N, 1, 32, W), each line changed by itself."""
    if rng.random() < 0.7:
        x = resized(x, rng.uniform(0.75, 1.2), rng.uniform(0.8, 1.2))
    count = len(x)
    i = nets.some(count, 0.25)
    x[i] = torch.lerp(x[i], functional.max_pool2d(x[i], 3, 1, 1), nets.each(len(i), 0, 0.9))
    i = nets.some(count, 0.2)
    x[i] = torch.lerp(x[i], -functional.max_pool2d(-x[i], 3, 1, 1), nets.each(len(i), 0, 0.7))
    i = nets.some(count, 0.12)  # a dry brush, a pen that skips
    size = x.shape[2:]
    streaks = functional.interpolate(torch.rand(len(i), 1, 10, size[1] // 3), size, mode="bilinear")
    x[i] = x[i] * (1 - nets.each(len(i), 0, 1.2) * (streaks - 0.35).clamp(0, 1)).clamp(0, 1)
    i = nets.some(count, 0.4)
    x[i] = x[i].clamp(1e-4, 1) ** torch.exp(nets.each(len(i), -0.8, 0.8)) * nets.each(
        len(i), 0.5, 1
    )
    i = nets.some(count, 0.2)
    x[i] = torch.lerp(x[i], functional.avg_pool2d(x[i], 3, 1, 1), nets.each(len(i), 0, 1.2)).clamp(
        0, 1
    )
    i = nets.some(count, 0.12)
    few = functional.interpolate(x[i], scale_factor=float(rng.uniform(0.4, 0.8)), mode="area")
    x[i] = functional.interpolate(few, size, mode="bilinear")
    i = nets.some(count, 0.25)
    x[i] = (x[i] + torch.randn_like(x[i]) * nets.each(len(i), 0, 0.15)).clamp(0, 1)
    i = nets.some(count, 0.08)  # grains of the paper
    grain = (torch.rand_like(x[i]) < 0.01).float() * torch.rand_like(x[i])
    x[i] = torch.maximum(x[i], functional.max_pool2d(grain, 2, 1, 1)[..., : size[0], : size[1]])
    return x.contiguous()


def resized(x: torch.Tensor, high: float, wide: float) -> torch.Tensor:
    """Lines made higher and wider by these factors, cut or filled to 32 pixels again."""
    size = round(HEIGHT * high), math.ceil(x.shape[3] * high * wide / 4) * 4
    x = functional.interpolate(x, size, mode="bilinear", antialias=True)
    spare = HEIGHT - size[0]
    return functional.pad(x, (0, 0, spare // 2, spare - spare // 2))
