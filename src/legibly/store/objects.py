"""The object store in folders, S3 or memory, through obstore; only overwrites reports."""

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from legibly import private_files
from legibly.errors import Forbidden, Invalid, NotFound, Unavailable
from legibly.store import local_files, local_listing, s3_listing
from legibly.telemetry.measures import measure

_log = logging.getLogger(__name__)
_MAX_SKIPPED = 1000
_WRITE_FAILURE_SECONDS = 20.0
"""How long a failed write counts as a problem: without traffic nothing shows its end."""


class Stat(NamedTuple):
    """The facts of an object."""

    key: str
    size: int
    modified_at: datetime
    etag: str | None


class _StrangeKey(Exception):
    """A listing met a key that obstore refuses."""


class Store:
    """Objects by key. Every method may raise Unavailable, Forbidden, or Invalid (for the key)."""

    def __init__(
        self, backend: ObjectStore, *, url: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self._backend = backend
        self._environ = environ or {}
        self._has_strange_keys = False
        self.url = url
        self._folder = folder_of(url) if isinstance(backend, LocalStore) else None
        self.skipped: dict[str, str] = {}
        """Names that cannot be objects, with the reason, in order of discovery."""
        self._write_failure: tuple[float, str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether objects are in files or memory of this machine, where listing is cheap."""
        return not isinstance(self._backend, S3Store)

    @property
    def write_problem(self) -> str:
        """Why the last write failed, if that was recent; else empty."""
        if self._write_failure is None:
            return ""
        failed_at, reason = self._write_failure
        return reason if time.monotonic() < failed_at + _WRITE_FAILURE_SECONDS else ""

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (Forbidden, Unavailable) as error:
            self._write_failure = (time.monotonic(), error.message)
            raise
        self._write_failure = None

    def create(self, key: str, data: bytes, *, media_type: str | None = None) -> bool:
        """Create an object; False, without a change, if the key exists."""
        if self._folder is not None:
            with self._writing(), self._errors(key):
                is_new = local_files.create(self._folder, key, data)
            if is_new is not None:
                return is_new
        try:
            self._put(key, data, mode="create", media_type=media_type)
        except AlreadyExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes, *, media_type: str | None = None) -> None:
        """Create or overwrite an object; for reports only."""
        self._put(key, data, mode="overwrite", media_type=media_type)

    def read(self, key: str) -> bytes:
        """The bytes of an object. Raises NotFound."""
        with self._errors(key):
            return obstore.get(self._backend, key).bytes().to_bytes()

    def fetch(self, key: str) -> tuple[Stat, bytes]:
        """An object's facts and bytes in one request. Raises NotFound."""
        with self._errors(key):
            result = obstore.get(self._backend, key)
            return _stat(result.meta), result.bytes().to_bytes()

    def head(self, key: str) -> Stat:
        """An object's facts. Raises NotFound."""
        with self._errors(key):
            return _stat(obstore.head(self._backend, key))

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Stat]:
        """The objects under `prefix` (a folder with its `/`) after `after`; S3 lists by key."""
        if isinstance(self._backend, LocalStore):
            yield from self._list_files(prefix, after)
            return
        if not self._has_strange_keys:
            try:
                with self._errors(prefix):
                    for chunk in obstore.list(self._backend, prefix, offset=after, chunk_size=1000):
                        for meta in chunk:
                            after = meta["path"]
                            yield _stat(meta)
                return
            except _StrangeKey:
                self._has_strange_keys = True
        yield from self._list_all_keys(prefix, after)

    def _list_all_keys(self, prefix: str, after: str | None) -> Iterator[Stat]:
        """List a bucket with keys that obstore refuses, skipping these."""
        parts = urlsplit(self.url)
        root = f"{parts.path.strip('/')}/".removeprefix("/")
        for key, size, modified_at, etag in s3_listing.objects(
            parts.netloc,
            root + prefix,
            after=root + after if after else None,
            environ=self._environ,
            skip=lambda key: self.skip(key.removeprefix(root), "this cannot be a key"),
        ):
            yield Stat(key.removeprefix(root), size, modified_at, etag)

    def _list_files(self, prefix: str, after: str | None) -> Iterator[Stat]:
        self._require_folder()
        with self._errors(prefix):
            for key, facts in local_listing.files(folder_of(self.url), prefix, skip=self.skip):
                if after is None or key > after:
                    modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                    microseconds = facts.st_mtime_ns // 1000
                    etag = f"{facts.st_ino:x}-{microseconds:x}-{facts.st_size:x}"
                    yield Stat(key, facts.st_size, modified_at, etag)

    def skip(self, name: str, reason: str) -> None:
        """Record that a name cannot be an object, and why."""
        if name not in self.skipped and len(self.skipped) < _MAX_SKIPPED:
            _log.warning("%r below %s is skipped: %s", name, self.url, reason)
            self.skipped[name] = reason

    def remove(self, keys: Iterable[str]) -> None:
        """Delete objects; ignores missing keys."""
        for key in keys:
            with contextlib.suppress(NotFound), self._errors(key):
                obstore.delete(self._backend, key)

    def sign(self, method: Literal["GET", "PUT"], key: str, *, seconds: int) -> str:
        """A temporary URL to get or put this object. Raises Invalid unless the store is S3."""
        if not isinstance(self._backend, S3Store):
            raise Invalid("only an s3:// store can be uploaded to directly.", where=self.url)
        with self._errors(key):
            return obstore.sign(self._backend, method, key, timedelta(seconds=seconds))

    def _put(
        self, key: str, data: bytes, *, mode: Literal["create", "overwrite"], media_type: str | None
    ) -> None:
        self._require_folder()
        # Folders have no content types: there the key's extension decides.
        typed = media_type and not isinstance(self._backend, LocalStore)
        attributes = {"Content-Type": media_type} if typed and media_type else None
        with self._writing(), self._errors(key):
            obstore.put(
                self._backend, key, data, mode=mode, attributes=attributes, use_multipart=False
            )

    def _require_folder(self) -> None:
        """Raises Unavailable if the folder is missing: a volume may be mounted there again, and
        would hide files written in the meantime.
        """
        if self._folder is not None and not self._folder.is_dir():
            raise Unavailable("the folder of the store is gone.", where=self.url)

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        where = f"{self.url.rstrip('/')}/{key}"
        try:
            yield
        except AlreadyExistsError:
            raise
        except InvalidPathError as error:
            if "Encountered object" in str(error):
                raise _StrangeKey from error
            raise Invalid(f"this cannot be a key: {_brief(error)}.", where=where) from error
        except FileNotFoundError:
            self._require_folder()
            raise NotFound("there is no such object.", where=where) from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            measure("store_errors", kind="refused")
            remedy = "Check the credentials and the rights on this store (`legibly doctor`)."
            raise Forbidden(
                f"the store refuses: {_brief(error)}.", where=where, remedy=remedy
            ) from error
        except (ValueError, NotSupportedError) as error:
            raise Invalid(f"this cannot be a key: {_brief(error)}.", where=where) from error
        except (GenericError, BaseError, OSError) as error:
            measure("store_errors", kind="away")
            raise Unavailable(
                f"the store does not answer: {_brief(error)}.", where=where
            ) from error


def open_store(url: str, *, environ: Mapping[str, str]) -> Store:
    """Open `file://`, `s3://bucket/prefix` or `memory://`; S3-compatible servers by
    `AWS_ENDPOINT_URL`.

    Raises Invalid for any other URL and Unavailable if a folder cannot be created.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return Store(MemoryStore(), url=url)
    if parts.scheme == "s3" and parts.netloc:
        backend = _s3(parts.netloc, parts.path.strip("/"), environ)
        return Store(backend, url=url, environ=environ)
    if parts.scheme == "file":
        folder = folder_of(url)
        try:
            private_files.make_folder(folder)
        except OSError as error:
            message = f"this folder cannot be created: {error.strerror}."
            raise Unavailable(message, where=str(folder)) from error
        return Store(LocalStore(prefix=folder), url=url)
    remedy = "Use file://FOLDER, s3://BUCKET/PREFIX or memory://."
    raise Invalid("this is not a store.", where=url, remedy=remedy)


def folder_of(url: str) -> Path:
    """The folder of a `file://` URL; `file://./x` and `file://x` are relative."""
    return Path(unquote(url.removeprefix("file://"))).absolute()


def packs_folder(url: str) -> Path | None:
    """The folder of packs added by `legibly models add`: beside the objects of a folder store, in
    the user's cache for a bucket; None for a store in memory.
    """
    if url.startswith("file://"):
        return folder_of(url).parent / "packs"
    if not url.startswith("s3://"):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return cache / "legibly" / "packs" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _s3(bucket: str, prefix: str, environ: Mapping[str, str]) -> S3Store:
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {
        "region": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    if endpoint:
        # Other servers rarely have wildcard names, so the bucket goes into the path.
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        options["client_options"] = {"allow_http": endpoint.startswith("http://")}
    for name in ("access_key_id", "secret_access_key", "session_token"):
        if f"AWS_{name.upper()}" in environ:
            options[name] = environ[f"AWS_{name.upper()}"]
    if _has_profile(environ) and "AWS_ACCESS_KEY_ID" not in environ:
        from obstore.auth.boto3 import Boto3CredentialProvider  # only boto3 reads profiles

        options["credential_provider"] = Boto3CredentialProvider()
    return S3Store(bucket, prefix=prefix or None, **options)


def _has_profile(environ: Mapping[str, str]) -> bool:
    """Whether there is a configuration for boto3, or a profile is named."""
    if environ.get("AWS_PROFILE"):
        return True
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    written = Path(named).expanduser() if named else Path.home() / ".aws" / "credentials"
    return written.is_file() and importlib.util.find_spec("boto3") is not None


def _stat(meta: Any) -> Stat:
    return Stat(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"])


def _brief(error: BaseException) -> str:
    """The first line of an error: obstore appends internals, which may contain addresses."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # its text contains paths of the server
    answer = re.search("<Message>([^<]+)</Message>", str(error))
    if answer:
        return answer[1].rstrip(".")  # S3's own words, of a permission or a key
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
