"""Digits as ink: enlarged crops of real handwriting, or strokes of our own, as coverage planes (h,
w) in 0 … 1.
"""

import numpy as np
from PIL import Image, ImageDraw

# Strokes as curves through points, x to the right and y down, in a box 1 high. Each digit has
# several habits.
SHAPES = {
    0: [
        [
            [
                (0.3, 0),
                (0.08, 0.2),
                (0.03, 0.55),
                (0.12, 0.9),
                (0.3, 1),
                (0.5, 0.88),
                (0.58, 0.5),
                (0.5, 0.12),
                (0.32, 0),
            ]
        ],
        [
            [
                (0.38, 0.02),
                (0.1, 0.12),
                (0, 0.5),
                (0.1, 0.9),
                (0.35, 1),
                (0.6, 0.85),
                (0.66, 0.45),
                (0.55, 0.08),
                (0.3, 0.03),
            ]
        ],
        [
            [(0.3, 0), (0.06, 0.2), (0.03, 0.6), (0.3, 1), (0.56, 0.8), (0.58, 0.3), (0.32, 0)],
            [(0.62, 0.05), (0.0, 0.95)],
        ],
    ],
    1: [
        [[(0.1, 0), (0.1, 0.5), (0.1, 1)]],
        [[(0.0, 0.28), (0.12, 0.16), (0.28, 0)], [(0.28, 0), (0.27, 0.5), (0.26, 1)]],
        [[(0.0, 0.25), (0.25, 0)], [(0.25, 0), (0.25, 1)], [(0.02, 1), (0.5, 0.99)]],
    ],
    2: [
        [
            [(0.03, 0.25), (0.12, 0.05), (0.35, 0), (0.55, 0.13), (0.52, 0.38), (0.3, 0.7), (0, 1)],
            [(0, 1), (0.3, 0.97), (0.66, 1)],
        ],
        [
            [
                (0.05, 0.18),
                (0.25, 0),
                (0.52, 0.1),
                (0.5, 0.4),
                (0.2, 0.85),
                (0.05, 0.95),
                (0.06, 0.82),
                (0.22, 0.84),
                (0.45, 0.98),
                (0.68, 0.9),
            ]
        ],
    ],
    3: [
        [
            [(0.03, 0.1), (0.28, 0), (0.5, 0.12), (0.45, 0.35), (0.2, 0.47)],
            [(0.2, 0.47), (0.5, 0.55), (0.58, 0.78), (0.35, 1), (0, 0.9)],
        ],
        [
            [(0.02, 0), (0.55, 0)],
            [(0.55, 0), (0.25, 0.42)],
            [(0.25, 0.42), (0.55, 0.55), (0.55, 0.85), (0.28, 1), (0, 0.9)],
        ],
    ],
    4: [
        [
            [(0.2, 0), (0.1, 0.35), (0.0, 0.62)],
            [(0.0, 0.62), (0.65, 0.6)],
            [(0.48, 0.25), (0.46, 0.65), (0.42, 1)],
        ],
        [[(0.46, 1), (0.48, 0.5), (0.5, 0)], [(0.5, 0), (0.0, 0.68)], [(0.0, 0.68), (0.68, 0.67)]],
        [[(0.05, 0.05), (0.05, 0.48)], [(0.05, 0.48), (0.5, 0.47)], [(0.5, 0.0), (0.5, 1)]],
    ],
    5: [
        [
            [(0.12, 0.02), (0.08, 0.42)],
            [(0.08, 0.42), (0.35, 0.38), (0.58, 0.6), (0.45, 0.92), (0.2, 1), (0, 0.93)],
            [(0.12, 0.02), (0.55, 0)],
        ],
        [
            [(0.12, 0.1), (0.08, 0.45)],
            [(0.08, 0.45), (0.35, 0.42), (0.56, 0.65), (0.4, 0.97), (0, 0.95)],
            [(0.18, 0.0), (0.6, 0.03)],
        ],
        [
            [
                (0.6, 0),
                (0.3, 0.03),
                (0.12, 0.05),
                (0.1, 0.25),
                (0.08, 0.42),
                (0.35, 0.42),
                (0.55, 0.6),
                (0.45, 0.92),
                (0.2, 1),
                (0, 0.9),
            ]
        ],
    ],
    6: [
        [
            [
                (0.45, 0),
                (0.2, 0.25),
                (0.03, 0.65),
                (0.15, 0.97),
                (0.4, 0.98),
                (0.53, 0.75),
                (0.4, 0.55),
                (0.18, 0.6),
                (0.07, 0.78),
            ]
        ],
        [
            [
                (0.2, 0),
                (0.05, 0.4),
                (0.02, 0.75),
                (0.2, 1),
                (0.45, 0.9),
                (0.48, 0.65),
                (0.28, 0.52),
                (0.05, 0.7),
            ]
        ],
    ],
    7: [
        [[(0, 0.02), (0.3, 0.04), (0.6, 0)], [(0.6, 0), (0.35, 0.45), (0.2, 1)]],
        [[(0, 0.02), (0.58, 0)], [(0.58, 0), (0.38, 0.4), (0.25, 1)], [(0.12, 0.48), (0.6, 0.46)]],
        [[(0.02, 0.18), (0.02, 0.03), (0.58, 0.0)], [(0.58, 0), (0.3, 1)]],
    ],
    8: [
        [
            [
                (0.5, 0.12),
                (0.25, 0),
                (0.08, 0.18),
                (0.28, 0.45),
                (0.55, 0.72),
                (0.32, 1),
                (0.03, 0.82),
                (0.22, 0.52),
                (0.5, 0.25),
                (0.48, 0.1),
            ]
        ],
        [
            [(0.28, 0), (0.05, 0.22), (0.28, 0.46), (0.5, 0.22), (0.28, 0)],
            [(0.28, 0.46), (0.0, 0.75), (0.28, 1), (0.56, 0.75), (0.28, 0.46)],
        ],
    ],
    9: [
        [
            [(0.5, 0.2), (0.3, 0), (0.05, 0.2), (0.12, 0.47), (0.38, 0.45), (0.52, 0.15)],
            [(0.52, 0.15), (0.5, 0.55), (0.48, 1)],
        ],
        [
            [(0.52, 0.18), (0.25, 0), (0.03, 0.25), (0.2, 0.5), (0.45, 0.4), (0.53, 0.12)],
            [(0.53, 0.12), (0.5, 0.7), (0.35, 0.97), (0.05, 0.93)],
        ],
    ],
}


def drawn(rng: np.random.Generator, digit: int, height: float, width: float) -> np.ndarray:
    """A digit of our own strokes, about `height` pixels high, with a pen `width` pixels wide."""
    shapes = SHAPES[digit]
    strokes = shapes[rng.integers(len(shapes))]
    slant = rng.normal(0.1, 0.18)
    stretch = rng.uniform(0.75, 1.35)
    wobble = rng.normal(0, 0.018, 2)
    fine = 3
    pen = max(1.0, width * fine)
    margin = int(pen + 2 * fine)
    placed = []
    for stroke in strokes:
        points = np.array(stroke, float) + rng.normal(0, 0.022, (len(stroke), 2)) + wobble
        points = _curve(points)
        points[:, 0] = points[:, 0] * stretch - slant * (points[:, 1] - 0.5)
        placed.append(points * (height - width) * fine)
    low = np.min([points.min(axis=0) for points in placed], axis=0) - margin
    high = np.max([points.max(axis=0) for points in placed], axis=0) + margin
    size = np.ceil((high - low) / fine).astype(int) * fine
    plane = Image.new("L", (int(size[0]), int(size[1])))
    draw = ImageDraw.Draw(plane)
    for points in placed:
        path = [tuple(point) for point in points - low]
        swell = rng.uniform(0.85, 1.15)
        radius = pen * swell / 2
        draw.line(path, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in path:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(plane.reduce(fine), np.float32) / 255


def _curve(points: np.ndarray) -> np.ndarray:
    """A smooth way through points (Catmull-Rom), straight between two."""
    if len(points) < 3:
        return np.linspace(points[0], points[-1], 6)
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, 9)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            )
        )
    return np.concatenate(parts)


def enlarged(rng: np.random.Generator, glyph: np.ndarray, height: float) -> np.ndarray:
    """A real crop (28, 28) uint8, ink 255, enlarged so that its box is `height` high, its edges as
    sharp as a pen's.
    """
    plane = glyph.astype(np.float32) / 255
    rows = np.flatnonzero((plane > 0.2).any(axis=1))
    columns = np.flatnonzero((plane > 0.2).any(axis=0))
    if not len(rows):
        return np.zeros((4, 4), np.float32)
    plane = plane[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    scale = height / (rows[-1] - rows[0] + 1)
    lean = rng.normal(0, 0.08)
    image = Image.fromarray(np.pad(plane, 3))
    size = (max(6, round(image.width * scale)), max(6, round(image.height * scale)))
    across = image.width / size[0]
    down = image.height / size[1]
    image = image.transform(
        size,
        Image.Transform.AFFINE,
        (across, lean * across, -lean * image.height / 2, 0, down, 0),
        Image.Resampling.BICUBIC,
    )
    plane = np.clip(np.asarray(image), 0, 1)
    if scale < 1.3:
        return plane
    middle = rng.uniform(0.3, 0.62)
    soft = max(0.06, 0.55 / scale)
    return 1 / (1 + np.exp(-np.clip((plane - middle) / soft * 2.2, -30, 30))).astype(np.float32)


def digit(
    rng: np.random.Generator,
    glyphs: np.ndarray,
    labels: np.ndarray,
    height: float,
    *,
    own: float = 0.35,
):
    """Coverage of one random digit and its label; `own` is the share drawn with strokes of ours."""
    if rng.random() < own:
        label = int(rng.integers(10))
        pen = height * np.exp(rng.uniform(np.log(0.035), np.log(0.17)))
        return _trim(drawn(rng, label, height, max(1.0, pen))), label
    index = int(rng.integers(len(labels)))
    return _trim(enlarged(rng, glyphs[index], height)), int(labels[index])


def _trim(plane: np.ndarray) -> np.ndarray:
    ink = plane > 0.08
    rows = np.flatnonzero(ink.any(axis=1))
    columns = np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((2, 2), np.float32)
    return plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
