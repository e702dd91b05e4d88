"""Accounts, API tokens and ended sessions, stored as immutable objects, of which the newest counts.

They are stored nowhere else; every process follows the store with a delay of a few seconds at most.
"""

import hashlib
import hmac
import itertools
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self, get_args

from legibly import object_keys
from legibly.errors import Conflict, Invalid, NotFound
from legibly.people.audit_log import AuditLog
from legibly.people.passwords import Passwords
from legibly.people.store_mirror import StoreMirror
from legibly.people.tokens import SCOPES, Token
from legibly.records import moment, now, stamp
from legibly.store import Store
from legibly.store.record_files import read_json

FOLDER = object_keys.ACCOUNTS
PEOPLE, TOKENS, ENDED = (f"{FOLDER}{kind}/" for kind in ("people", "tokens", "ended"))
NAMES = f"{FOLDER}names/"
IDENTITIES = f"{FOLDER}identities/"
SECRET = f"{FOLDER}secret.json"
Role = Literal["writer", "reviewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
UNDO_TOKEN_SECONDS = 600
_PREFIX = "lgb_"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person. `password` is an argon2id hash, None if sign-in by password is impossible.

    `identity` is issuer and subject of their OpenID provider; a higher `epoch` ends all their
    sessions. A disabled account with `erase_at` is erased then.
    """

    id: str
    name: str
    role: Role
    password: str | None = None
    identity: str | None = None
    disabled: bool = False
    epoch: int = 0
    erase_at: datetime | None = None
    at: datetime

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        until = data.get("erase_at")
        values = {**data, "at": moment(data["at"])}
        return cls(**{**values, "erase_at": moment(until) if until else None})


class Accounts(StoreMirror[Account | Token | str]):
    """All accounts of a store; thread-safe. Methods that write may raise Unavailable."""

    folders = (PEOPLE, TOKENS, ENDED)

    def __init__(self, store: Store, *, stale_seconds: float = 2.0) -> None:
        super().__init__(store, stale_seconds=stale_seconds)
        self._passwords = Passwords()
        self.audit_log = AuditLog(store)
        self._people: dict[str, Account] = {}
        self._tokens: dict[str, Token] = {}
        self._ended: set[str] = set()

    def _parse(self, key: str) -> Account | Token | str:
        if key.startswith(ENDED):
            return key.removeprefix(ENDED).rpartition(".")[2]
        data = json.loads(self._store.read(key))
        return Account.from_json(data) if key.startswith(PEOPLE) else Token.from_json(data)

    def _take(self, entries: Sequence[Account | Token | str]) -> None:
        self._people = {entry.id: entry for entry in entries if isinstance(entry, Account)}
        self._tokens = {entry.id: entry for entry in entries if isinstance(entry, Token)}
        self._ended = {entry for entry in entries if isinstance(entry, str)}

    # People

    def people(self) -> list[Account]:
        """All accounts, by name."""
        return sorted(self._people.values(), key=lambda account: account.name.casefold())

    def has_admin(self) -> bool:
        """Whether there is an administrator."""
        return any(
            account.role == "admin" and not account.disabled for account in self._people.values()
        )

    def get(self, account_id: str) -> Account:
        """One account. Raises NotFound."""
        if account_id not in self._people:
            raise NotFound("there is no such account.", where=account_id[:80])
        return self._people[account_id]

    def find_by_name(self, name: str) -> Account:
        """The account with this name, ignoring case. Raises NotFound."""
        required = normalize_name(name).casefold()
        for account in self._people.values():
            if account.name.casefold() == required:
                return account
        raise NotFound("there is no such account.", where=name[:80])

    def add(self, name: str, *, role: Role, password: str | None) -> Account:
        """Make an account. Raises Invalid for unusable values, Conflict if the name is taken."""
        name = normalize_name(name)
        if role not in ROLES:
            raise Invalid(
                "{role} is not a role.", remedy="Roles are {roles}.", role=role, roles=ROLES
            )
        hashed = None if password is None else self._passwords.hash(password, name)
        at = now()
        account = Account(id=object_keys.new_id(at), name=name, role=role, password=hashed, at=at)
        if not self._reserve(_reservation(name), account.id):
            message = "this name is already taken."
            raise Conflict(message, code="name-taken", where=name, remedy="Choose another.")
        return self._write_person(account)

    def from_provider(self, identity: str, *, name: str) -> tuple[Account, bool]:
        """The account for an identity at a provider, and whether it is new: a writer with that
        name.

        A taken name gets a number; two simultaneous requests get the same account.
        """
        key = f"{IDENTITIES}{_digest(identity)}.json"
        at = now()
        self._reserve(key, object_keys.new_id(at))
        account_id = read_json(self._store, key, "account")["account"]
        self.refresh()
        if account_id in self._people:
            return self._people[account_id], False
        plain = normalize_name(" ".join(_CONTROL.sub(" ", name).split())[:56] or "Somebody")
        names = itertools.chain([plain], (f"{plain} {number}" for number in itertools.count(2)))
        free = next(
            element for element in names if self._reserve(_reservation(element), account_id)
        )
        account = Account(id=account_id, name=free, role="writer", identity=identity, at=at)
        return self._write_person(account), True

    def _reserve(self, key: str, account_id: str) -> bool:
        """Reserve `key` for an account; False if it belongs to another one."""
        if self._store.create(key, json.dumps({"account": account_id}).encode()):
            return True
        return bool(read_json(self._store, key, "account")["account"] == account_id)

    def change(self, account: Account, *, password: str | None = None, **changes: Any) -> Account:
        """Change role, password or whether it is disabled; each of these ends all sessions.

        A new password also revokes all tokens.
        """
        if password is not None:
            changes["password"] = self._passwords.hash(password, account.name)
        if {"password", "role", "disabled"} & set(changes):
            changes["epoch"] = account.epoch + 1
        if password is not None:
            for token in self.tokens(account.id):
                self.revoke(token)
        return self._write_person(
            replace(account, **changes, at=max(now(), account.at + timedelta(milliseconds=1)))
        )

    def _write_person(self, account: Account) -> Account:
        data = {**asdict(account), "at": stamp(account.at)}
        if account.erase_at is None:
            del data["erase_at"]  # earlier versions read it too
        else:
            data["erase_at"] = stamp(account.erase_at)
        self._store.create(
            f"{PEOPLE}{account.id}/{object_keys.new_id(account.at)}.json", json.dumps(data).encode()
        )
        self.refresh()
        return account

    def erase(self, account: Account) -> None:
        """Erase all versions of an account, its tokens and name; images go through the service."""
        doomed = [stat.key for stat in self._store.list(f"{PEOPLE}{account.id}/")]
        for token in self.tokens(account.id):
            doomed += [stat.key for stat in self._store.list(f"{TOKENS}{token.id}/")]
        if account.identity is not None:
            doomed.append(f"{IDENTITIES}{_digest(account.identity)}.json")
        self._store.remove([*doomed, _reservation(account.name)])
        self.refresh()

    def sign_in(self, name: str, password: str) -> Account | None:
        """The account, if the password is right; takes as long if there is no such account."""
        try:
            account: Account | None = self.find_by_name(name)
        except (NotFound, Invalid):
            account = None
        known = account.password if account and not account.disabled else None
        return account if self._passwords.verify(known, password) else None

    # Tokens

    def tokens(self, account_id: str) -> list[Token]:
        """The unrevoked tokens of an account, newest first."""
        active = (token for token in self._tokens.values() if not token.revoked)
        mine = (token for token in active if token.account == account_id)
        return sorted(mine, key=lambda token: token.id, reverse=True)

    def add_token(
        self, account: Account, *, name: str, scopes: Collection[str], days: int | None = None
    ) -> tuple[Token, str]:
        """Make a token; the second value is its secret, which is not stored. Raises Invalid."""
        required = tuple(scope for scope in SCOPES if scope in scopes)
        if not required or set(scopes) - set(SCOPES):
            raise Invalid(
                "a token needs at least one scope.", remedy="Scopes are {scopes}.", scopes=SCOPES
            )
        at = now()
        secret = _PREFIX + secrets.token_urlsafe(32)
        until = at + timedelta(days=days) if days else None
        token = Token(
            id=object_keys.new_id(at),
            account=account.id,
            name=normalize_name(name),
            scopes=required,
            digest=_digest(secret),
            expires_at=until,
            at=at,
        )
        return self._write_token(token), secret

    def revoke(self, token: Token) -> None:
        """Revoke a token."""
        self._write_token(
            replace(token, revoked=True, at=max(now(), token.at + timedelta(milliseconds=1)))
        )

    def restore_token(self, account_id: str, token_id: str) -> Token | None:
        """Undo a recent revocation of a token; None if it is too late."""
        token = self._tokens.get(token_id)
        if token is None or token.account != account_id or not token.revoked:
            return None
        if now() - token.at > timedelta(seconds=UNDO_TOKEN_SECONDS):
            return None
        at = max(now(), token.at + timedelta(milliseconds=1))
        return self._write_token(replace(token, revoked=False, at=at))

    def _write_token(self, token: Token) -> Token:
        until = stamp(token.expires_at) if token.expires_at else None
        data = {**asdict(token), "at": stamp(token.at), "expires_at": until}
        self._store.create(
            f"{TOKENS}{token.id}/{object_keys.new_id(token.at)}.json", json.dumps(data).encode()
        )
        self.refresh()
        return token

    def token_owner(self, secret: str) -> tuple[Account, Token] | None:
        """The token and its account; None if it is unknown, revoked, expired or disabled."""
        digest = _digest(secret)
        for token in self._tokens.values():
            if hmac.compare_digest(token.digest, digest):
                account = self._people.get(token.account)
                over = token.revoked or (token.expires_at is not None and token.expires_at <= now())
                return None if over or account is None or account.disabled else (account, token)
        return None

    # Sessions

    def signing_key(self) -> bytes:
        """The secret that signs sessions: made once, shared by all processes. Raises Invalid if it
        is torn: rotate_signing_key() helps.
        """
        fresh = json.dumps({"key": secrets.token_hex(32)}).encode()
        self._store.create(SECRET, fresh)
        return bytes.fromhex(read_json(self._store, SECRET, "key")["key"])

    def rotate_signing_key(self) -> None:
        """Replace the key that signs sessions: all sessions end within seconds."""
        self._store.remove([SECRET])
        self.signing_key()

    def end_session(self, session: str, *, until: int) -> None:
        """End a session although its cookie exists; it would have ended at `until`, a Unix time."""
        self._store.remove([stat.key for stat in self._store.list(ENDED) if _is_over(stat.key)])
        self._store.create(f"{ENDED}{until}.{session}", b"{}")
        self.refresh()

    def is_session_ended(self, session: str) -> bool:
        """Whether a session has been signed out."""
        return session in self._ended


def _is_over(key: str) -> bool:
    """Whether an ended session would have expired by now."""
    until = key.removeprefix(ENDED).rpartition(".")[0]
    return until.isdecimal() and int(until) < time.time()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _reservation(name: str) -> str:
    return f"{NAMES}{_digest(name.casefold())}.json"


def normalize_name(text: str) -> str:
    """Normalise a name as typed, for comparison. Raises Invalid."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > 64 or _CONTROL.search(name):
        raise Invalid("a name must have 1 to 64 visible characters.", code="name-invalid")
    return name
