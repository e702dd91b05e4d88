"""Finds the pairs for `legibly accuracy` in a store, a folder or a file of any version."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from legibly import store as stores
from legibly.accuracy import older_formats
from legibly.accuracy import plan as plans
from legibly.errors import Invalid, NotFound

SUFFIXES = (".jsonl", ".json", ".parquet", ".txt", ".csv", ".log", "")


@dataclass(frozen=True, slots=True)
class Source:
    """Either today's pairs (`plan`, with keys under `base`) or files in an `older` format."""

    base: str = ""
    plan: plans.Plan | None = None
    older: tuple[Path, ...] = ()


def find(source: str, *, environ: Mapping[str, str] = os.environ) -> Source:
    """Find the pairs in a store URL, a folder or a file. Raises NotFound; Invalid without any."""
    if "://" in source and not source.startswith("file://"):
        return _of_url(source, stores.open_store(source, environ=environ))
    path = stores.folder_of(source) if source.startswith("file://") else Path(source)
    if path.is_dir() and (path / "records").is_dir():
        store = stores.open_store(f"file://{path.absolute()}", environ=environ)
        return Source(base=str(path), plan=of_store(store))
    if not path.exists():
        remedy = "Give a store's URL, a folder, or a file of pairs."
        raise NotFound("there is nothing here.", where=source, remedy=remedy)
    return _of_files(path)


def _of_url(url: str, store: stores.Store) -> Source:
    """The pairs of a bucket. Raises NotFound if it does not hold a store."""
    base = base_of(url)
    plan = of_store(store)
    if not plan.pairs and not plan.readings and next(iter(store.list("images/")), None) is None:
        remedy = (
            "Name the store as in LEGIBLY_STORE. Pairs in an older format are read from files: "
            "copy them here first, and name the file or folder."
        )
        message = "there are no pairs and no images under this address."
        raise NotFound(message, where=url, remedy=remedy)
    return Source(base=base, plan=plan)


def base_of(url: str) -> str:
    """The prefix of a store's keys for the engines. Raises Invalid for a store in memory."""
    if url.startswith("file://"):
        return str(stores.folder_of(url))
    if url.startswith("s3://"):
        return url.rstrip("/")
    raise Invalid("only folders and s3:// stores can be read here.", where=url)


def of_store(store: stores.Store) -> plans.Plan:
    """The plan of an open store."""
    sizes = {stat.key: stat.size for prefix in plans.PREFIXES for stat in store.list(prefix)}
    return plans.make(sizes, read=store.read, sizes=sizes)


def _of_files(path: Path) -> Source:
    files = [path] if path.is_file() else sorted(filter(_may_hold_pairs, path.rglob("*")))
    kinds: dict[str, list[Path]] = {}
    for file in files:
        kinds.setdefault(_kind(file), []).append(file)
    if not kinds or set(kinds) == {"nothing"}:
        remedy = "Give a store's URL or a file of pairs."
        raise Invalid("there are no pairs in here.", where=str(path), remedy=remedy)
    older_files = kinds.get("text", []) + kinds.get("objects", [])
    lines = _names(kinds.get("records", []))
    parquet = _names(kinds.get("parquet", []))
    if older_files and (lines or parquet):
        message = "pairs in today's format and in an older one are mixed."
        remedy = "Give them one at a time: only the newer ones name their image."
        raise Invalid(message, where=str(older_files[0]), remedy=remedy)
    if older_files:
        return Source(older=tuple(sorted(older_files)))
    return Source(plan=plans.Plan(lines=lines, parquet=parquet))


def _may_hold_pairs(file: Path) -> bool:
    is_hidden = file.name.startswith((".", "_"))
    return file.suffix.lower() in SUFFIXES and not is_hidden and file.is_file()


def _names(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(path.absolute()) for path in paths)


def _kind(file: Path) -> str:
    with file.open("rb") as opened:
        head = opened.read(65_536)
    if not head.strip():
        return "nothing"
    kind = older_formats.kind(head)
    if kind is None:
        remedy = "Give text lines, JSON lines or Parquet."
        raise Invalid("this holds no pairs.", where=str(file), remedy=remedy)
    return kind
