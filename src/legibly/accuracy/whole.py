"""Which models answer with whole labels: of these, the text `10` is one class, and not the digits 1 and 0."""

from legibly import store as stores
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.settings import Settings


def models(settings: Settings) -> frozenset[str]:
    """The names of this machine's packs that take the whole picture as one item, added ones included."""
    beside = stores.folder_of(settings.store).parent / "packs" if settings.store.startswith("file://") else None
    found = (cards.read_card(entry.folder) for entry in registry.entries(added=beside))
    return frozenset(card.name for card in found if card.layout == "whole")
