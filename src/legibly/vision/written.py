"""Rows of pieces read as digits: cut and joined by the lattice, and read at once as a line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from legibly.vision import agreement, glyphs, lattice, line, rows
from legibly.vision.opinions import Found, Networks, Opinions

CLEAR = 0.9
"""A piece of this confidence needs no second look."""


@dataclass(frozen=True, slots=True)
class Read:
    """The digits of every row, and the `certainty` that they were cut right."""

    rows: tuple[tuple[Found, ...], ...]
    certainty: float


def read(
    pieces: Sequence[glyphs.Piece], opinions: Opinions, networks: Networks, height: float
) -> Read:
    """Read pieces whose opinions are known."""
    lines = []
    groups = rows.rows(pieces, height)
    for row in groups:
        suspects = [opinions.of(piece).confidence < CLEAR for piece in row]
        lines.append(lattice.prepare(row, suspects, _row_height(row, height)))
    hypotheses = [hypothesis for options in lines for hypothesis in options.hypotheses]
    opinions.ask([hypothesis.piece for hypothesis in hypotheses])
    for hypothesis in hypotheses:
        belief = max(opinions.of(hypothesis.piece).confidence, 1e-4)
        hypothesis.score = float(np.log(belief)) + hypothesis.prior
    area = float(np.median([piece.area for piece in pieces]))
    result = []
    certainty = 1.0
    for row, options in zip(groups, lines, strict=True):
        path = lattice.best(options, area)
        answer = None
        if networks.read_line is not None and path.chosen and (len(row) > 1 or len(path.chosen) > 1):
            foreign = [piece for other in groups if other is not row for piece in other]
            view = line.band(opinions.ink, row, foreign, options.height)
            if view is not None:
                scores = networks.read_line(view.values[None, None])[0]
                answer = agreement.weigh(path, options, view, scores, opinions, area)
        if answer is None:
            items = tuple(opinions.of(one.piece) for one in path.chosen)
            answer = agreement.Answer(items, path.probability)
        certainty *= answer.certainty
        if answer.items:
            result.append(answer.items)
    return Read(tuple(result), certainty)


def _row_height(row: Sequence[glyphs.Piece], height: float) -> float:
    """A digit's height in this row: the row's own where it has full digits."""
    full = [piece.height for piece in row if piece.height > 0.6 * height]
    return float(np.clip(np.median(full), 0.7 * height, 1.5 * height)) if full else height
