"""What a page says, told as a reading: which items count, their text, the verdict and its confidence."""

from collections.abc import Mapping

import numpy as np

from legibly import records
from legibly.packs import card as cards
from legibly.vision import page, rows

DOUBTFUL = 0.02
"""Below this digitness an item is left out even among digits."""


def kept(seen: page.Page, card: cards.Card) -> list[list[page.Found]]:
    """The rows without what is none of the classes, unless nothing else is there.

    What stands among digits and is as high as they are stays: leaving it out would shift the number.
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
    """The share that the text tells of what is there and as high as a digit: what was left out may belong to it."""
    count = sum(map(len, lines))
    told = {id(one) for row in lines for one in row}
    return count / (
        count + sum(id(one) not in told and _high(one, seen.height) for one in seen.found)
    )


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
    lines = kept(seen, card)
    limit = card.thresholds.digit if card.reject else 0.0
    none = all(one.digitness < limit for row in lines for one in row)
    items = [[_item(one, card, scale, size, rejected=none) for one in row] for row in lines]
    flat = [item for row in items for item in row]
    verdict: records.Verdict
    if not flat:
        verdict, text, confidence = "blank", "", seen.certainty
    elif none:
        verdict, text = card.reject or "unknown", ""
        confidence = float(np.mean([item.confidence for item in flat]))
    else:
        labels = [[item.label for item in row] for row in items]
        text = rows.text(labels, [[one.box for one in row] for row in lines], seen.height)
        # Each item has to be right, the page seen and cut right, and nothing left out that belongs to the text.
        confidence = (
            float(np.prod([item.confidence for item in flat])) * seen.certainty * _told(seen, lines)
        )
        verdict = "read" if confidence >= card.thresholds.read else "unsure"
    return records.Reading(
        verdict=verdict,
        text=text,
        confidence=round(min(max(confidence, 0.0), 1.0), 6),
        model=model,
        at=records.now(),
        items=tuple(flat),
        milliseconds=milliseconds,
    )


def _item(
    one: page.Found, card: cards.Card, scale: float, size: tuple[int, int], *, rejected: bool
) -> records.Item:
    order = np.argsort(-one.probabilities)
    label, confidence = card.classes[int(order[0])], one.confidence
    if rejected:
        label, confidence = card.reject or "unknown", 1.0 - one.digitness
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
    left, top = round(box[0] * scale), round(box[1] * scale)
    right, bottom = min(size[0], round(box[2] * scale)), min(size[1], round(box[3] * scale))
    return left, top, max(1, right - left), max(1, bottom - top)
