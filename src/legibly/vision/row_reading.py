"""Reads rows of pieces as digits, both by the lattice and by the line reader."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from legibly.vision import agreement, lattice, line
from legibly.vision.ink import glyphs, rows
from legibly.vision.opinions import CLEAR_CONFIDENCE, Candidate, Networks, Opinions

SOLE_CUT_CERTAINTY = 0.94
"""The certainty if all ink is one piece that had to be cut: it may be a letter."""
MIN_DIGITNESS = 0.4
MAX_SIGN_WIDTH = 1.2
MIN_CUT_BELIEF = 0.87
"""If all ink is one piece with less digitness and at most this many digit heights wide, digits are
believed only from this probability on: of 150 touching pairs of digits, five are lost.
"""
MAX_AREA = 8.0
MAX_PIXELS = 6_500_000
"""All hypotheses together cover at most this many times the picture, and this many pixels."""
MAX_HYPOTHESES = 450
MAX_TORN_PIECES = 4
TORN_GAP = 0.1
UNION_CERTAINTY = 0.99
"""At most this many pieces above each other, with gaps of at most this many digit heights, may be a
torn digit; and the certainty of that.
"""
STEP_CERTAINTY = 0.9
STEP_DISTANCE = 1.6
"""The certainty if two rows may be one: side by side, with less than this many digit heights
between their middles.
"""
LONE_CONFIDENCE = 0.995
WIDE_CONFIDENCE = 0.999
"""A single digit of higher confidence, or a wide one, needs no second opinion: of 5,902 touching
pairs of held-out digits, one was taken for a single digit with more.
"""


@dataclass(frozen=True, slots=True)
class Read:
    """The digits of all rows, and the certainty of their segmentation.

    `disputed`: lattice and line reader differ in some row; `others`: the share of signs that the
    line reader calls no digits.
    """

    rows: tuple[tuple[Candidate, ...], ...]
    certainty: float
    disputed: bool
    others: float


def read(
    pieces: Sequence[glyphs.Piece], opinions: Opinions, networks: Networks, height: float
) -> Read:
    """Read pieces whose opinions are known."""
    if len(pieces) == 1 and opinions.of(pieces[0]).confidence > CLEAR_CONFIDENCE:
        answer = _lone_digit(pieces[0], opinions, networks, height)
        if answer is not None:
            return Read((answer.items,), answer.certainty, disputed=False, others=0.0)
    groups = rows.rows(pieces, height)
    torn = _torn_digit(groups, opinions, height)
    if torn is not None:
        return Read(((torn,),), UNION_CERTAINTY, disputed=False, others=0.0)
    lines = []
    for row in groups:
        suspects = [opinions.of(piece).confidence < CLEAR_CONFIDENCE for piece in row]
        lines.append(lattice.prepare(row, suspects, _row_height(row, height)))
    _bound(lines, min(MAX_AREA * opinions.ink.mask.size, MAX_PIXELS))
    hypotheses = [hypothesis for options in lines for hypothesis in options.hypotheses]
    opinions.ask([hypothesis.piece for hypothesis in hypotheses])
    for hypothesis in hypotheses:
        belief = max(opinions.of(hypothesis.piece).confidence, 1e-4)
        hypothesis.score = float(np.log(belief)) + hypothesis.prior
    area = float(np.median([piece.area for piece in pieces]))
    answers = []
    certainty = 1.0
    for row, options in zip(groups, lines, strict=True):
        foreign = [piece for other in groups if other is not row for piece in other]
        path = lattice.best(options, area)
        answer = _answer(row, foreign, options, path, opinions, networks, area)
        certainty *= answer.certainty
        answers.append(answer)
    if len(pieces) == 1 and answers[0].items:
        certainty *= SOLE_CUT_CERTAINTY if len(answers[0].items) > 1 else 1.0
        if _is_a_sign(pieces[0], answers[0], certainty, opinions, height):
            return Read(((opinions.of(pieces[0]),),), 1.0, disputed=False, others=0.0)
    items = tuple(answer.items for answer in answers if answer.items)
    certainty *= STEP_CERTAINTY if _may_be_single_row(items, height) else 1.0
    count = sum(map(len, items))
    others = sum(answer.others * len(answer.items) for answer in answers) / max(1, count)
    return Read(items, certainty, any(answer.disputed for answer in answers), others)


def _lone_digit(
    piece: glyphs.Piece, opinions: Opinions, networks: Networks, height: float
) -> agreement.Answer | None:
    """The only piece as a digit; None if it may have to be cut.

    If it is unsure or wide, the line reader must agree.
    """
    item = opinions.of(piece)
    wide = piece.width > lattice.SURE_CUT_WIDTH * height
    if item.confidence > (WIDE_CONFIDENCE if wide else LONE_CONFIDENCE) or (
        not wide and networks.read_line is None
    ):
        return agreement.Answer((item,), 1.0)
    if networks.read_line is None:
        return None
    view = line.band(opinions.ink, [piece], [], height)
    if view is None:
        return None
    scores = networks.read_line(view.values[None, None])[0]
    return agreement.confirm((item,), scores, 1.0)


def _is_a_sign(
    piece: glyphs.Piece,
    answer: agreement.Answer,
    certainty: float,
    opinions: Opinions,
    height: float,
) -> bool:
    """Whether a sole piece is a letter or a sign rather than a digit or digits that touch."""
    belief = certainty * float(np.prod([item.confidence for item in answer.items]))
    return (
        belief < MIN_CUT_BELIEF
        and opinions.of(piece).digitness < MIN_DIGITNESS
        and piece.width < MAX_SIGN_WIDTH * height
    )


def _torn_digit(
    groups: Sequence[Sequence[glyphs.Piece]], opinions: Opinions, height: float
) -> Candidate | None:
    """All ink as one digit if it is in a few pieces closely above each other; None if it does not
    read as one.
    """
    count = sum(map(len, groups))
    if not 1 < len(groups) <= count <= MAX_TORN_PIECES:
        return None
    boxes = [glyphs.merge(group).box for group in groups]
    for upper, lower in itertools.pairwise(boxes):
        apart = lower[1] - upper[3]
        shared = min(upper[2], lower[2]) - max(upper[0], lower[0])
        if apart > TORN_GAP * height or shared <= 0:
            return None
    union = glyphs.merge([piece for group in groups for piece in group])
    opinions.ask([union])
    candidate = opinions.of(union)
    return candidate if candidate.confidence > CLEAR_CONFIDENCE else None


def _may_be_single_row(items: Sequence[Sequence[Candidate]], height: float) -> bool:
    """Whether one row begins where another ends, only a little higher or lower."""
    ends = []
    for row in items:
        middle = float(np.median([(item.box[1] + item.box[3]) / 2 for item in row]))
        ends.append((min(item.box[0] for item in row), max(item.box[2] for item in row), middle))
    return any(
        (left[1] <= right[0] or right[1] <= left[0])
        and abs(left[2] - right[2]) < STEP_DISTANCE * height
        for left, right in itertools.combinations(ends, 2)
    )


def _bound(lines: Sequence[lattice.Row], most: float) -> None:
    """Remove the joined and cut hypotheses of rows that would cost too much, such as mazes."""
    pixels = 0
    count = 0
    for options in lines:
        boxes = [hypothesis.piece for hypothesis in options.hypotheses]
        pixels += sum(piece.width * piece.height for piece in boxes)
        count += len(boxes)
        if pixels > most or count > MAX_HYPOTHESES:
            options.hypotheses = [
                hypothesis
                for hypothesis in options.hypotheses
                if hypothesis.uncut or hypothesis.last - hypothesis.first == 1
            ]


def _answer(
    row: Sequence[glyphs.Piece],
    foreign: Sequence[glyphs.Piece],
    options: lattice.Row,
    path: lattice.Path,
    opinions: Opinions,
    networks: Networks,
    area: float,
) -> agreement.Answer:
    """The answer of the lattice, weighed against that of the line reader unless it is sure."""
    items = tuple(opinions.of(hypothesis.piece) for hypothesis in path.chosen)
    alone = len(row) == 1 and len(items) == 1
    sure = alone and items[0].confidence > LONE_CONFIDENCE
    read_line = networks.read_line
    if read_line is None or not items or sure:
        return agreement.Answer(items, path.probability)

    def look(factor: float) -> agreement.Look | None:
        view = line.band(opinions.ink, row, foreign, factor * options.height)
        if view is None:
            return None
        return agreement.Look(view, read_line(view.values[None, None])[0])

    return agreement.weigh(path, options, look, opinions, area)


def _row_height(row: Sequence[glyphs.Piece], height: float) -> float:
    """The height of a digit in this row; that of the page if the row has no full digits."""
    full = [piece.height for piece in row if piece.height > 0.6 * height]
    return float(np.clip(np.median(full), 0.7 * height, 1.5 * height)) if full else height
