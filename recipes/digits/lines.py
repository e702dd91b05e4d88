"""Synthetic lines of digits for the line reader: real glyphs that touch, rules, boxes, signs, noise.

A line is (32, W) float32, 0 paper … 1 ink, digits some 20 pixels high, as `vision.line` cuts them
out of a page. Its label is the sequence of digits and of signs that are no digits (`OTHER`).
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
LONGEST = 10
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
        crops, labels = [], []
        for length in lengths:
            x, y = self._glyphs(int(length))
            crops.append(x)
            labels.append(y)
        warped = torch.from_numpy(np.concatenate(crops).astype(np.float32) / 255)[:, None]
        warped = nets.warp(warped)[:, 0].numpy()
        planes, first = [], 0
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
            wanted = rng.integers(0, 10, 2)
            if rng.random() < 0.5:
                wanted[0] = 0
            at = [
                rng.choice(np.flatnonzero(y == wanted[int(rng.random() < 0.3)]))
                for _ in range(length)
            ]
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
        x = int(rng.integers(1, 12))
        edge = np.full(HEIGHT, -99)
        ends = []
        for crop in crops:
            y = int(np.clip(round(2 + rng.normal(0, 1.2) + slope * x), -3, 7))
            placed = np.zeros((HEIGHT, GLYPH), np.float32)
            top, bottom = max(0, y), min(HEIGHT, y + GLYPH)
            placed[top:bottom] = crop[top - y : bottom - y]
            inked = placed > 0.3
            rows = np.flatnonzero(inked.any(1))
            if not len(rows):
                rows, inked[HEIGHT // 2] = np.array([HEIGHT // 2]), True
            left = np.where(inked.any(1), inked.argmax(1), 99)
            right = GLYPH - 1 - inked[:, ::-1].argmax(1)
            near = edge.copy()
            near[1:] = np.maximum(near[1:], edge[:-1])
            near[:-1] = np.maximum(near[:-1], edge[1:])
            # Neighbours are as far apart as their nearest rows are, not as their boxes are.
            at = int((near - left + 1 + round(rng.uniform(low, high))).max())
            first = int(np.flatnonzero(inked.any(0))[0])
            at = max(at, (ends[-1][0] + 4 if ends else x) - first, -first)
            if ends and rng.random() < 0.04:
                at += int(rng.integers(10, 30))
            if at + GLYPH >= plane.shape[1]:
                plane = np.pad(plane, ((0, 0), (0, at + GLYPH - plane.shape[1] + 20)))
            target = plane[:, max(0, at) : at + GLYPH]
            np.maximum(target, placed[:, max(0, -at) :], out=target)
            edge = np.where(inked.any(1), at + right, edge)
            middle = int(rows[rng.integers(len(rows))])
            ends.append((at + first, at + int(right[rows].max()), middle))
        width = ends[-1][1] + 1 + int(rng.integers(1, 12))
        plane = (
            plane[:, :width]
            if width <= plane.shape[1]
            else np.pad(plane, ((0, 0), (0, width - plane.shape[1])))
        )
        return self._surroundings(plane, ends)

    def _surroundings(self, plane: np.ndarray, ends: list[tuple[int, int, int]]) -> np.ndarray:
        """Rules, parts of boxes, strokes that join digits, points, dashes, ink of other rows."""
        rng = self.rng
        width = plane.shape[1]
        if rng.random() < 0.12:  # a stroke from one digit to the next
            for one, other in zip(ends, ends[1:], strict=False):
                if rng.random() < 0.5:
                    _stroke(plane, one[1] - 2, one[2], other[0] + 2, other[2], rng.uniform(0.5, 1))
        if rng.random() < 0.25:
            for _ in range(int(rng.integers(1, 3))):
                y = rng.choice(
                    [rng.uniform(22, 31), rng.uniform(0, 6), rng.uniform(0, 31)], p=[0.6, 0.3, 0.1]
                )
                start = 0 if rng.random() < 0.7 else int(rng.integers(0, width // 2))
                stop = width if rng.random() < 0.7 else int(rng.integers(width // 2, width))
                _stroke(
                    plane,
                    start,
                    y,
                    stop,
                    y + rng.normal(0, 0.8),
                    rng.uniform(0.3, 1),
                    rng.integers(1, 3),
                )
        if rng.random() < 0.12:  # the walls of boxes, from edge to edge
            for one, other in [((0, 0, 0), ends[0]), *zip(ends, ends[1:], strict=False)]:
                gap = other[0] - one[1]
                if gap > 2 and rng.random() < 0.7:
                    x = one[1] + gap * rng.uniform(0.3, 0.7)
                    _stroke(plane, x, -1, x + rng.normal(0, 0.5), HEIGHT, rng.uniform(0.3, 1))
        if rng.random() < 0.2:  # points, commas, dashes, specks
            for one, other in [*zip(ends, ends[1:], strict=False), (ends[-1], (width, width, 0))]:
                x = (one[1] + other[0]) / 2
                if rng.random() < 0.5:
                    y = rng.choice([rng.uniform(20, 26), rng.uniform(4, 28)])
                    far = rng.uniform(0, 2) if other[0] - one[1] < 6 else rng.uniform(0, 5)
                    _stroke(
                        plane,
                        x - far / 2,
                        y,
                        x + far / 2,
                        y + rng.uniform(0, 2),
                        rng.uniform(0.4, 1),
                        rng.integers(1, 3),
                    )
        if rng.random() < 0.12:  # the row above or below reaches in
            for _ in range(int(rng.integers(1, 3))):
                other = self.glyphs.digits[self.names[0]][0]
                crop = other[rng.integers(len(other))].astype(np.float32)[4:24] / 255
                x = int(rng.integers(0, max(1, width - GLYPH)))
                depth = int(rng.integers(1, 6))
                part = (
                    plane[:depth, x : x + GLYPH]
                    if rng.random() < 0.5
                    else plane[-depth:, x : x + GLYPH]
                )
                source = (
                    crop[-depth:] if part.base is plane and rng.random() < 0.5 else crop[:depth]
                )
                np.maximum(part, source[:, : part.shape[1]], out=part)
        return plane


def _stroke(plane, x0, y0, x1, y1, strength, thick=1) -> None:
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
