"""Locates a form on a scan by its boxes: shift, scale and a small turn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from legibly import errors
from legibly.forms.boxes import Box
from legibly.forms.form import Field, Form

Doubles = NDArray[np.float64]

MIN_AGREEMENT = 0.6
"""Least share of a form's fields that a scan must show."""
NEAR = 0.3
"""Largest offset of a box's side from its expected place, as a share of the box's height."""
MAX_GUESSES = 400
"""Most places to try before giving up."""
MAX_BOXES = 200
"""Most boxes of a scan to consider, the largest ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """Maps the form's pixels to those of a scan by `matrix` (2, 3); `share` of the fields match."""

    matrix: Doubles
    share: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Map a point of the form to the scan."""
        point = self.matrix @ np.array([x, y, 1.0])
        return float(point[0]), float(point[1])


def register(form: Form, boxes: Sequence[Box]) -> Place | None:
    """Find the place of a form among the boxes of a straightened scan; None if it is missing."""
    fields = np.array([_sides(field) for field in form.fields])
    largest = sorted(boxes, key=lambda box: -box.width * box.height)[:MAX_BOXES]
    if not largest:
        return None
    sides = np.array([[box.left, box.top, box.right, box.bottom] for box in largest])
    pairs = _best_pairs(fields, sides)
    if len(pairs) < max(1.0, MIN_AGREEMENT * len(fields)):
        return None
    matrix = _affine(_corners(fields[pairs[:, 0]]), _corners(sides[pairs[:, 1]]))
    return Place(matrix, len(pairs) / len(fields))


def require(form: Form, boxes: Sequence[Box]) -> Place:
    """As `register`, but raises Unusable if the form is missing."""
    place = register(form, boxes)
    if place is None:
        raise errors.Unusable(
            "the form was not found. Its fields: {fields}; boxes on the scan: {boxes}.",
            code="form-not-found",
            fields=len(form.fields),
            boxes=len(boxes),
            remedy="Scan the sheet whole and upright, or make the form from such a scan.",
        )
    return place


def _sides(field: Field) -> tuple[float, float, float, float]:
    return field.box[0], field.box[1], field.right, field.bottom


def _best_pairs(fields: Doubles, sides: Doubles) -> NDArray[np.intp]:
    """Pairs of a field and a box, (pairs, 2), for the scale and shift with most pairs.

    Each field and each box of its shape give one guess.
    """
    best = np.zeros((0, 2), np.intp)
    ratio = (sides[:, 2] - sides[:, 0]) / (sides[:, 3] - sides[:, 1])
    guesses = 0
    for field in fields[np.argsort(-(fields[:, 2] - fields[:, 0]))]:
        own = (field[2] - field[0]) / (field[3] - field[1])
        for box in sides[np.abs(ratio / own - 1.0) < NEAR]:
            scale = (box[2] - box[0]) / (field[2] - field[0])
            shift = box - scale * field
            pairs = _pairs(scale * fields + np.tile(shift[:2], 2), sides)
            if len(pairs) > len(best):
                best = pairs
            guesses += 1
        if len(best) == len(fields) or guesses > MAX_GUESSES:
            break
    return best


def _pairs(expected: Doubles, sides: Doubles) -> NDArray[np.intp]:
    """The expected boxes that exist, each paired with the nearest one."""
    off = np.abs(expected[:, None] - sides[None]).max(axis=2)
    nearest = off.argmin(axis=1)
    rows = np.arange(len(expected))
    # The scan may still be slightly skewed, with errors that grow with the distance.
    limit = NEAR * (expected[:, 3] - expected[:, 1])
    fits = off[rows, nearest] < limit
    return np.stack([rows[fits], nearest[fits]], axis=1)


def _corners(sides: Doubles) -> Doubles:
    """The four corners of boxes, (4 boxes, 2)."""
    left, top, right, bottom = sides.T
    x = np.concatenate([left, right, left, right])
    y = np.concatenate([top, top, bottom, bottom])
    return np.stack([x, y], axis=1)


def _affine(source: Doubles, target: Doubles) -> Doubles:
    """The affine map (2, 3) of least squares from points to points."""
    homogeneous = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    solution = np.linalg.lstsq(homogeneous, target, rcond=None)[0]
    return np.asarray(solution.T)
