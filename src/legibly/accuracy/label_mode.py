"""Finds the models whose text is a single label: there `10` is one class, not 1 and 0."""

import contextlib

from legibly import store as stores
from legibly.errors import Invalid
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.settings import Settings


def single_label_models(settings: Settings) -> frozenset[str]:
    """The names of the installed packs that take the whole picture as one item.

    Packs with an unreadable card are skipped, since they never answer.
    """
    names = set()
    for entry in registry.entries(added=stores.packs_folder(settings.store)):
        with contextlib.suppress(Invalid):
            card = cards.read_card(entry.folder)
            names |= {card.name} if card.layout == "whole" else set()
    return frozenset(names)
