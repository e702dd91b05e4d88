"""Decides which texts can be labels: those that the present model could answer."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from legibly import text_rules
from legibly.errors import Invalid, Unusable

MAX_TEXT = 200
NOTHING = "∅"
"""The text for "no digit here" in forms and files; the label's text is then empty."""
SEPARATORS = " /.,:+-=()"
"""The separators between the labels of a text: wide gaps, rows, and punctuation items."""
_SPACED = re.compile(r" *([.,:/]) *|(-) +")
_MAX_CLASSES_IN_MESSAGE = 100


@dataclass(frozen=True)
class LabelRules:
    """The classes of a pack, and whether a text may hold several of them.

    `classes` None allows every text, for a reader without a pack.
    """

    classes: tuple[str, ...] | None = None
    single: bool = False
    numbers: bool = False
    """Whether texts keep their separators; labels are then in canonical form."""

    @classmethod
    def for_reader(cls, reader: object) -> "LabelRules":
        """The rules of the pack that a reader uses."""
        card = getattr(getattr(reader, "pack", None), "card", None)
        if card is None:
            return cls()
        numbers = getattr(reader, "text", "digits") == "numbers" and card.layout == "ink"
        return cls(tuple(card.classes), single=card.layout == "whole", numbers=numbers)

    def normalize(self, text: str, *, nothing: bool = False) -> str:
        """The label in canonical form; empty for `nothing` and for `∅`.

        Raises Invalid if the text is empty, too long or not a text, Unusable for a text that does
        not consist of classes.
        """
        if not text_rules.is_plain(" ".join(text.split())):
            raise Invalid(
                "the label contains characters that are not allowed.", code="text-invalid"
            )
        label = " ".join(_with_plain_digits(unicodedata.normalize("NFKC", text)).split())
        if self.numbers:
            label = canonical_number(label)
        if nothing and label not in ("", NOTHING):
            raise Invalid(
                "a label is either a text or nothing.", code="label-contradicts", label=label
            )
        if nothing or label == NOTHING:
            return ""
        if not label:
            raise Invalid(
                "the label is empty.", code="label-empty", remedy="Enter the text in the picture."
            )
        if len(label) > MAX_TEXT:
            raise Invalid(
                "the label has {length} characters; {limit} are allowed.",
                code="label-too-long",
                length=len(label),
                limit=MAX_TEXT,
            )
        if not self._allows(label):
            raise self._refusal(label)
        return label

    def _refusal(self, label: str) -> Unusable:
        classes = self.classes or ()
        return Unusable(
            "{label} cannot be the label of this image. Allowed: {allowed}.",
            code="label-not-allowed",
            label=label,
            allowed=list(classes[:_MAX_CLASSES_IN_MESSAGE]),
        )

    def _allows(self, label: str) -> bool:
        if self.classes is None or label in self.classes:
            return True
        return not self.single and self._pattern.fullmatch(label) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names: Sequence[str] = sorted(self.classes or (), key=len, reverse=True)
        label = "|".join(map(re.escape, names))
        separator = f"[{re.escape(SEPARATORS)}]*"
        return re.compile(f"{separator}(?:(?:{label}){separator})+")


def canonical_number(text: str) -> str:
    """The text without blanks beside separators, except one before a minus: `7.5 -3`."""
    return _SPACED.sub(lambda match: match[1] or match[2], text).strip()


def _with_plain_digits(text: str) -> str:
    """Decimal digits of every script as 0 … 9."""
    return "".join(
        str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text
    )
