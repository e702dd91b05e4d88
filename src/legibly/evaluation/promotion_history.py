"""Every promotion and rollback, as numbered objects of the store: written once, never changed.

A number can be taken once, so of two people who change the model at the same time one is told.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from legibly import object_keys, records
from legibly.errors import Conflict, Invalid, NotFound
from legibly.store import Store

FOLDER = object_keys.MODELS


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
    """One change of the model: `evidence` is the comparison, None where there was none; `reason` is why if forced."""

    number: int
    kind: Literal["promote", "rollback"]
    at: datetime
    by: str
    before: Choice
    after: Choice
    reason: str | None = None
    evidence: records.Json | None = None

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


def write(store: Store, change: Change) -> None:
    """Keep one more change. Raises Conflict where its number was taken meanwhile."""
    if not store.create(f"{FOLDER}{change.number:06d}.json", json.dumps(change.to_json()).encode()):
        remedy = "See `legibly models history`, and decide anew."
        raise Conflict("somebody else changed the model just now.", where=store.url, remedy=remedy)


def standing(history: list[Change], *, setting: str) -> Change:
    """The newest promotion that was not rolled back, and is still what `setting` says. Raises NotFound and Conflict."""
    stack: list[Change] = []
    for change in history:
        if change.kind == "promote":
            stack.append(change)
        elif stack:
            stack.pop()
    if not stack:
        remedy = "Choose any pack: `legibly models use NAME`."
        raise NotFound("no promotion is recorded that could be taken back.", remedy=remedy)
    if stack[-1].after.setting != setting:
        message = f"in use is {setting}, not {stack[-1].after.setting}, which was promoted last."
        remedy = f"Choose the pack: `legibly models use {stack[-1].before.setting}`."
        raise Conflict(message, remedy=remedy)
    return stack[-1]
