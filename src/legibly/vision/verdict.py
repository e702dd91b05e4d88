"""Builds the reading of a page: items, text, verdict and confidence."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from legibly import records
from legibly.packs import card as cards
from legibly.vision import leftover, page
from legibly.vision.ink import rows
from legibly.vision.opinions import mean_log_confidence
from legibly.vision.signs import separators

STROKE_CLASS = "1"
"""The class that is a single stroke."""
BRACKET_CLASSES = "17"
"""The classes that a round bracket is usually mistaken for."""
SLASH_LEAN_GAP = 0.2
"""A slash leans this much more than the upright 1s of its row."""
AMBIGUOUS_FACTOR = 0.9
"""Factor of the confidence if a stroke may be a separator: below the threshold of any pack."""
MIN_MEAN_CONFIDENCE = 0.65
"""A picture with a lower mean confidence has no digits."""
FOREIGN_SHARE = 0.5
FOREIGN_MIN_CONFIDENCE = 0.95
"""If the line reader calls this share of the signs no digits, the mean must be higher."""
MIN_SHARE_UNDISPUTED = 0.45
MIN_SHARE_DISPUTED = 0.65
"""Least mean confidence including the certainty of the cuts, if lattice and line reader agree, and
if they differ.
"""
UNEVEN_GRAIN = 0.1
ROUGH_GRAIN = 0.11
"""From this grain on the background is hardly paper, and from this one on no reading is sure."""
MIN_SHARE_UNEVEN = 0.9
"""Least mean confidence on a background that is hardly paper."""
UNSURE_UNREAD = 0.2
MAX_UNREAD = 0.75
"""Shares of unread strokes above which a text is unsure, or is discarded."""
MIN_DIGITNESS = 0.02
"""An item of lower digitness is left out even among digits."""


def counted_rows(view: page.Page, card: cards.Card) -> list[list[page.Candidate]]:
    """The rows without items outside the classes, unless there is nothing else.

    An item among digits that is as high as they are stays: leaving it out would shift the number.
    """
    limit = card.thresholds.digit if card.reject else 0.0
    result = []
    for row in view.rows:
        sure = sum(item.digitness >= limit for item in row)
        result.append(
            [
                item
                for item in row
                if item.digitness >= limit or (sure >= 2 and _resembles_digit(item, view.height))
            ]
        )
    return [row for row in result if row] or [list(row) for row in view.rows]


def _resembles_digit(item: page.Candidate, height: float) -> bool:
    return item.digitness >= MIN_DIGITNESS and _is_digit_high(item, height)


def _is_digit_high(item: page.Candidate, height: float) -> bool:
    """Whether an item is as high as the digits of its page."""
    return 0.6 * height < item.box[3] - item.box[1] < 1.6 * height


def _covered_share(view: page.Page, lines: list[list[page.Candidate]]) -> float:
    """The share of all digit-high items that the text contains."""
    count = sum(map(len, lines))
    known = {id(item) for row in lines for item in row}
    return count / (
        count
        + sum(id(item) not in known and _is_digit_high(item, view.height) for item in view.items)
    )


def lines(view: page.Page, card: cards.Card) -> list[list[page.Candidate]]:
    """The rows of read items, in the order of the reading's items."""
    return _without_slashes(counted_rows(view, card), view, card)[0]


def reading(
    view: page.Page,
    *,
    card: cards.Card,
    model: records.Model,
    scale: float,
    size: tuple[int, int],
    milliseconds: Mapping[str, float],
) -> records.Reading:
    """Build the reading of a page; `scale` and `size` map its boxes to the upright original."""
    lines, marks = _without_slashes(counted_rows(view, card), view, card)
    no_digits = _has_no_digits(lines, card, view)
    items = [[_item(item, card, scale, size, rejected=no_digits) for item in row] for row in lines]
    flat = [item for row in items for item in row]
    verdict, text, confidence = _answer(view, card, lines, items, no_digits=no_digits)
    if text:
        flat += [_mark(mark, scale, size) for mark in marks]
    return records.Reading(
        verdict=verdict,
        text=text,
        confidence=round(min(max(confidence, 0.0), 1.0), 6),
        model=model,
        at=records.now(),
        items=tuple(flat),
        milliseconds=milliseconds,
        left_out=round(view.left_out, 4) if card.layout == "ink" else None,
    )


def _answer(
    view: page.Page,
    card: cards.Card,
    lines: list[list[page.Candidate]],
    items: list[list[records.Item]],
    *,
    no_digits: bool,
) -> tuple[records.Verdict, str, float]:
    """The verdict, text and confidence of a page."""
    flat = [item for row in items for item in row]
    if view.texture:
        return card.reject or "unknown", "", separators.MARK_CONFIDENCE
    if not flat:
        return "blank", "", view.certainty
    if no_digits:
        # The strongest of three reasons: low digitness, low confidence, unread strokes.
        unlike = float(np.mean([item.confidence for item in flat]))
        badly = 1.0 - math.exp(_log_share([item for row in lines for item in row], view))
        return card.reject or "unknown", "", max(unlike, badly, view.unread)
    labels = [[item.label for item in row] for row in items]
    text = rows.text(labels, [[item.box for item in row] for row in lines], view.height)
    # All items and the segmentation must be right, and nothing left out of the text.
    confidence = math.prod([item.confidence for item in flat]) * view.certainty
    confidence *= _covered_share(view, lines)
    confidence *= _separator_factor(lines, card) if STROKE_CLASS in card.classes else 1.0
    confidence *= (
        AMBIGUOUS_FACTOR if view.unread > UNSURE_UNREAD or view.grain > ROUGH_GRAIN else 1.0
    )
    return "read" if confidence >= card.thresholds.read else "unsure", text, confidence


def _item(
    item: page.Candidate, card: cards.Card, scale: float, size: tuple[int, int], *, rejected: bool
) -> records.Item:
    order = (-item.probabilities).argsort()
    label = card.classes[int(order[0])]
    confidence = item.confidence
    if rejected:
        label = card.reject or "unknown"
        confidence = 1.0 - item.digitness
    return records.Item(
        box=_box(item.box, scale, size),
        label=label,
        confidence=round(confidence, 6),
        probabilities={
            name: round(probability, 6)
            for name, probability in zip(card.classes, item.probabilities.tolist(), strict=True)
        },
        confused_with=card.classes[int(order[1])] if len(order) > 1 else None,
    )


def _box(box: tuple[int, int, int, int], scale: float, size: tuple[int, int]) -> records.Box:
    """Map a box in decoded pixels to `[left, top, width, height]` of the upright original."""
    left = round(box[0] * scale)
    top = round(box[1] * scale)
    right = min(size[0], round(box[2] * scale))
    bottom = min(size[1], round(box[3] * scale))
    return left, top, max(1, right - left), max(1, bottom - top)


def _mark(mark: separators.Separator, scale: float, size: tuple[int, int]) -> records.Item:
    return records.Item(
        box=_box(mark.box, scale, size),
        label=mark.label,
        confidence=separators.MARK_CONFIDENCE,
        probabilities={},
        kind="separator",
    )


def _has_no_digits(lines: list[list[page.Candidate]], card: cards.Card, view: page.Page) -> bool:
    """Whether the page has no digits, according to the networks or because nothing reads well."""
    limit = card.thresholds.digit if card.reject else 0.0
    items = [item for row in lines for item in row]
    if not items:
        return False
    if all(item.digitness < limit for item in items) or view.certainty == 0.0:
        return True
    if card.layout == "whole" or view.tiny:
        return False  # the picture belongs to some class, even if doubtful
    mean = mean_log_confidence(items)
    if mean < math.log(MIN_MEAN_CONFIDENCE) or (
        view.others >= FOREIGN_SHARE and mean < math.log(FOREIGN_MIN_CONFIDENCE)
    ):
        return True
    return view.unread > MAX_UNREAD or _log_share(items, view) < math.log(_least_share(view))


def _log_share(items: Sequence[page.Candidate], view: page.Page) -> float:
    """The mean log confidence of an item, including its share of the page's certainty."""
    return mean_log_confidence(items) + math.log(max(view.certainty, 1e-4)) / len(items)


def _least_share(view: page.Page) -> float:
    """The mean confidence below which a page has no digits; it rises with the grain."""
    least = MIN_SHARE_DISPUTED if view.disputed else MIN_SHARE_UNDISPUTED
    unevenness = (view.grain - leftover.CALM_GRAIN) / (UNEVEN_GRAIN - leftover.CALM_GRAIN)
    return least + (MIN_SHARE_UNEVEN - least) * min(max(unevenness, 0.0), 1.0)


def _without_slashes(
    lines: list[list[page.Candidate]], view: page.Page, card: cards.Card
) -> tuple[list[list[page.Candidate]], list[separators.Separator]]:
    """The rows without slashes among their 1s, and all separators of the page."""
    marks = list(view.marks)
    if STROKE_CLASS not in card.classes:
        return lines, marks
    stroke_class = card.classes.index(STROKE_CLASS)
    result = []
    for row in lines:
        leans = {
            index: stroke.lean
            for index, item in enumerate(row)
            if item.probabilities.argmax() == stroke_class
            and (stroke := separators.stroke_of(item.crop))
        }
        upright = [lean for lean in leans.values() if lean > -separators.SLASH_LEAN]
        slashes = {
            index
            for index, lean in leans.items()
            if 0 < index < len(row) - 1 and upright and lean < min(upright) - SLASH_LEAN_GAP
        }
        slashes = {index for index in slashes if leans[index] < -separators.SLASH_LEAN}
        marks += [separators.Separator(row[index].box, "/") for index in sorted(slashes)]
        result.append([item for index, item in enumerate(row) if index not in slashes])
    return result, marks


def _separator_factor(lines: list[list[page.Candidate]], card: cards.Card) -> float:
    """Factor of the confidence: below 1 if a stroke may be a slash or a bracket."""
    for row in lines:
        for index, item in enumerate(row):
            stroke = separators.stroke_of(item.crop) if len(row) > 1 else None
            if stroke is None:
                continue
            others = [other.box[3] - other.box[1] for other in row if other is not item]
            tall = (item.box[3] - item.box[1]) / float(np.median(others))
            is_between = 0 < index < len(row) - 1
            if is_between and separators.may_be_slash(stroke, tall):
                return AMBIGUOUS_FACTOR
            if stroke.bow > separators.BRACKET_BOW and card.classes[item.label] in BRACKET_CLASSES:
                return AMBIGUOUS_FACTOR
    return 1.0
