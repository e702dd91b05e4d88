"""Chooses the objects that the accuracy job reads from a listing of the store, for every engine.

`legibly compact` writes Parquet files with one row per image and model, and commits them with a
manifest `records/settled/N.json`: `files` are these Parquet files, `counts` their count rows from
pairs.sql, `retired` the objects that they replace, with the time. Retired objects are removed
later, so that a job that listed them can still read them. Parquet files that no manifest names
(from a crashed run or another program) are read as new pairs.

The Parquet files lie among the new pairs. Where Athena has tables of the store, they lie apart
instead, since a table of Athena has one format; a compaction moves those that lie elsewhere.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from legibly import object_keys
from legibly.errors import Invalid

SETTLED = object_keys.SETTLED
SMALL_BYTES = 64_000
"""Files of lines up to this size are fetched in parallel, and may vanish in between: see
bundles.py.
"""
PAIRS = (object_keys.PAIRS, object_keys.SETTLED_PAIRS)
HAS_TABLES = f"{SETTLED}athena"
"""An object that is there where Athena has tables of the store."""
PREFIXES = (*PAIRS, object_keys.DELETIONS, object_keys.READINGS, SETTLED)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one compaction committed; number 0 means no compaction yet.

    `retired` maps each replaced object to the time. If `counts` is empty, the files must be
    counted.
    """

    number: int = 0
    files: tuple[str, ...] = ()
    retired: Mapping[str, str] = field(default_factory=dict)
    counts: str = ""

    @property
    def key(self) -> str:
        return f"{SETTLED}{self.number:010d}.json"

    def encode(self) -> bytes:
        facts = {"files": list(self.files), "counts": self.counts, "retired": dict(self.retired)}
        return json.dumps({"format": 1, **facts}).encode()

    @classmethod
    def decode(cls, key: str, data: bytes) -> "Manifest":
        try:
            facts: dict[str, Any] = json.loads(data)
            number = int(key.removeprefix(SETTLED).removesuffix(".json"))
            counts = str(facts.get("counts", ""))
            return cls(number, tuple(facts["files"]), dict(facts["retired"]), counts)
        except (ValueError, KeyError, TypeError):
            message = "this is not a manifest of settled pairs."
            remedy = "Remove it: the files that it names are then read as new pairs."
            raise Invalid(message, where=key, remedy=remedy) from None


@dataclass(frozen=True, slots=True)
class Plan:
    """Sorted keys to read; `deleted` are image ids, `manifest` the newest one, `counts` the key of
    the counts of `settled`, if there is one.

    `small` are the keys among `lines` and `readings` that are known to be small, `folder` is where
    compaction writes.
    """

    lines: tuple[str, ...] = ()
    parquet: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()
    counts: str = ""
    manifest: Manifest = field(default_factory=Manifest)
    small: frozenset[str] = frozenset()
    folder: str = object_keys.PAIRS

    @property
    def pairs(self) -> bool:
        """Whether there are any pairs to read."""
        return bool(self.lines or self.parquet or self.settled)

    @property
    def misplaced(self) -> list[str]:
        """Settled files outside of `folder`."""
        return [key for key in self.settled if not key.startswith(self.folder)]


def make(
    listing: Iterable[str], *, read: Callable[[str], bytes], sizes: Mapping[str, int] | None = None
) -> Plan:
    """Make the plan from a store's `listing` under PREFIXES; `read` fetches the newest manifest.

    Ignores keys with a part that starts with `_` or `.`: their writer has not finished. Raises
    Invalid for a broken manifest.
    """
    keys = sorted(key for key in listing if not any(part[:1] in "_." for part in key.split("/")))
    manifests = [key for key in keys if key.startswith(SETTLED) and key.endswith(".json")]
    manifest = Manifest.decode(manifests[-1], read(manifests[-1])) if manifests else Manifest()
    settled = frozenset(manifest.files)
    gone = frozenset(manifest.retired)
    pairs = [
        key for key in keys if key.startswith(PAIRS) and key not in gone and key not in settled
    ]
    return Plan(
        lines=tuple(key for key in pairs if key.endswith((".jsonl", ".json"))),
        parquet=tuple(key for key in pairs if key.endswith(".parquet")),
        settled=tuple(sorted(settled)),
        deleted=tuple(
            key.rpartition("/")[2].removesuffix(".json")
            for key in keys
            if key.startswith(object_keys.DELETIONS)
        ),
        readings=tuple(
            key for key in keys if key.startswith(object_keys.READINGS) and key.endswith(".jsonl")
        ),
        counts=manifest.counts if manifest.counts in keys else "",
        manifest=manifest,
        small=frozenset(key for key, size in (sizes or {}).items() if size <= SMALL_BYTES),
        folder=object_keys.SETTLED_PAIRS if HAS_TABLES in keys else object_keys.PAIRS,
    )
