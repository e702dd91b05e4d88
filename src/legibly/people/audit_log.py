"""The audit log: who did what to whom, an immutable object for each entry."""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

from legibly import object_keys
from legibly.errors import NotFound
from legibly.records import now, stamp
from legibly.store import Store

AUDIT = object_keys.AUDIT
_log = logging.getLogger(__name__)


class AuditLog:
    """The audit log of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, action: str, *, by: str | None, on: str = "", address: str = "") -> str:
        """Write an entry; return its key. It holds only ids, so that erasure is complete."""
        at = now()
        line = {"at": stamp(at), "what": action, "by": by, "on": on, "address": address}
        key = f"{AUDIT}date={at:%Y-%m-%d}/{object_keys.new_id(at)}.json"
        self._store.create(key, json.dumps(line).encode())
        return key

    @contextlib.contextmanager
    def audited(self, action: str, *, by: str | None, on: str, address: str) -> Iterator[None]:
        """Write an audit entry with the action in the block: both happen or neither."""
        key = self.record(action, by=by, on=on, address=address)
        try:
            yield
        except BaseException:
            self._store.remove([key])
            raise

    def newest(self, *, limit: int) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        keys = sorted((stat.key for stat in self._store.list(AUDIT)), reverse=True)[:limit]
        entries = []
        for key in keys:
            try:
                entries.append(json.loads(self._store.read(key)))
            except (ValueError, NotFound) as error:
                _log.warning("%s is torn and was skipped: %r", key, error)
        return entries
