"""Every promotion and rollback, as numbered objects of the store: written once, never changed.

A number can be taken once, so of two people who change the model at the same time one is told.
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
TRIALS: tuple[Kind, ...] = get_args(Trial)


@dataclass(frozen=True, slots=True)
class Choice:
    """A model as it was chosen: what the setting said, and which version that was."""

    setting: str
    model: records.Model

    def to_json(self) -> records.Json:
        return {"setting": self.setting, **self.model.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(str(data["setting"]), records.Model.from_json(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the model: `evidence` is the comparison, None where there was none; `reason` is
    why if forced.

    Trials leave the model as it is: `after` reads a `share` of the images beside it (`shadow`), or
    answers them (`canary`) until its sure answers are shown to be wrong more often than `risk`. A
    share of 0 ends the trial.
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
    """Every change, oldest first. Raises Invalid for an object that is none."""
    keys = sorted(stat.key for stat in store.list(FOLDER) if stat.key.endswith(".json"))
    return [_change(store, key) for key in keys]


def _change(store: Store, key: str) -> Change:
    try:
        return Change.from_json(json.loads(store.read(key)))
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Nothing else writes here: move it away."
        raise Invalid("this is no record of a promotion.", where=key, remedy=remedy) from error


def following(history: Sequence[Change], kind: Kind, **facts: Any) -> Change:
    """The change that comes after those of `history`, as of now; `facts` are its other fields."""
    number = history[-1].number + 1 if history else 1
    return Change(number=number, kind=kind, at=records.now(), **facts)


def write(store: Store, change: Change) -> None:
    """Keep one more change. Raises Conflict where its number was taken meanwhile."""
    if not store.create(f"{FOLDER}{change.number:06d}.json", json.dumps(change.to_json()).encode()):
        remedy = "See `legibly models history`, and decide anew."
        raise Conflict("somebody else changed the model just now.", where=store.url, remedy=remedy)


def current(history: Sequence[Change], setting: str) -> str:
    """The setting that counts: what the last change chose, where `setting` is one that it was
    changed from.

    A setting that no change names was written by hand since, and stays.
    """
    return chosen(history, setting).setting


def chosen(history: Sequence[Change], setting: str) -> Choice:
    """As `current`, with the model that was chosen; without a version where no change names it."""
    switches = [change for change in history if change.kind not in TRIALS]
    names = {side.setting for change in switches for side in (change.before, change.after)}
    if setting in names:
        return switches[-1].after
    return Choice(setting, records.Model(setting, ""))


def trial(history: Sequence[Change], kind: Trial) -> Change | None:
    """The trial of a kind that runs: the last one, unless it was ended or another model reads
    since.
    """
    latest = [change for change in history if change.kind == kind][-1:]
    if not latest or not latest[0].share:
        return None
    later = history[list(history).index(latest[0]) + 1 :]
    if any(change.kind not in TRIALS for change in later):
        return None
    return latest[0]


def needed(history: Sequence[Change]) -> set[str]:
    """The packs that `rollback` would need: both sides of every promotion that can be taken
    back.
    """
    stack = reversible(history)
    return {side.setting for change in stack for side in (change.before, change.after)}


def reversible(history: Sequence[Change]) -> list[Change]:
    """The promotions that can be taken back, the newest last."""
    stack: list[Change] = []
    for change in history:
        if change.kind == "promote":
            stack.append(change)
        elif change.kind == "rollback" and stack:
            stack.pop()
    return stack


def standing(history: list[Change], *, setting: str) -> Change:
    """The newest promotion that was not rolled back, and is still what `setting` says. Raises
    NotFound and Conflict.
    """
    stack = reversible(history)
    if not stack:
        remedy = "Choose any pack: `legibly models use NAME`."
        raise NotFound("no promotion is recorded that could be taken back.", remedy=remedy)
    if stack[-1].after.setting != setting:
        message = f"in use is {setting}, not {stack[-1].after.setting}, which was promoted last."
        remedy = f"Choose the pack: `legibly models use {stack[-1].before.setting}`."
        raise Conflict(message, remedy=remedy)
    return stack[-1]
