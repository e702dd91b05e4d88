"""Finds, cuts and orders the digits of a picture, each with the network's input and opinion."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision import leftover, line, row_reading, turns
from legibly.vision.ink import find, frames, glyphs, paper, rows, rules, sheet
from legibly.vision.opinions import Candidate as Candidate
from legibly.vision.opinions import Judge, Networks, Opinions, crops
from legibly.vision.signs import separators

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

POLARITY_RETRY_DOUBT = 0.5
"""From this doubt on, both polarities are read and the more convincing one is taken."""
POLARITY_UNSURE_DOUBT = 0.7
"""From this doubt on, and for a picture that reads only in the unlikelier polarity, no reading is
sure.
"""
MIN_DIGITS_TO_TURN = 3
"""A page is turned by quarters only from so many digits on: a 6 alone may be a 9 alone."""
GLANCE_PIXELS = 19_600
GLANCE_HEIGHT = 36
"""A glance takes at least so many pixels, and is enough for digits at least so many pixels high."""
GLANCE_BELIEF = 0.9
CLOSER_PIXELS = 1_500_000
"""A glance that is believed less is followed by a look at so many pixels."""
RETRY_BUDGET = 450.0
"""No other way to see a picture is tried once so much of its budget is spent."""
CLEAR_CONFIDENCE = 0.9
"""A piece of this confidence needs no second look."""
CROWD_PIECES = 60
SAMPLE_PIECES = 200
"""Of more pieces than that, a sample tells whether they are digits at all: texture is neither cut
nor joined.
"""
MAX_DIGITS = 400
"""Of more, the sample is the reading, and never sure: each costs some milliseconds."""
UNSURE_CERTAINTY = 0.9
"""The certainty of a page where a digit touched its frame: below what any pack calls sure."""
NOTABLE_LEFT_OUT = 0.1
"""What is left out of a reading is looked at from this share of the ink on."""
TEXTURE_DENSITY = 0.04
TEXTURE_MIN_RUNS = 20_000
TEXTURE_MAX_RUNS = 200_000
"""Runs of ink a pixel, and in all, from which a picture is texture and no writing."""
RETRY_DOUBT = 0.6
"""The mean log confidence, negated, from which other ways to see a page are tried."""
TURN_DOUBT = 0.25
"""The same for a page that may lie on its side or upside down."""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything found, row by row.

    `certainty` is the probability that it was seen and cut right; `height` is a digit's;
    `left_out` is the share of the ink that is in no item, `unread` that of strokes alone; `grain`
    is how uneven the paper is, in the strength of the ink. `disputed` says that two ways to read it
    differ, `others` what share of its signs the line reader takes for no digits; `crops` are some
    of its pieces, neither cut nor joined. A `tiny` picture is one digit, if any.
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
        """How convincing this reading is: the mean log confidence of its digits; −10 without
        digits.
        """
        confidences = [max(item.confidence, 1e-4) for item in self.items]
        return float(np.mean(np.log(confidences))) if confidences else -10.0

    @property
    def belief(self) -> float:
        """The probability that every digit and its segmentation are right."""
        return float(np.prod([item.confidence for item in self.items])) * self.certainty


def analyse(pixels: Pixels, judge: Judge, read_line: line.Reader | None = None) -> Page:
    """Find and judge everything in a picture (H, W) or (H, W, 3) uint8.

    A large picture is read at reduced size first, larger if that shows small digits, and at full
    size if unconvincing. Of a picture of a sheet on a desk, only the sheet is read.
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
    """A page found in a part of the picture, its boxes in pixels of the whole picture."""

    def box(item: Candidate) -> Candidate:
        x, y, right, bottom = item.box
        return replace(item, box=(x + left, y + top, right + left, bottom + top))

    marks = [mark.moved(left=left, top=top) for mark in page.marks]
    items = tuple(tuple(box(item) for item in row) for row in page.rows)
    return replace(page, rows=items, marks=tuple(marks))


def _analyse(pixels: Pixels, networks: Networks) -> Page:
    factor = min(
        int((pixels.shape[0] * pixels.shape[1] / GLANCE_PIXELS) ** 0.5), min(pixels.shape[:2]) // 64
    )
    while factor > 1:
        glance = _look(
            np.asarray(Image.fromarray(pixels).reduce(factor)), networks, least=GLANCE_HEIGHT
        )
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
    nearer = pixels if closer == 1 else np.asarray(Image.fromarray(pixels).reduce(closer))
    full = _enlarged(_look(nearer, networks), closer, pixels.shape)
    page = full if full.rows and full.belief > enlarged.belief else enlarged
    labels = [[item.label for item in either.items] for either in (enlarged, full)]
    # Two looks that read differently: neither is sure.
    return (
        page
        if labels[0] == labels[1]
        else replace(page, certainty=UNSURE_CERTAINTY * page.certainty)
    )


def _enlarged(page: Page, factor: int, shape: tuple[int, ...]) -> Page:
    """A page read at reduced size, its boxes in pixels of the full-size picture."""

    def box(item: Candidate) -> Candidate:
        left, top, right, bottom = (factor * side for side in item.box)
        return replace(item, box=(left, top, min(right, shape[1]), min(bottom, shape[0])))

    marks = [mark.moved(factor=factor) for mark in page.marks]
    items = tuple(tuple(box(item) for item in row) for row in page.rows)
    return replace(page, rows=items, height=page.height * factor, marks=tuple(marks))


def _look(pixels: Pixels, networks: Networks, *, least: float = 0.0) -> Page:
    """The page at this size; only its height if its digits are lower than `least` pixels."""
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
        # The first guess keeps a small advantage: a blank page has noise of either sign.
        if other.rows and other.merit > page.merit + 0.3:
            page = replace(other, certainty=0.5 * other.certainty)
            if len(page.items) >= MIN_DIGITS_TO_TURN and page.merit < -TURN_DOUBT:
                page = _turned(pixels, not ink.light, page, networks)
    return page


def _is_texture(mask: glyphs.Mask) -> bool:
    """Whether ink begins too often for handwriting: checkerboards, noise, weaves."""
    runs = np.count_nonzero(mask[:, 1:] & ~mask[:, :-1])
    return bool(
        runs > TEXTURE_MAX_RUNS or (runs > TEXTURE_MIN_RUNS and runs > TEXTURE_DENSITY * mask.size)
    )


def _turned(pixels: Pixels, light: bool, page: Page, networks: Networks) -> Page:
    """The best page among the four quarter turns; upright unless another is far more convincing."""
    height, width = pixels.shape[:2]
    quarters = turns.best_turn(page.crops, networks)
    if not quarters:
        return page
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    other = _analyse_ink(paper.find_ink(turned, light=light), networks)
    if len(other.items) < MIN_DIGITS_TO_TURN or other.merit <= page.merit + 0.3:
        return page
    back = tuple(
        tuple(replace(item, box=turns.back(item.box, quarters, width, height)) for item in row)
        for row in other.rows
    )
    return replace(other, rows=back, certainty=0.994 * other.certainty, marks=())


def _analyse_ink(ink: paper.Ink, networks: Networks, *, least: float = 0.0) -> Page:
    """The digits of some ink; only their height if it is below `least`, a sample if a crowd of
    pieces is not digits.
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
    if max(ink.values.shape) <= find.TINY and not _stand_apart(pieces, height):
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
    # A ring that reads as a digit is no ring around one: a zero with a stroke in it.
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
    """Whether two full-height pieces stand side by side: two digits, not fragments of one."""
    full = sorted(
        (piece for piece in pieces if piece.height > 0.7 * height), key=lambda piece: piece.box[0]
    )
    return any(left.box[2] <= right.box[0] for left, right in itertools.pairwise(full))


def _single(ink: paper.Ink, pieces: Sequence[glyphs.Piece], networks: Networks) -> Page:
    """A picture too small for more than one digit: all its ink or its largest pieces, whichever
    reads better.
    """
    pieces = sorted(pieces, key=lambda piece: -piece.area)
    choices = [glyphs.merge(pieces[:count]) for count in range(len(pieces), 0, -1)][:4]
    inputs = crops(ink, choices)
    probabilities, digitness = networks.judge(inputs)
    # All ink is the likelier truth: leaving some out has to convince.
    merit = np.log(np.maximum(probabilities.max(axis=1) * digitness, 1e-4)) - 0.3 * np.arange(
        len(choices)
    )
    at = int(merit.argmax())
    candidate = Candidate(choices[at].box, inputs[at], probabilities[at], float(digitness[at]))
    return Page(((candidate,),), 1.0, float(choices[at].height), tiny=True)
