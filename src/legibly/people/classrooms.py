"""Classrooms: a teacher opens one with a code, pupils join with a nickname; stored as immutable
objects.

A pupil has no address, password or account. Their images belong to `pupil:CLASS:PUPIL`.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from legibly import object_keys
from legibly.errors import Conflict, Invalid, NotFound
from legibly.people.accounts import normalize_name
from legibly.people.store_mirror import StoreMirror
from legibly.records import moment, now, stamp
from legibly.store import Store

FOLDER = object_keys.CLASSES
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # no letters that look alike
CODE_LENGTH = 6
MAX_DAYS = 400
MAX_PUPILS = 200
_OWNER = object_keys.PUPIL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolClass:
    """A classroom; `keep_days` after its opening it is deleted with all its data."""

    id: str
    name: str
    code: str
    teacher: str
    keep_days: int
    closed: bool = False
    opened_at: datetime
    at: datetime

    @property
    def ends_at(self) -> datetime:
        """When it is deleted with all its data."""
        return self.opened_at + timedelta(days=self.keep_days)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "opened_at": stamp(self.opened_at), "at": stamp(self.at)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "opened_at": moment(data["opened_at"]), "at": moment(data["at"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """A pupil in a class, by the nickname that they chose.

    `word` is the hash of the secret word for coming back; empty without one.
    """

    id: str
    school_class: str
    nickname: str
    word: str = ""

    @property
    def owner(self) -> str:
        """The owner of their images."""
        return f"{_OWNER}{self.school_class}:{self.id}"


class Classes(StoreMirror[SchoolClass | Pupil]):
    """All classes of a store; thread-safe."""

    folders = (FOLDER,)

    def __init__(self, store: Store, *, stale_seconds: float = 2.0) -> None:
        super().__init__(store, stale_seconds=stale_seconds)
        self._classes: dict[str, SchoolClass] = {}
        self._pupils: dict[str, Pupil] = {}

    def _parse(self, key: str) -> SchoolClass | Pupil:
        data = json.loads(self._store.read(key))
        return Pupil(**data) if "/pupils/" in key else SchoolClass.from_json(data)

    def _take(self, entries: Sequence[SchoolClass | Pupil]) -> None:
        self._classes = {entry.id: entry for entry in entries if isinstance(entry, SchoolClass)}
        pupils = [entry for entry in entries if isinstance(entry, Pupil)]
        self._pupils = {
            entry.owner: entry for entry in pupils if entry.school_class in self._classes
        }

    def all(self) -> list[SchoolClass]:
        """Every class, the newest first."""
        return sorted(self._classes.values(), key=lambda element: element.id, reverse=True)

    def get(self, class_id: str) -> SchoolClass:
        """One class. Raises NotFound."""
        if class_id not in self._classes:
            raise NotFound("there is no such class.", where=class_id[:80])
        return self._classes[class_id]

    def visible_to(self, teacher: str) -> frozenset[str] | None:
        """The ids of a teacher's classes; None if there are no others."""
        ids = frozenset(entry.id for entry in self._classes.values() if entry.teacher == teacher)
        return None if len(ids) == len(self._classes) else ids

    def pupils(self, school_class: SchoolClass) -> list[Pupil]:
        """The pupils in a class, by nickname."""
        mine = [pupil for pupil in self._pupils.values() if pupil.school_class == school_class.id]
        return sorted(mine, key=lambda pupil: pupil.nickname.casefold())

    def pupil(self, owner: str) -> Pupil | None:
        """The pupil of a session; None once the class is gone."""
        return self._pupils.get(owner)

    def open(self, name: str, *, teacher: str, keep_days: int) -> SchoolClass:
        """Open a class. Raises Invalid."""
        if not 1 <= keep_days <= MAX_DAYS:
            raise Invalid("a class can be kept for 1 to {most} days.", most=MAX_DAYS)
        at = now()
        opened = SchoolClass(
            id=object_keys.new_id(at),
            name=normalize_name(name),
            code="".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)),
            teacher=teacher,
            keep_days=keep_days,
            opened_at=at,
            at=at,
        )
        return self._write(opened)

    def close(self, school_class: SchoolClass, *, closed: bool) -> SchoolClass:
        """Stop or allow joining; pupils in the class stay."""
        at = max(now(), school_class.at + timedelta(milliseconds=1))
        return self._write(replace(school_class, closed=closed, at=at))

    def _write(self, school_class: SchoolClass) -> SchoolClass:
        key = f"{FOLDER}{school_class.id}/{object_keys.new_id(school_class.at)}.json"
        self._store.create(key, json.dumps(school_class.to_json()).encode())
        self.refresh()
        return school_class

    def join(self, code: str, nickname: str, word: str = "") -> Pupil:
        """Join a class by its code, or come back by nickname and secret word.

        Raises NotFound for a wrong code, Conflict for a taken nickname with another word, Invalid.
        """
        self.refresh()
        school_class = self._open_class(code)
        nickname = normalize_name(nickname)
        taken = self.pupils(school_class)
        for pupil in taken:
            if pupil.nickname.casefold() == nickname.casefold():
                if pupil.word and word and _is_word(word, pupil):
                    return pupil
                message = "that nickname is already taken in this class."
                remedy = "Choose another one. If it is yours, enter your secret word to come back."
                raise Conflict(message, code="name-taken", remedy=remedy)
        if len(taken) >= MAX_PUPILS:
            message = "this class is full: it can have {most} pupils."
            raise Invalid(message, code="class-full", most=MAX_PUPILS)
        pupil_id = object_keys.new_id(now())
        secret = _word_hash(word, pupil_id) if _plain_word(word) else ""
        pupil = Pupil(id=pupil_id, school_class=school_class.id, nickname=nickname, word=secret)
        key = f"{FOLDER}{pupil.school_class}/pupils/{pupil.id}.json"
        self._store.create(key, json.dumps(asdict(pupil)).encode())
        self.refresh()
        return pupil

    def _open_class(self, code: str) -> SchoolClass:
        required = "".join(code.split()).upper()
        for entry in self._classes.values():
            if entry.code == required and not entry.closed and entry.ends_at > now():
                return entry
        raise NotFound("there is no open class with this code.", remedy="Check the code.")

    def remove_pupil(self, pupil: Pupil) -> None:
        """Delete a pupil; their images go through the service."""
        self._store.remove([f"{FOLDER}{pupil.school_class}/pupils/{pupil.id}.json"])
        self.refresh()

    def erase(self, school_class: SchoolClass) -> None:
        """Delete a class and its pupils; images go through the service."""
        self._store.remove([stat.key for stat in self._store.list(f"{FOLDER}{school_class.id}/")])
        self.refresh()

    def expired(self) -> Iterator[SchoolClass]:
        """The classes past their date."""
        return (element for element in self.all() if element.ends_at <= now())


def _plain_word(word: str) -> str:
    return "".join(word.casefold().split())


def _word_hash(word: str, pupil_id: str) -> str:
    """scrypt (RFC 7914), since words are short, so guessing them must be expensive."""
    salt = pupil_id.encode()
    return hashlib.scrypt(_plain_word(word).encode(), salt=salt, n=2**14, r=8, p=1).hex()


def _is_word(word: str, pupil: Pupil) -> bool:
    return hmac.compare_digest(_word_hash(word, pupil.id), pupil.word)


def is_pupil(owner: str) -> bool:
    """Whether the owner of an image is a pupil."""
    return owner.startswith(_OWNER)


def class_of(owner: str) -> str | None:
    """The id of a pupil's class; None for any other owner."""
    return owner.split(":")[1] if is_pupil(owner) else None
