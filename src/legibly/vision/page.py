"""Finds, segments and orders the digits of a picture, each with its crop and probabilities."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from legibly.vision import leftover, line, row_reading, turns
from legibly.vision.ink import find, frames, glyphs, native, paper, planes, rows, rules, sheet
from legibly.vision.opinions import (
    CLEAR_CONFIDENCE,
    Judge,
    Networks,
    Opinions,
    crops,
    mean_log_confidence,
)
from legibly.vision.opinions import Candidate as Candidate
from legibly.vision.signs import separators

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

POLARITY_RETRY_DOUBT = 0.5
"""From this doubt on, the picture is read in both polarities; the more convincing one counts."""
POLARITY_UNSURE_DOUBT = 0.7
"""From this doubt on, no reading is sure; nor is one in the less likely polarity."""
MIN_DIGITS_TO_TURN = 3
"""Fewer digits are not tried in other orientations: a single 6 may be a 9."""
GLANCE_PIXELS = 19_600
GLANCE_HEIGHT = 36
"""A glance is a look at reduced size: the least pixels it has, and the least height of a digit that
it can read.
"""
GLANCE_BELIEF = 0.9
CLOSER_PIXELS = 1_500_000
"""After a glance with less belief, the picture is read with this many pixels."""
RETRY_BUDGET = 450.0
"""Once this much of a picture's budget is spent, polarity and orientation are not retried."""
CROWD_PIECES = 60
SAMPLE_PIECES = 200
"""Of more pieces than this, a sample decides first whether they are digits or texture."""
MAX_DIGITS = 400
"""With more pieces only the sample is read, and never sure: each costs some milliseconds."""
UNSURE_CERTAINTY = 0.9
"""The certainty of a page with unresolved doubt, such as a digit that touched its frame: below the
threshold of any pack.
"""
NOTABLE_LEFT_OUT = 0.1
"""If a reading leaves out a larger share of the ink, the strokes in it are measured."""
TEXTURE_DENSITY = 0.04
TEXTURE_MIN_RUNS = 20_000
TEXTURE_MAX_RUNS = 200_000
"""Texture has more runs of ink per pixel than this and at least the minimum, or the maximum."""
RETRY_DOUBT = 0.6
"""From this negated mean log confidence on, other sizes and polarities are tried."""
TURN_DOUBT = 0.15
TURN_GAIN = 0.3
CLEAR_DOUBT = 0.05
"""From this negated mean log confidence on, other orientations are tried; the best is taken if its
own is better by the gain, or as low as CLEAR_DOUBT.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The digits of a picture, row by row.

    `certainty` is the probability that segmentation, polarity and orientation are right; `height`
    is the typical height of a digit in pixels; `left_out` is the share of the ink outside all
    items, `unread` the same for strokes only; `grain` is the unevenness of the paper, relative to
    the strength of the ink. `disputed`: the lattice and the line reader differ; `others`: the share
    of signs that the line reader calls no digits; `crops`: some pieces before cutting and joining.
    A `tiny` picture has at most one digit.
    """

    rows: tuple[tuple[Candidate, ...], ...]
    certainty: float
    height: float
    marks: tuple[separators.Separator, ...] = ()
    left_out: float = 0.0
    unread: float = 0.0
    grain: float = 0.0
    disputed: bool = False
    others: float = 0.0
    crops: tuple[Floats, ...] = ()
    texture: bool = False
    tiny: bool = False

    @property
    def items(self) -> list[Candidate]:
        return [item for row in self.rows for item in row]

    @property
    def merit(self) -> float:
        """The mean log confidence of the digits; −10 without digits."""
        items = self.items
        return mean_log_confidence(items) if items else -10.0

    @property
    def belief(self) -> float:
        """The probability that all digits and their segmentation are right."""
        return math.prod([item.confidence for item in self.items]) * self.certainty


def analyse(pixels: Pixels, judge: Judge, read_line: line.Reader | None = None) -> Page:
    """Find and classify all digits of a picture (H, W) or (H, W, 3) uint8.

    A large picture is read at reduced size first, then larger if its digits are small or the result
    is unconvincing. If it shows a sheet on a desk, only the sheet is read.
    """
    networks = Networks(judge, read_line)
    box = sheet.find(pixels)
    if box is None:
        return _analyse(pixels, networks)
    left, top, right, bottom = box
    return _shifted(
        _analyse(np.ascontiguousarray(pixels[top:bottom, left:right]), networks), left, top
    )


def _shifted(page: Page, left: int, top: int) -> Page:
    """Move the boxes of a part's page to their places in the whole picture."""

    def box(item: Candidate) -> Candidate:
        x, y, right, bottom = item.box
        return item.at((x + left, y + top, right + left, bottom + top))

    marks = [mark.moved(left=left, top=top) for mark in page.marks]
    items = tuple(tuple(box(item) for item in row) for row in page.rows)
    return replace(page, rows=items, marks=tuple(marks))


def _analyse(pixels: Pixels, networks: Networks) -> Page:
    factor = min(
        int((pixels.shape[0] * pixels.shape[1] / GLANCE_PIXELS) ** 0.5), min(pixels.shape[:2]) // 64
    )
    while factor > 1:
        glance = _look(planes.reduce(pixels, factor), networks, least=GLANCE_HEIGHT)
        enough = glance.merit > -RETRY_DOUBT or networks.budget.spent > RETRY_BUDGET
        if glance.height >= GLANCE_HEIGHT and enough:
            return _second_look(pixels, glance, factor, networks)
        if glance.texture:
            return glance
        small = 0 < glance.height < GLANCE_HEIGHT
        factor = int(factor * glance.height / GLANCE_HEIGHT) if small else 1
    return _look(pixels, networks)


def _second_look(pixels: Pixels, glance: Page, factor: int, networks: Networks) -> Page:
    """The page at reduced size, or at a larger size if the first result is unconvincing."""
    enlarged = _enlarged(glance, factor, pixels.shape)
    if glance.belief > GLANCE_BELIEF or networks.budget.spent > RETRY_BUDGET:
        return enlarged
    closer = max(int((pixels.shape[0] * pixels.shape[1] / CLOSER_PIXELS) ** 0.5), 1)
    if closer >= factor:
        return enlarged
    nearer = pixels if closer == 1 else planes.reduce(pixels, closer)
    full = _enlarged(_look(nearer, networks), closer, pixels.shape)
    page = full if full.rows and full.belief > enlarged.belief else enlarged
    labels = [[item.label for item in either.items] for either in (enlarged, full)]
    # If the two sizes read differently, neither is sure.
    return (
        page
        if labels[0] == labels[1]
        else replace(page, certainty=UNSURE_CERTAINTY * page.certainty)
    )


def _enlarged(page: Page, factor: int, shape: tuple[int, ...]) -> Page:
    """Map the boxes of a page read at reduced size to the full-size picture."""

    def box(item: Candidate) -> Candidate:
        left, top, right, bottom = (factor * side for side in item.box)
        return item.at((left, top, min(right, shape[1]), min(bottom, shape[0])))

    marks = [mark.moved(factor=factor) for mark in page.marks]
    items = tuple(tuple(box(item) for item in row) for row in page.rows)
    return replace(page, rows=items, height=page.height * factor, marks=tuple(marks))


def _look(pixels: Pixels, networks: Networks, *, least: float = 0.0) -> Page:
    """Read the picture at this size; only the height of digits lower than `least` pixels."""
    ink = paper.find_ink(pixels)
    page = _analyse_ink(ink, networks, least=least)
    if page.texture or 0 < page.height < least:
        return page
    if ink.doubt > POLARITY_UNSURE_DOUBT:
        page = replace(page, certainty=0.5 * page.certainty)
    if networks.budget.spent > 2 * RETRY_BUDGET:
        return page
    if len(page.items) >= MIN_DIGITS_TO_TURN and page.merit < -TURN_DOUBT:
        page = _turned(pixels, ink.light, page, networks)
    costly = networks.budget.spent > RETRY_BUDGET
    if ink.doubt > POLARITY_RETRY_DOUBT and networks.budget.spent > 1.5 * RETRY_BUDGET:
        return replace(page, certainty=UNSURE_CERTAINTY * page.certainty)
    if ink.doubt > POLARITY_RETRY_DOUBT or (page.merit < -RETRY_DOUBT and not costly):
        other = _analyse_ink(paper.find_ink(pixels, light=not ink.light), networks)
        # The first guess has a small advantage, since a blank page has noise of either sign.
        if other.rows and other.merit > page.merit + 0.3:
            page = replace(other, certainty=0.5 * other.certainty)
            if len(page.items) >= MIN_DIGITS_TO_TURN and page.merit < -TURN_DOUBT:
                page = _turned(pixels, not ink.light, page, networks)
    return page


def _is_texture(mask: glyphs.Mask) -> bool:
    """Whether a mask has too many runs for handwriting: checkerboards, noise, fabric."""
    if native.kernels:
        runs = native.count_edges(mask)[3]
    else:
        runs = int(np.count_nonzero(mask[:, 1:] & ~mask[:, :-1]))
    return bool(
        runs > TEXTURE_MAX_RUNS or (runs > TEXTURE_MIN_RUNS and runs > TEXTURE_DENSITY * mask.size)
    )


def _turned(pixels: Pixels, light: bool, page: Page, networks: Networks) -> Page:
    """The page in the best of four orientations; as it is unless another is far better."""
    height, width = pixels.shape[:2]
    quarters = turns.best_turn(page.crops, networks)
    if not quarters:
        return page
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    other = _analyse_ink(paper.find_ink(turned, light=light), networks)
    if len(other.items) < MIN_DIGITS_TO_TURN or other.merit <= min(
        page.merit + TURN_GAIN, -CLEAR_DOUBT
    ):
        return page
    back = tuple(
        tuple(item.at(turns.back(item.box, quarters, width, height)) for item in row)
        for row in other.rows
    )
    return replace(other, rows=back, certainty=0.994 * other.certainty, marks=())


def _analyse_ink(ink: paper.Ink, networks: Networks, *, least: float = 0.0) -> Page:
    """The digits of the ink; only their height if it is below `least`, a sample if too many pieces
    are not digits.
    """
    networks.budget.count(pixels=ink.mask.size)
    if _is_texture(ink.mask):
        return Page((), 1.0, 0.0, texture=True)
    framed = frames.clean(ink)
    ink = rules.clean(framed.ink)
    parts = find.split(ink, framed.parts if ink is framed.ink else None)
    pieces = parts.digits
    if not pieces:
        return Page((), 1.0, 0.0)
    height = rows.typical_height(pieces)
    if max(ink.values.shape) <= find.TINY_SIDE and not _stand_apart(pieces, height):
        return _single(ink, pieces, networks)
    if height < least:
        return Page((), 1.0, height)
    opinions = Opinions(ink, networks)
    some = pieces[:: -(-len(pieces) // SAMPLE_PIECES)]
    opinions.ask(some)
    unclear = sum(opinions.of(piece).confidence < CLEAR_CONFIDENCE for piece in some)
    if len(pieces) > MAX_DIGITS or (len(pieces) > CROWD_PIECES and unclear > 0.7 * len(some)):
        crowd = rows.rows(some, height)
        certainty = 0.0 if unclear > 0.7 * len(some) else 0.1
        items = tuple(tuple(opinions.of(piece) for piece in row) for row in crowd)
        return Page(items, certainty, height)
    opinions.ask([*pieces, *parts.rings])
    # A ring that reads as a digit may be a zero with a stroke in it, not a circle around a digit.
    zero = any(opinions.of(ring).confidence > CLEAR_CONFIDENCE for ring in parts.rings)
    doubt = UNSURE_CERTAINTY if framed.torn or zero else 1.0
    read = row_reading.read(pieces, opinions, networks, height)
    boxes = [item.box for row in read.rows for item in row]
    marks = (
        separators.small_marks(parts.small, boxes, height)
        if len(parts.small) < CROWD_PIECES
        else ()
    )
    known = [*boxes, *(mark.box for mark in marks)]
    left_out = leftover.share(ink.mask, known)
    return Page(
        read.rows, doubt * read.certainty, height, marks, left_out,
        unread=leftover.strokes(ink.mask, known) if left_out > NOTABLE_LEFT_OUT else 0.0,
        grain=leftover.grain(ink), disputed=read.disputed, others=read.others,
        crops=tuple(opinions.of(item).crop for item in some),
    )  # fmt: skip


def _stand_apart(pieces: Sequence[glyphs.Piece], height: float) -> bool:
    """Whether two full-height pieces stand side by side, so that they are two digits."""
    full = sorted(
        (piece for piece in pieces if piece.height > 0.7 * height), key=lambda piece: piece.box[0]
    )
    return any(left.box[2] <= right.box[0] for left, right in itertools.pairwise(full))


def _single(ink: paper.Ink, pieces: Sequence[glyphs.Piece], networks: Networks) -> Page:
    """Read a tiny picture as one digit: all its ink or its largest pieces, whichever is better."""
    pieces = sorted(pieces, key=lambda piece: -piece.area)
    choices = [glyphs.merge(pieces[:count]) for count in range(len(pieces), 0, -1)][:4]
    inputs = crops(ink, choices)
    probabilities, digitness = networks.judge(inputs)
    # Each piece left out costs a little, since usually all ink belongs to the digit.
    merit = np.log(np.maximum(probabilities.max(axis=1) * digitness, 1e-4)) - 0.3 * np.arange(
        len(choices)
    )
    at = int(merit.argmax())
    candidate = Candidate(choices[at].box, inputs[at], probabilities[at], float(digitness[at]))
    return Page(((candidate,),), 1.0, float(choices[at].height), tiny=True)
