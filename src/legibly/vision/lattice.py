"""Which pieces make up which digit: every way to merge and cut the pieces of a row, weighed by the network.

A hypothesis is a run of neighbouring fragments taken as one digit. The best way through a row is the one whose
digits the network believes most, given what digits' shapes usually are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from legibly.vision import glyphs, seams

WIDEST = 1.5
"""No digit is wider than this many digit heights, unless it is one piece."""
CUT_FROM, SURELY_WIDE = 0.35, 0.85
"""A piece wider than this many digit heights may be two digits that touch: a suspect one, and any other."""
SHORT = 0.62
"""A piece lower than this share of a digit's height may be part of one."""
MOST_FRAGMENTS = 6


@dataclass(slots=True)
class Hypothesis:
    """Fragments `first` … `last` (half open) of a row taken as one digit; `score` is log probability and prior."""

    first: int
    last: int
    piece: glyphs.Piece
    prior: float
    score: float = 0.0


@dataclass(slots=True)
class Row:
    """The fragments of one row from left to right, and what they may be."""

    fragments: list[glyphs.Piece]
    height: float
    hypotheses: list[Hypothesis] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Path:
    """The chosen hypotheses of a row, the fragments left out, and how likely this way through is among all."""

    chosen: tuple[Hypothesis, ...]
    dropped: tuple[glyphs.Piece, ...]
    probability: float


def prepare(pieces: Sequence[glyphs.Piece], suspects: Sequence[bool], height: float) -> Row:
    """Cut a row's suspect pieces into fragments and list every hypothesis, not yet scored.

    A suspect is a piece that the network does not take for a digit, or one too wide for one.
    """
    fragments: list[glyphs.Piece] = []
    origin: list[int] = []
    for index, (piece, suspect) in enumerate(zip(pieces, suspects, strict=True)):
        cuttable = piece.width > (CUT_FROM if suspect else SURELY_WIDE) * height and piece.height > SHORT * height
        parts = seams.cut(piece, min(height, piece.height)) if cuttable else [piece]
        fragments += parts
        origin += [index] * len(parts)
    row = Row(fragments, height)
    whole = {index: origin.count(index) for index in set(origin)}
    for first in range(len(fragments)):
        for last in range(first + 1, min(first + MOST_FRAGMENTS + 2, len(fragments)) + 1):
            group = fragments[first:last]
            sources = origin[first:last]
            alone = len(set(sources)) == 1 and whole[sources[0]] == len(group)
            if not alone and not _plausible(group, sources, height):
                break
            piece = pieces[sources[0]] if alone else glyphs.merge(group)
            cuts = (first > 0 and origin[first - 1] == origin[first]) + (
                last < len(fragments) and origin[last] == origin[last - 1]
            )
            row.hypotheses.append(Hypothesis(first, last, piece, _prior(piece, height, cuts, len(set(sources)) - 1)))
    return row


def _plausible(group: Sequence[glyphs.Piece], sources: Sequence[int], height: float) -> bool:
    """Whether fragments may be one digit at all: near, not too wide, and not two digits that stand side by side."""
    left, right = min(piece.box[0] for piece in group), max(piece.box[2] for piece in group)
    top, bottom = min(piece.box[1] for piece in group), max(piece.box[3] for piece in group)
    if right - left > WIDEST * height or bottom - top > 1.7 * height:
        return False
    for one, other, source, next_source in zip(group, group[1:], sources, sources[1:], strict=False):
        if source == next_source:
            continue
        gap = other.box[0] - one.box[2]
        short = min(one.height, other.height) < SHORT * height
        if gap > (0.25 if short else 0.04) * height:
            return False
    return True


def _prior(piece: glyphs.Piece, height: float, cuts: int, joins: int) -> float:
    """How usual the shape is for a digit, as a log weight of 0 or less."""
    tall, wide = piece.height / height, piece.width / height
    prior = -0.6 * cuts - 0.25 * joins
    prior -= 6.0 * max(0.0, 0.6 - tall) + 3.0 * max(0.0, tall - 1.5)
    return prior - 3.0 * max(0.0, wide - 1.0)


def best(row: Row, typical_area: float) -> Path:
    """The likeliest way through a row whose hypotheses are scored."""
    count = len(row.fragments)
    skip = [_skip(piece, typical_area, row.height) for piece in row.fragments]
    score = np.full(count + 1, -np.inf)
    total = np.full(count + 1, -np.inf)
    score[0] = total[0] = 0.0
    came: list[Hypothesis | None] = [None] * (count + 1)
    by_end: list[list[Hypothesis]] = [[] for _ in range(count + 1)]
    for hypothesis in row.hypotheses:
        by_end[hypothesis.last].append(hypothesis)
    for end in range(1, count + 1):
        score[end] = score[end - 1] + skip[end - 1]
        total[end] = total[end - 1] + skip[end - 1]
        for hypothesis in by_end[end]:
            value = score[hypothesis.first] + hypothesis.score
            total[end] = np.logaddexp(total[end], total[hypothesis.first] + hypothesis.score)
            if value > score[end]:
                score[end], came[end] = value, hypothesis
    chosen: list[Hypothesis] = []
    dropped: list[glyphs.Piece] = []
    end = count
    while end > 0:
        taken = came[end]
        if taken is None:
            dropped.append(row.fragments[end - 1])
            end -= 1
        else:
            chosen.append(taken)
            end = taken.first
    return Path(tuple(reversed(chosen)), tuple(dropped), float(np.exp(score[count] - total[count])))


def _skip(piece: glyphs.Piece, typical_area: float, height: float) -> float:
    """The log weight of leaving a fragment out: little for a speck, much for what is as large as a digit."""
    size = max(piece.height, piece.width) / height
    return -0.7 - 6.0 * min(1.5, size) - 5.0 * min(1.0, piece.area / max(typical_area, 1.0))
