"""What a page says, told as a reading: which items count, their text, the verdict and its
confidence.
"""

from collections.abc import Mapping

import numpy as np

from legibly import records
from legibly.packs import card as cards
from legibly.vision import page, rows, separators

STROKE = "1"
"""The class whose shape is a single stroke."""
APART = 0.2
"""A slash leans so much more than the upright 1s of its row."""
AMBIGUOUS = 0.9
"""What a stroke that may be a mark leaves of the confidence: below what any pack calls sure."""
MARK = 0.9
"""The confidence of a mark, which is told by its shape and place alone."""
UNREADABLE = -0.6
"""Below this mean log confidence nothing of a picture is taken for digits."""
MOSTLY = 0.5
SURELY = 0.95
"""Where the line reader takes this share of the signs for no digits, less confidence is none."""
DISPUTED = 0.62
"""The same where the two ways to read it differ, the doubt of the cuts counted."""
DOUBTFUL = 0.02
"""Below this digitness an item is left out even among digits."""


def kept(seen: page.Page, card: cards.Card) -> list[list[page.Found]]:
    """The rows without what is none of the classes, unless nothing else is there.

    What stands among digits and is as high as they are stays: leaving it out would shift the
    number.
    """
    limit = card.thresholds.digit if card.reject else 0.0
    result = []
    for row in seen.rows:
        sure = sum(one.digitness >= limit for one in row)
        result.append(
            [
                one
                for one in row
                if one.digitness >= limit or (sure >= 2 and _like_a_digit(one, seen.height))
            ]
        )
    return [row for row in result if row] or [list(row) for row in seen.rows]


def _like_a_digit(one: page.Found, height: float) -> bool:
    return one.digitness >= DOUBTFUL and _high(one, height)


def _high(one: page.Found, height: float) -> bool:
    """Whether an item is as high as the digits of its page."""
    return 0.6 * height < one.box[3] - one.box[1] < 1.6 * height


def _told(seen: page.Page, lines: list[list[page.Found]]) -> float:
    """The share that the text tells of what is there and as high as a digit: what was left out may
    belong to it.
    """
    count = sum(map(len, lines))
    told = {id(one) for row in lines for one in row}
    return count / (
        count + sum(id(one) not in told and _high(one, seen.height) for one in seen.found)
    )


def lines(seen: page.Page, card: cards.Card) -> list[list[page.Found]]:
    """The rows of what is read, in the order of the reading's items."""
    return _without_slashes(kept(seen, card), seen, card)[0]


def reading(
    seen: page.Page,
    *,
    card: cards.Card,
    model: records.Model,
    scale: float,
    size: tuple[int, int],
    milliseconds: Mapping[str, float],
) -> records.Reading:
    """Tell a page; `scale` and `size` bring its boxes back to the upright original's pixels."""
    lines, marks = _without_slashes(kept(seen, card), seen, card)
    none = _none(lines, card, seen)
    items = [[_item(one, card, scale, size, rejected=none) for one in row] for row in lines]
    flat = [item for row in items for item in row]
    verdict: records.Verdict
    if seen.texture:
        verdict = card.reject or "unknown"
        text = ""
        confidence = MARK
    elif not flat:
        verdict = "blank"
        text = ""
        confidence = seen.certainty
    elif none:
        verdict = card.reject or "unknown"
        text = ""
        confidence = float(np.mean([item.confidence for item in flat]))
    else:
        labels = [[item.label for item in row] for row in items]
        text = rows.text(labels, [[one.box for one in row] for row in lines], seen.height)
        # Each item has to be right, the page seen and cut right, and nothing left out of the text.
        confidence = float(np.prod([item.confidence for item in flat])) * seen.certainty
        confidence *= _told(seen, lines)
        confidence *= _plain(lines) if STROKE in card.classes else 1.0
        verdict = "read" if confidence >= card.thresholds.read else "unsure"
        flat += [_mark(mark, scale, size) for mark in marks]
    return records.Reading(
        verdict=verdict,
        text=text,
        confidence=round(min(max(confidence, 0.0), 1.0), 6),
        model=model,
        at=records.now(),
        items=tuple(flat),
        milliseconds=milliseconds,
        left_out=round(seen.left_out, 4) if card.layout == "ink" else None,
    )


def _item(
    one: page.Found, card: cards.Card, scale: float, size: tuple[int, int], *, rejected: bool
) -> records.Item:
    order = np.argsort(-one.probabilities)
    label = card.classes[int(order[0])]
    confidence = one.confidence
    if rejected:
        label = card.reject or "unknown"
        confidence = 1.0 - one.digitness
    return records.Item(
        box=_box(one.box, scale, size),
        label=label,
        confidence=round(confidence, 6),
        probabilities={
            name: round(float(p), 6)
            for name, p in zip(card.classes, one.probabilities, strict=True)
        },
        confused_with=card.classes[int(order[1])] if len(order) > 1 else None,
    )


def _box(box: tuple[int, int, int, int], scale: float, size: tuple[int, int]) -> records.Box:
    """Pixels as decoded to `[left, top, width, height]` of the upright original."""
    left = round(box[0] * scale)
    top = round(box[1] * scale)
    right = min(size[0], round(box[2] * scale))
    bottom = min(size[1], round(box[3] * scale))
    return left, top, max(1, right - left), max(1, bottom - top)


def _mark(mark: separators.Separator, scale: float, size: tuple[int, int]) -> records.Item:
    return records.Item(
        box=_box(mark.box, scale, size),
        label=mark.label,
        confidence=MARK,
        probabilities={},
        kind="separator",
    )


def _none(lines: list[list[page.Found]], card: cards.Card, seen: page.Page) -> bool:
    """Whether there is no digit at all: by the networks' word, or since nothing reads well."""
    limit = card.thresholds.digit if card.reject else 0.0
    items = [item for row in lines for item in row]
    if not items:
        return False
    if all(item.digitness < limit for item in items) or seen.certainty == 0.0:
        return True
    if card.layout == "whole" or seen.tiny:
        return False  # the picture is of some class, however doubtful
    mean = float(np.mean(np.log([max(item.confidence, 1e-4) for item in items])))
    if mean < UNREADABLE or (seen.others >= MOSTLY and mean < np.log(SURELY)):
        return True
    share = mean + float(np.log(max(seen.certainty, 1e-4))) / len(items)
    return seen.disputed and share < np.log(DISPUTED)


def _without_slashes(
    lines: list[list[page.Found]], seen: page.Page, card: cards.Card
) -> tuple[list[list[page.Found]], list[separators.Separator]]:
    """The rows without slashes among their 1s, and all separators of the page."""
    marks = list(seen.marks)
    if STROKE not in card.classes:
        return lines, marks
    stroke_class = card.classes.index(STROKE)
    result = []
    for row in lines:
        leans = {
            index: stroke.lean
            for index, one in enumerate(row)
            if one.probabilities.argmax() == stroke_class
            and (stroke := separators.stroke_of(one.crop))
        }
        upright = [lean for lean in leans.values() if lean > -separators.LEANING]
        slashes = {
            index
            for index, lean in leans.items()
            if 0 < index < len(row) - 1 and upright and lean < min(upright) - APART
        }
        slashes = {index for index in slashes if leans[index] < -separators.LEANING}
        marks += [separators.Separator(row[index].box, "/") for index in sorted(slashes)]
        result.append([one for index, one in enumerate(row) if index not in slashes])
    return result, marks


def _plain(lines: list[list[page.Found]]) -> float:
    """Below 1 where a stroke may be a slash or a bracket: such a text is never sure."""
    doubt = 1.0
    for row in lines:
        for index, one in enumerate(row):
            stroke = separators.stroke_of(one.crop) if len(row) > 1 else None
            if stroke is None:
                continue
            between = 0 < index < len(row) - 1
            if (between and stroke.lean < -separators.LEANING) or stroke.bow > separators.BOWED:
                doubt = AMBIGUOUS
    return doubt
