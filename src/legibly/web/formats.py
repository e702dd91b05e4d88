"""Figures as pages show them: per cent that never overstates, grouped numbers, shares in plain words."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Share = Mapping[str, Any]


def percent(share: float) -> str:
    """A share as per cent with one decimal, rounded down, so that nothing short of certain reads 100."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f} %"


def number(value: float) -> str:
    """A whole number, grouped by thousands with a narrow space."""
    return f"{int(value):,}".replace(",", "\u202f")


def share(value: Share) -> str:
    """The value of a share with an interval; a dash where nothing was counted."""
    return "–" if not value or value.get("value") is None else percent(value["value"])


def interval(value: Share) -> str:
    """The 95 % interval of a share; a dash where nothing was counted."""
    if not value or value.get("low") is None:
        return "–"
    return f"{percent(value['low'])} – {percent(value['high'])}"


def in_words(value: Share, pairs: int, gettext: Callable[[str], str]) -> str:
    """How many of a thousand pictures like these are read right; says so where few pictures stand behind it."""
    low, high = math.floor(value["low"] * 1000), math.ceil(value["high"] * 1000)
    text = gettext("Of 1,000 pictures like these, between {low} and {high} are read right (95 %).")
    if pairs < 30:
        text += " " + gettext("That is a wide margin: only {pairs} have a label so far.")
    return text.format(low=number(low), high=number(high), pairs=pairs)


def heat_table(confusion: Mapping[str, Any], *, limit: int = 10) -> tuple[dict[str, Any], int]:
    """The part of a confusion matrix that fits a page, and how many pairs stand outside it.

    Kept are the single characters, or the `limit` most frequent labels where there are none.
    """
    labels, counts = confusion["labels"], confusion["counts"]
    kept = [at for at, name in enumerate(labels) if len(name) == 1]
    if not kept or len(kept) > 40:
        weight = [sum(row) for row in counts]
        kept = sorted(sorted(range(len(labels)), key=lambda at: -weight[at])[:limit])
    small = [[counts[row][column] for column in kept] for row in kept]
    outside = sum(map(sum, counts)) - sum(map(sum, small))
    return {"labels": [labels[at] for at in kept], "counts": small}, outside
