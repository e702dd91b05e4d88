"""The models page: every pack with its card, and its accuracy on this server's own pictures."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from legibly import errors
from legibly.accuracy.report import Report
from legibly.errors import LegiblyError, NotFound
from legibly.evaluation import promotion_history
from legibly.evaluation.live_model import LiveReader
from legibly.evaluation.trial_timer import labels_of
from legibly.ingest import stored_packs
from legibly.packs import card as cards
from legibly.packs import pack as packs_
from legibly.packs import registry
from legibly.statistics import metrics
from legibly.web.services import State

Gettext = Callable[[str], str]
MAX_CLASSES = 40
"""The most items to list; further ones are only counted."""
_CHANGES = 10


def packs(state: State, report: Report, gettext: Gettext) -> list[dict[str, Any]]:
    """All packs with their facts, the present one first."""
    used = state.views.model
    added = stored_packs.synchronized_folder(state.settings)
    described = [_describe(entry, gettext) for entry in registry.entries(added=added)]
    same = [
        pack for pack in described if (pack["model"], pack["version"]) == (used.name, used.version)
    ]
    # A copy under another name is the same model.
    same.sort(key=lambda pack: pack["name"] != state.settings.model)
    if not same:
        same = [_unknown(used.name, used.version, "elsewhere")]
        described += same
    here = {row["model"]: row for row in report["by_model"]}
    for pack in described:
        pack |= {"used": pack is same[0], "here": here.get(f"{pack['model']}@{pack['version']}")}
    return sorted(described, key=lambda pack: not pack["used"])


def trials(state: State) -> dict[str, Any]:
    """The trials beside the present model, and the newest changes of the model."""
    live = state.views
    if not isinstance(live, LiveReader):
        return {"shadow": None, "canary": None, "changes": [], "may_change": False}
    live.try_refresh()  # another process may have changed it a moment ago
    history = promotion_history.changes(state.store)
    shadow = promotion_history.trial(history, "shadow")
    canary = promotion_history.trial(history, "canary")
    stack = promotion_history.reversible(history)
    return {
        "shadow": {"change": shadow, **live.shadow.total(state.store)}
        if shadow and live.shadow
        else None,
        "canary": {"change": canary, **live.canary.to_json(), **labels_of(live.canary, state.index)}
        if canary and live.canary
        else None,
        "changes": [(change, _name(state, change.by)) for change in history[: -_CHANGES - 1 : -1]],
        "may_change": True,
        "goes_back": stack[-1].after.setting if stack else "",
    }


def _name(state: State, author: str) -> str:
    """Who changed the model: an account by its name, others as recorded."""
    try:
        return state.accounts.get(author).name if state.accounts else author
    except NotFound:
        return author


def _describe(entry: registry.Entry, gettext: Gettext) -> dict[str, Any]:
    pack = _unknown(entry.name, "", entry.place)
    try:
        card = cards.read_card(entry.folder)
        pack |= {"model": card.name, "version": _version(entry.folder, _times(entry.folder))}
    except LegiblyError as error:
        return pack | {"problem": _problem(error, gettext)}
    except OSError as error:
        return pack | {"problem": str(error)}
    return pack | {
        "card": card,
        "classes": " ".join(card.classes) if len(card.classes) <= MAX_CLASSES else "",
        "trials": _trials(card.metrics.get("validation", {}), gettext),
        "others": _others(card.metrics.get("non_digits", {})),
        "raw": json.dumps(card.to_json(), indent=1, ensure_ascii=False),
    }


def _unknown(name: str, version: str, place: str) -> dict[str, Any]:
    """A pack without its card."""
    return {"name": name, "model": name, "version": version, "place": place, "card": None}


def _problem(error: LegiblyError, gettext: Gettext) -> str:
    """Place, message and remedy of an error in the reader's language."""
    texts = [error.template, error.remedy_template]
    sentences = [errors.fill(gettext(text), error.params) for text in texts if text]
    return f"{error.where}: {'. '.join(sentence.rstrip('.') for sentence in sentences)}."


def _times(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file, to notice that one has changed."""
    stats = sorted((path.name, path.stat()) for path in folder.iterdir())
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


@functools.lru_cache(maxsize=64)
def _version(folder: Path, _files: tuple[tuple[str, int, int], ...]) -> str:
    return packs_.folder_version(folder)


def _trials(sets: object, gettext: Gettext) -> list[dict[str, Any]]:
    """The sets of labelled pictures that a pack was tested on, with the share of right readings."""
    if not isinstance(sets, Mapping):
        return []
    names = {
        "mnist": gettext("MNIST, not used for training"),
        "mnist held": gettext("MNIST, not used for training"),
        "kensanata": gettext("forms of European writers (kensanata)"),
        "strokes": gettext("pen strokes, rendered as ink"),
        "devphotos": gettext("photos used during development"),
        "corrupted": gettext("the same, blurred, noisy and distorted"),
        "usps": gettext("post codes from envelopes (USPS)"),
        "canvas": gettext("written on a screen"),
        "pages": gettext("synthetic pages"),
    }
    return [
        {
            "name": names.get(name, name.replace("_", " ")),
            "n": figures["n"],
            "right": metrics.as_json(metrics.share(figures["n"] - figures["errors"], figures["n"])),
            "coverage": figures.get("coverage"),
            "risk": figures.get("risk"),
        }
        for name, figures in sets.items()
        if isinstance(figures, Mapping)
        and isinstance(figures.get("n"), int)
        and isinstance(figures.get("errors"), int)
    ]


def _others(sets: object) -> list[dict[str, Any]]:
    """Pictures of other things: how many of each kind were read with confidence."""
    if not isinstance(sets, Mapping):
        return []
    return [
        {
            "name": name.replace("_", " "),
            "n": figures["n"],
            "read": metrics.as_json(metrics.share(figures["read"] * figures["n"], figures["n"])),
        }
        for name, figures in sets.items()
        if isinstance(figures, Mapping) and figures.get("n") and "read" in figures
    ]
