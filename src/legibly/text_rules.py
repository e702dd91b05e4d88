"""The rules for text from outside, such as names and writers, checked on entry."""

import re
import unicodedata

from legibly.errors import Invalid

MAX_TEXT = 200
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates, which databases and pages cannot use."""


def is_plain(text: str) -> bool:
    """Whether a text has no control characters and no lone surrogates."""
    return _FORBIDDEN.search(text) is None


def check(text: str | None, field: str) -> str | None:
    """The text with compatibility characters normalised (full-width digits …), None if it is empty.

    Raises Invalid for control characters, lone surrogates and more than `MAX_TEXT` characters.
    """
    if not text:
        return None
    if not is_plain(text):
        raise Invalid(
            "the {field} contains characters that are not allowed.",
            code="text-invalid",
            field=field,
        )
    normal = unicodedata.normalize("NFKC", text).strip()
    if len(normal) > MAX_TEXT:
        raise Invalid(
            "the {field} has {length} characters; {limit} are allowed.",
            code="text-too-long",
            field=field,
            length=len(normal),
            limit=MAX_TEXT,
        )
    return normal or None


def clean(text: str | None) -> str | None:
    """Remove what `check` would refuse from the text of an older record or a file's name."""
    if text is None:
        return None
    return _FORBIDDEN.sub("\ufffd", text)[:MAX_TEXT] or None


def file_name(name: str | None) -> str | None:
    """A file's name for display: without odd characters, and only the end of a long one."""
    return _FORBIDDEN.sub("", name or "")[-MAX_TEXT:] or None


def page_name(name: str, number: int) -> str:
    """The name of one page of a file, `scan.pdf p. 3`; pages count from 1."""
    return f"{name} p. {number}"
