"""The settings: one frozen object, built from the environment, `legibly.toml` and flags; later
sources override earlier ones.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from legibly.errors import Invalid
from legibly.records import TextMode

PREFIX = "LEGIBLY_"
FILE = "legibly.toml"
DEFAULT_PROJECT = "default"
_SERVICE_LINK = re.compile(
    r"LEGIBLY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP)(_\w+)?)"
)
"""What Kubernetes (or Docker) sets for a service called `legibly`."""
_NOT_SETTINGS = {"LEGIBLY_REQUIRE_SERVICES"}
"""Read by the test suite alone; shares the prefix so that it is easy to find."""


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; each field is `LEGIBLY_FIELD` in the environment and `field` in the file."""

    store: str = _setting(
        "file://./legibly-data/objects", "object store: file://, s3://bucket/prefix or memory://"
    )
    database: str = _setting(
        "sqlite:///./legibly-data/index.db", "index: sqlite:///PATH or postgresql://…"
    )
    model: str = _setting(
        "digits", "model pack: a name, a folder, or http(s)://…/v2/models/NAME of a remote one"
    )
    text: str = _setting(
        "digits", "what a text has of separators: digits (none), or numbers (7.5, 12/03/2024, -5)"
    )
    project: str = _setting(DEFAULT_PROJECT, "project that commands work on")
    queue: str = _setting("", "SQS queue URL to take S3 events from; empty: none")
    classify: str = _setting(
        "here", "who reads pictures: here, or elsewhere (a function, other workers)"
    )
    hook_secret: str = _setting(
        "", "secret of POST /api/events/s3; empty: events are refused", secret=True
    )
    uploads: str = _setting(
        "direct", "how browsers send files to an s3:// store: direct (straight to it), or server"
    )
    accounts: str = _setting(
        "auto", "who must sign in: on, off, elsewhere (a proxy checks), auto (as needed)"
    )
    admin_password: str = _setting(
        "", "password of `admin`, created at the start if there is no administrator", secret=True
    )
    oidc_issuer: str = _setting(
        "", "issuer URL of the OpenID provider that people sign in with; empty: none"
    )
    oidc_client_id: str = _setting("", "client id of this server at the OpenID provider")
    oidc_client_secret: str = _setting(
        "", "client secret at the OpenID provider; empty: a public client", secret=True
    )
    oidc_domains: str = _setting("", "e-mail domains that may sign in, separated by commas; *: any")
    oidc_name: str = _setting("", "name of the provider on the sign-in button; empty: its host")
    hosts: str = _setting(
        "", "host names that this server answers to, separated by commas; empty: see the guide"
    )
    proxy: str = _setting("", "proxy whose headers give client addresses: cloudfront, or empty")
    public_url: str = _setting(
        "", "public address of this server behind a proxy; empty: that of the request"
    )
    session_hours: int = _setting(12, "hours until a person has to sign in again")
    rate: int = _setting(6000, "requests per minute that one client may send; 0: no limit")
    max_bytes: int = _setting(20_000_000, "bytes that one image may have")
    max_pixels: int = _setting(50_000_000, "pixels that one image may have")
    max_pages: int = _setting(50, "pages that one PDF or TIFF file may have")
    decoders: int = _setting(2, "pictures that are decoded at once in processes of their own")
    decode_seconds: float = _setting(20.0, "seconds after which such a process is ended")
    decode_megabytes: int = _setting(360, "memory that decoding one picture may take, in MB")
    attempts: int = _setting(5, "tries to read an image before it is marked as failed")
    sweep_seconds: float = _setting(
        2.0, "seconds between searches for pictures that were put into the store; 0: never"
    )
    compact_hours: float = _setting(
        24.0,
        "hours between two looks of `serve` for small files of pairs and readings to merge; 0:"
        " never",
    )
    ask_rate: float = _setting(0.1, "share of images to ask the true label of, 0 … 1")
    review_people: int = _setting(
        1, "people who must give the same label to finish a review: 1 or 2"
    )
    log: str = _setting("text", "log format: text, or json (one object per line, on stderr)")
    threads: int = _setting(0, "threads that classify; 0: one per core, at most four")

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_pages", "attempts"):
            if getattr(self, name) < 1:
                raise Invalid(f"{name} must be at least 1.", where="settings")
        if self.decoders < 1 or self.decode_seconds <= 0 or self.decode_megabytes < 64:
            raise Invalid(
                "decoders must be at least 1, decode_seconds above 0, decode_megabytes at least"
                " 64.",
                where="settings",
            )
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_domains):
            problem = "oidc_issuer needs oidc_client_id, and oidc_domains: who may come in."
            raise Invalid(problem, where="settings")
        if self.session_hours < 1 or self.rate < 0 or self.compact_hours < 0:
            problem = "session_hours must be at least 1, rate and compact_hours at least 0."
            raise Invalid(problem, where="settings")
        if not 0 <= self.ask_rate <= 1:
            raise Invalid("ask_rate must lie between 0 and 1.", where="settings")
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise Invalid("public_url must begin with https:// or http://.", where="settings")

    @property
    def text_mode(self) -> TextMode:
        """`text` as what it can be."""
        return "numbers" if self.text == "numbers" else "digits"

    @classmethod
    def load(cls, *, environ: Mapping[str, str], file: Path | None = None, **flags: Any) -> Self:
        """Build the settings; flags of None do not count. Raises Invalid for unknown, bad ones."""
        path = file or Path(FILE)
        kinds = {f.name: type(f.default) for f in fields(cls)}
        values = _from_environment(environ, known=set(kinds))
        if path.is_file():
            values |= _from_file(path, known=set(kinds))
        elif file is not None:
            raise Invalid("this settings file does not exist.", where=str(path))
        values |= {name: (value, f"--{name}") for name, value in flags.items() if value is not None}
        cast = {name: _cast(value, kinds[name], at) for name, (value, at) in values.items()}
        return cls(**cast)

    def masked(self) -> dict[str, Any]:
        """All settings, with secrets and the passwords in URLs hidden."""
        return {
            f.name: _mask(getattr(self, f.name), secret=f.metadata["secret"]) for f in fields(self)
        }


_CHOICES: dict[str, tuple[object, ...]] = {
    "review_people": (1, 2),
    "classify": ("here", "elsewhere"),
    "proxy": ("cloudfront", ""),
    "log": ("text", "json"),
    "text": ("digits", "numbers"),
    "uploads": ("direct", "server"),
    "accounts": ("on", "off", "elsewhere", "auto"),
}


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        *first, last = (str(choice) or "empty" for choice in choices)
        raise Invalid(
            f"{name} must be {', '.join(first)} or {last}, not {value!r}.", where="settings"
        )


def _from_environment(environ: Mapping[str, str], *, known: set[str]) -> dict[str, tuple[Any, str]]:
    values = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        if _SERVICE_LINK.fullmatch(variable):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in known:
            raise Invalid("there is no such setting.", where=variable, remedy=_known(known))
        values[name] = (value, variable)
    return values


def _from_file(path: Path, *, known: set[str]) -> dict[str, tuple[Any, str]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"this is not TOML: {error}.", where=str(path)) from error
    for name in table:
        if name not in known:
            raise Invalid(
                f"there is no setting called {name!r}.", where=str(path), remedy=_known(known)
            )
    return {name: (value, f"{path}: {name}") for name, value in table.items()}


def _known(known: set[str]) -> str:
    return f"Settings are: {', '.join(sorted(known))}."


def _cast(value: Any, kind: type, where: str) -> Any:
    if isinstance(value, bool):
        raise Invalid(f"{value!r} is no {kind.__name__}.", where=where)
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise Invalid(f"{value!r} is no {kind.__name__}.", where=where) from None


def _mask(value: Any, *, secret: bool) -> Any:
    if secret:
        return "***" if value else ""
    if not isinstance(value, str) or "@" not in value:
        return value
    parts = urlsplit(value)
    if parts.password is None:
        return value
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))
