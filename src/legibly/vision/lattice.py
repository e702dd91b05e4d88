"""Segments a row into digits: weighs every way to merge and cut its pieces by the network.

A hypothesis is a run of neighbouring fragments taken as one digit. The best path through a row has
the highest product of network confidences and shape priors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from legibly.vision import seams
from legibly.vision.ink import glyphs

MAX_WIDTH = 1.5
"""Largest width of a digit in digit heights, unless it is one piece."""
SUSPECT_CUT_WIDTH = 0.35
SURE_CUT_WIDTH = 0.85
"""A piece wider than this many digit heights may be touching digits: a suspect one, any other."""
MAX_CUT_WIDTH = 16.0
"""A piece wider than this many digit heights is a line or a texture, and is not cut."""
PART_HEIGHT = 0.62
"""A piece lower than this share of a digit's height may be part of a digit."""
MAX_FRAGMENTS = 6
CUT_WEIGHT = 0.02
"""Weight of the other paths in the doubt, since most of them read the same. Fitted on synthetic
rows.
"""
NO_DIGITS_WEIGHT = -4.0
"""The log weight of a piece that may be cut being no digits at all."""


@dataclass(slots=True)
class Hypothesis:
    """Fragments `first` … `last` (half open) of a row taken as one digit.

    `score` is the log probability plus `prior`; `uncut` marks a whole piece that could be cut.
    """

    first: int
    last: int
    piece: glyphs.Piece
    prior: float
    score: float = 0.0
    uncut: bool = False


@dataclass(slots=True)
class Row:
    """The fragments of one row from left to right, and their hypotheses."""

    fragments: list[glyphs.Piece]
    height: float
    hypotheses: list[Hypothesis] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Path:
    """The chosen hypotheses of a row, the fragments left out, and the probability that both are
    right.

    Alternatives are the other paths, and that a piece that had to be cut is no digits at all.
    """

    chosen: tuple[Hypothesis, ...]
    dropped: tuple[glyphs.Piece, ...]
    probability: float
    score: float = 0.0


def prepare(pieces: Sequence[glyphs.Piece], suspects: Sequence[bool], height: float) -> Row:
    """Cut a row's suspect pieces into fragments and list all hypotheses, without scores.

    A suspect is a piece that the network does not take for a digit, or that is too wide for one.
    """
    fragments: list[glyphs.Piece] = []
    origin: list[int] = []
    for index, (piece, suspect) in enumerate(zip(pieces, suspects, strict=True)):
        cuttable = (
            piece.width > (SUSPECT_CUT_WIDTH if suspect else SURE_CUT_WIDTH) * height
            and piece.height > PART_HEIGHT * height
            and piece.width < MAX_CUT_WIDTH * height
        )
        parts = seams.cut(piece, min(height, piece.height)) if cuttable else [piece]
        fragments += parts
        origin += [index] * len(parts)
    row = Row(fragments, height)
    counts = {index: origin.count(index) for index in set(origin)}
    cuts = _cut_weights(fragments, origin, height)
    for first in range(len(fragments)):
        for last in range(first + 1, min(first + MAX_FRAGMENTS + 2, len(fragments)) + 1):
            group = fragments[first:last]
            sources = origin[first:last]
            alone = len(set(sources)) == 1 and counts[sources[0]] == len(group)
            if not alone and not _may_be_digit(group, sources, height):
                break
            piece = pieces[sources[0]] if alone else glyphs.merge(group)
            prior = (
                cuts[first]
                + cuts[last]
                - 0.25 * (len(set(sources)) - 1)
                + _shape_prior(piece, height)
            )
            row.hypotheses.append(
                Hypothesis(first, last, piece, prior, uncut=alone and len(group) > 1)
            )
    return row


def _cut_weights(
    fragments: Sequence[glyphs.Piece], origin: Sequence[int], height: float
) -> list[float]:
    """The log weight of each edge between fragments: lower if a cut crosses much ink."""
    weights = [0.0] * (len(fragments) + 1)
    for at in range(1, len(fragments)):
        if origin[at] == origin[at - 1]:
            weights[at] = -0.2 - 1.5 * seams.contact(fragments[at - 1], fragments[at]) / height
    return weights


def _may_be_digit(group: Sequence[glyphs.Piece], sources: Sequence[int], height: float) -> bool:
    """Whether fragments may be one digit: near, not too wide, and not two digits side by side."""
    left = min(piece.box[0] for piece in group)
    right = max(piece.box[2] for piece in group)
    top = min(piece.box[1] for piece in group)
    bottom = max(piece.box[3] for piece in group)
    if right - left > MAX_WIDTH * height or bottom - top > 1.7 * height:
        return False
    for piece, beside, source, next_source in zip(
        group, group[1:], sources, sources[1:], strict=False
    ):
        if source == next_source:
            continue
        gap = beside.box[0] - piece.box[2]
        short = min(piece.height, beside.height) < PART_HEIGHT * height
        if gap > (0.25 if short else 0.04) * height:
            return False
    return True


def _shape_prior(piece: glyphs.Piece, height: float) -> float:
    """The log weight of a shape as a digit, at most 0."""
    tall = piece.height / height
    wide = piece.width / height
    return -6.0 * max(0.0, 0.6 - tall) - 3.0 * max(0.0, tall - 1.5) - 2.0 * max(0.0, wide - 0.8)


def best(row: Row, typical_area: float) -> Path:
    """The most likely path through a row whose hypotheses have scores."""
    count = len(row.fragments)
    score, ways, anything = (np.full(count + 1, -np.inf) for _ in range(3))
    score[0] = ways[0] = anything[0] = 0.0
    back_pointers: list[Hypothesis | None] = [None] * (count + 1)
    by_end: list[list[Hypothesis]] = [[] for _ in range(count + 1)]
    for hypothesis in row.hypotheses:
        by_end[hypothesis.last].append(hypothesis)
    for end in range(1, count + 1):
        skip = _skip_weight(row.fragments[end - 1], typical_area, row.height)
        for sums in (score, ways, anything):
            sums[end] = sums[end - 1] + skip
        for hypothesis in by_end[end]:
            first = hypothesis.first
            value = hypothesis.score
            ways[end] = np.logaddexp(ways[end], ways[first] + value)
            other = (
                np.logaddexp(value, _no_digits_weight(hypothesis)) if hypothesis.uncut else value
            )
            anything[end] = np.logaddexp(anything[end], anything[first] + other)
            if score[first] + value > score[end]:
                score[end] = score[first] + value
                back_pointers[end] = hypothesis
    doubt = CUT_WEIGHT * (score[count] - ways[count]) + ways[count] - anything[count]
    return _trace(row, back_pointers, float(np.exp(doubt)), float(score[count]))


def best_spelling(
    row: Row, labels: Sequence[int], weigh: Callable[[Hypothesis, int], float], area: float
) -> tuple[tuple[Hypothesis, ...], float] | None:
    """The most likely path that reads `labels`, and its log weight; None if there is none.

    `weigh` returns the log probability that a hypothesis is a label.
    """
    count = len(row.fragments)
    ways: list[dict[int, tuple[float, Hypothesis | None]]] = [{} for _ in range(count + 1)]
    ways[0][0] = (0.0, None)
    by_end: list[list[Hypothesis]] = [[] for _ in range(count + 1)]
    for hypothesis in row.hypotheses:
        by_end[hypothesis.last].append(hypothesis)
    for end in range(1, count + 1):
        skip = _skip_weight(row.fragments[end - 1], area, row.height)
        best = {read: (score + skip, None) for read, (score, _) in ways[end - 1].items()}
        here: dict[int, tuple[float, Hypothesis | None]] = {**best}
        for hypothesis in by_end[end]:
            for read, (score, _) in ways[hypothesis.first].items():
                if read == len(labels):
                    continue
                value = score + hypothesis.prior + weigh(hypothesis, labels[read])
                if read + 1 not in here or value > here[read + 1][0]:
                    here[read + 1] = (value, hypothesis)
        ways[end] = here
    if len(labels) not in ways[count]:
        return None
    chosen: list[Hypothesis] = []
    end = count
    read = len(labels)
    while end > 0:
        hypothesis_or_none = ways[end][read][1]
        if hypothesis_or_none is None:
            end -= 1
        else:
            chosen.append(hypothesis_or_none)
            end = hypothesis_or_none.first
            read -= 1
    return tuple(reversed(chosen)), ways[count][len(labels)][0]


def _no_digits_weight(hypothesis: Hypothesis) -> float:
    """The log weight of a whole piece being no digits, however it is cut."""
    belief = min(0.999, float(np.exp(hypothesis.score - hypothesis.prior)))
    return NO_DIGITS_WEIGHT + float(np.log1p(-belief))


def _trace(
    row: Row, back_pointers: Sequence[Hypothesis | None], probability: float, score: float
) -> Path:
    """Follow `back_pointers`: for each end, the hypothesis of the best path to it."""
    chosen: list[Hypothesis] = []
    dropped: list[glyphs.Piece] = []
    end = len(row.fragments)
    while end > 0:
        taken = back_pointers[end]
        if taken is None:
            dropped.append(row.fragments[end - 1])
            end -= 1
        else:
            chosen.append(taken)
            end = taken.first
    return Path(tuple(reversed(chosen)), tuple(dropped), probability, score)


def _skip_weight(piece: glyphs.Piece, typical_area: float, height: float) -> float:
    """The log weight of leaving a fragment out: small for a speck, large for a digit's size."""
    size = max(piece.height, piece.width) / height
    return -0.7 - 6.0 * min(1.5, size) - 5.0 * min(1.0, piece.area / max(typical_area, 1.0))
