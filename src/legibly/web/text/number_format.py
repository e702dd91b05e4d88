"""Formats numbers for pages: conservative per cent, grouped digits, shares in words."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from legibly.statistics import percent as percents

Share = Mapping[str, Any]
_FEW = 30


@dataclass(frozen=True, slots=True)
class Figures:
    """The spelling of numbers in one language: the signs between thousands and before decimals."""

    group: str = ","
    point: str = "."

    def percent(self, share: float | None) -> str:
        """A share as per cent with one decimal, rounded down: only certainty reads 100."""
        return percents.percent(share, point=self.point, space="\u00a0")

    def integer_percent(self, share: float | None) -> str:
        """A share as whole per cent, rounded down: for narrow tables."""
        return percents.percent(share, 0, space="\u00a0")

    def small(self, share: float | None) -> str:
        """A share of mistakes as per cent, two decimals, rounded up: few never read as none."""
        return percents.percent(share, 2, up=True, point=self.point, space="\u00a0")

    def number(self, value: float) -> str:
        """A whole number, grouped by thousands."""
        return f"{int(value):,}".replace(",", self.group)

    def decimal(self, value: float | None) -> str:
        """A number with three decimals; a dash where there is none."""
        return "–" if value is None else f"{value:.3f}".replace(".", self.point)

    def share(self, value: Share) -> str:
        """The value of a share with an interval; a dash where nothing was counted."""
        return self.percent(value["value"])

    def interval(self, value: Share) -> str:
        """The 95 % interval of a share; a dash where nothing was counted."""
        if value["low"] is None:
            return "–"
        return f"{self.percent(value['low'])} – {self.percent(value['high'])}"

    def in_words(self, value: Share, pairs: int, gettext: Callable[[str], str]) -> str:
        """How many of a thousand such pictures are read right; warns if few labels say so."""
        low = math.floor(value["low"] * 1000)
        high = math.ceil(value["high"] * 1000)
        text = gettext(
            "Of {base} pictures like these, between {low} and {high} are read right (95 %)."
        )
        if pairs < _FEW:
            text += " " + gettext(
                "The margin is wide because there are only {pairs} labels so far."
            )
        return text.format(
            base=self.number(1000), low=self.number(low), high=self.number(high), pairs=pairs
        )


FIGURES = {"en": Figures(), "de": Figures(group=".", point=",")}


def heat_table(
    confusion: Mapping[str, Any], *, classes: Sequence[str], limit: int = 40
) -> dict[str, Any]:
    """The part of a confusion matrix that fits a page: the model's classes, or the heaviest labels
    of many.

    "Nothing" (an empty text) has a row or column where it was counted.
    """
    labels = confusion["labels"]
    counts = confusion["counts"]
    weight = {
        name: sum(counts[at]) + sum(row[at] for row in counts) for at, name in enumerate(labels)
    }
    remaining = list(classes)
    if len(remaining) > limit:
        remaining = sorted(sorted(labels, key=lambda name: (-weight[name], name))[:limit])
    if weight.get(""):
        remaining = [name for name in remaining if name] + [""]
    place = {name: at for at, name in enumerate(labels)}

    def count(actual: str, predicted: str) -> int:
        if actual not in place or predicted not in place:
            return 0
        return int(counts[place[actual]][place[predicted]])

    small = [[count(actual, predicted) for predicted in remaining] for actual in remaining]
    return {"labels": remaining, "counts": small}
