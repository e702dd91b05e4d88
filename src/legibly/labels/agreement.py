"""Whether the people who looked at an image in review agree, from the labels that it was given."""

from collections.abc import Iterable
from typing import Literal

from legibly.records import Label

REVIEW = "review:"
"""Labels given in review carry this before the id of who gave them."""
Agreement = Literal["second", "disputed", "agreed"]


def standing(labels: Iterable[Label]) -> dict[str | None, Label]:
    """The newest label of each person, oldest first, without those that were taken back."""
    newest: dict[str | None, Label] = {}
    for label in sorted(labels, key=lambda label: label.at):
        newest.pop(label.by, None)
        newest[label.by] = label
    return {by: label for by, label in newest.items() if label.text is not None}


def judgements(labels: Iterable[Label]) -> dict[str, Label]:
    """What stands of what people said in review."""
    return {by: label for by, label in standing(labels).items() if by and by.startswith(REVIEW)}


def agreement(labels: Iterable[Label]) -> Agreement | None:
    """`agreed` once two people gave the same text, `disputed` while all gave others, `second` while
    one alone gave any.

    None where nobody did.
    """
    texts = [label.text for label in judgements(labels).values()]
    if len(set(texts)) < len(texts):
        return "agreed"
    return "disputed" if len(texts) > 1 else "second" if texts else None
