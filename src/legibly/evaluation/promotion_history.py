"""Every promotion and rollback, as numbered objects of the store: written once, never changed.

Each number can be taken only once, so of two people who change the model at the same time one gets
an error.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, get_args

from legibly import object_keys, records
from legibly.errors import Conflict, Invalid, NotFound
from legibly.store import Store

FOLDER = object_keys.MODELS
Trial = Literal["shadow", "canary"]
Kind = Literal["promote", "rollback", "use"] | Trial
TRIALS: tuple[Trial, ...] = get_args(Trial)


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen model: the setting, and its version at that time."""

    setting: str
    model: records.Model

    def to_json(self) -> records.Json:
        return {"setting": self.setting, **self.model.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(str(data["setting"]), records.Model.from_json(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the model: `evidence` is the comparison, if any; `reason` explains a force.

    Trials do not change the model: `after` reads a `share` of the images beside it (`shadow`), or
    answers them (`canary`) until more of its sure answers than `risk` are wrong. A share of 0 ends
    the trial.
    """

    number: int
    kind: Kind
    at: datetime
    by: str
    before: Choice
    after: Choice
    reason: str | None = None
    evidence: records.Json | None = None
    share: float | None = None
    risk: float | None = None

    def to_json(self) -> records.Json:
        return {
            "number": self.number,
            "kind": self.kind,
            "at": records.stamp(self.at),
            "by": self.by,
            "from": self.before.to_json(),
            "to": self.after.to_json(),
            "reason": self.reason,
            "evidence": self.evidence,
            **({} if self.share is None else {"share": self.share}),
            **({} if self.risk is None else {"risk": self.risk}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            number=data["number"],
            kind=data["kind"],
            at=records.moment(data["at"]),
            by=data["by"],
            before=Choice.from_json(data["from"]),
            after=Choice.from_json(data["to"]),
            reason=data["reason"],
            evidence=data["evidence"],
            share=data.get("share"),
            risk=data.get("risk"),
        )


def changes(store: Store) -> list[Change]:
    """Every change, oldest first. Raises Invalid for a malformed record."""
    keys = sorted(stat.key for stat in store.list(FOLDER) if stat.key.endswith(".json"))
    return [_change(store, key) for key in keys]


def _change(store: Store, key: str) -> Change:
    try:
        return Change.from_json(json.loads(store.read(key)))
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Only Legibly writes here: move it away."
        raise Invalid("this is not a record of a promotion.", where=key, remedy=remedy) from error


def following(history: Sequence[Change], kind: Kind, **facts: Any) -> Change:
    """The next change after `history`, made now; `facts` are its other fields."""
    number = history[-1].number + 1 if history else 1
    return Change(number=number, kind=kind, at=records.now(), **facts)


def write(store: Store, change: Change) -> None:
    """Store a change. Raises Conflict if its number has been taken."""
    if not store.create(f"{FOLDER}{change.number:06d}.json", json.dumps(change.to_json()).encode()):
        remedy = "See `legibly models history`, and decide again."
        raise Conflict("somebody else changed the model just now.", where=store.url, remedy=remedy)


def current(history: Sequence[Change], setting: str) -> str:
    """The setting in effect: that of the last change, if `setting` occurs in the history.

    A setting that no change names was written by hand later, and is kept.
    """
    return current_choice(history, setting).setting


def current_choice(history: Sequence[Change], setting: str) -> Choice:
    """As `current`, with the chosen model; without a version if no change names it."""
    if setting in settings(history):
        return [change for change in history if change.kind not in TRIALS][-1].after
    return Choice(setting, records.Model(setting, ""))


def settings(history: Sequence[Change]) -> set[str]:
    """The settings that the history knows."""
    switches = [change for change in history if change.kind not in TRIALS]
    return {side.setting for change in switches for side in (change.before, change.after)}


def trial(history: Sequence[Change], kind: Trial) -> Change | None:
    """The running trial of a kind: the last one, unless it ended or the model has changed since."""
    for change in reversed(history):
        if change.kind == kind:
            return change if change.share else None
        if change.kind not in TRIALS:
            return None
    return None


def needed(history: Sequence[Change]) -> set[str]:
    """The packs that `rollback` would need: both sides of every promotion that can be undone."""
    stack = reversible(history)
    return {side.setting for change in stack for side in (change.before, change.after)}


def reversible(history: Sequence[Change]) -> list[Change]:
    """The promotions that can be undone, the newest last."""
    stack: list[Change] = []
    for change in history:
        if change.kind == "promote":
            stack.append(change)
        elif change.kind == "rollback" and stack:
            stack.pop()
    return stack


def last_promotion(history: list[Change], *, setting: str) -> Change:
    """The last promotion in force, if `setting` is its model. Raises NotFound and Conflict."""
    stack = reversible(history)
    if not stack:
        remedy = "Choose any pack: `legibly models use NAME`."
        raise NotFound("there is no promotion to undo.", remedy=remedy)
    last = stack[-1]
    if last.after.setting != setting:
        message = "in use is {setting}, not {last}, which was promoted last."
        remedy = "Choose the pack: `legibly models use {earlier}`."
        facts = {"setting": setting, "last": last.after.setting, "earlier": last.before.setting}
        raise Conflict(message, remedy=remedy, **facts)
    return last
