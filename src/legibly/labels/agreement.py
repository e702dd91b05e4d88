"""Decides whether the people who reviewed an image agree, from its labels."""

from collections.abc import Iterable
from typing import Literal

from legibly.records import Label

REVIEW = "review:"
"""Prefix of a reviewer's id in labels given in review."""
Agreement = Literal["second", "disputed", "agreed"]


def standing(labels: Iterable[Label]) -> dict[str | None, Label]:
    """The newest label of each person, oldest first, without retracted ones."""
    newest: dict[str | None, Label] = {}
    for label in sorted(labels, key=lambda label: label.at):
        newest.pop(label.by, None)
        newest[label.by] = label
    return {by: label for by, label in newest.items() if label.text is not None}


def judgements(labels: Iterable[Label]) -> dict[str, Label]:
    """The current labels by people in review."""
    return {by: label for by, label in standing(labels).items() if by and by.startswith(REVIEW)}


def agreement(labels: Iterable[Label]) -> Agreement | None:
    """`agreed` if two people gave the same text, `disputed` if all gave different ones, `second`
    if only one person gave any.

    None without labels in review.
    """
    texts = [label.text for label in judgements(labels).values()]
    if len(set(texts)) < len(texts):
        return "agreed"
    return "disputed" if len(texts) > 1 else "second" if texts else None
