"""What the models page tells of each pack."""

from typing import Any

from legibly.packs import card as cards
from legibly.packs import registry
from legibly.web import formats


def packs(reader: Any) -> list[dict[str, Any]]:
    """Every pack by name with its facts; the one that reads first."""
    used = reader.model
    found = []
    for entry in registry.entries():
        card = cards.read_card(entry.folder)
        current = card.name == used.name
        version = used.version if current else ""
        found.append({"name": card.name, "version": version, "used": current, "facts": _facts(card)})
    if not any(pack["used"] for pack in found):
        found.append({"name": used.name, "version": used.version, "used": True, "facts": []})
    return sorted(found, key=lambda pack: not pack["used"])


def _facts(card: cards.Card) -> list[tuple[str, str]]:
    facts = [("answers", " ".join(card.classes)), ("sure from", formats.Figures().percent(card.thresholds.read))]
    facts += [(name, value) for name in ("licence", "source", "created") if (value := getattr(card, name))]
    for name, value in card.metrics.items():
        parts = value.items() if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()) else None
        title = name.replace("_", " ")
        facts += [(f"{title}: {part}", _figure(inner)) for part, inner in parts] if parts else [(title, _figure(value))]
    return facts


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_figure(inner)}" for name, inner in value.items())
    if isinstance(value, int):
        return formats.Figures().number(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
