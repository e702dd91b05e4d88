"""Text from outside: one rule of what it may hold, checked where it enters."""

import re
from typing import Annotated

from pydantic import AfterValidator

from legibly.errors import Invalid

MAX_LENGTH = 200
"""Characters of a name or a writer."""
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether a text has no control characters, and no halves of characters (lone surrogates)."""
    return _FORBIDDEN.search(text) is None


def check(text: str) -> str:
    """The text itself. Raises ValueError, as pydantic wants it."""
    if not is_plain(text):
        raise ValueError("Text must not have control characters or lone surrogates")
    return text


Text = Annotated[str, AfterValidator(check)]


def short(text: str | None, *, field: str) -> str | None:
    """A name or a writer; None where it is empty. Raises Invalid."""
    if not text:
        return None
    if len(text) > MAX_LENGTH:
        raise Invalid(
            "{field} has {length} characters; {limit} are allowed.",
            code="text-too-long",
            field=field,
            length=len(text),
            limit=MAX_LENGTH,
        )
    if not is_plain(text):
        raise Invalid("{field} has characters that are no text.", code="text-invalid", field=field)
    return text


def file_name(name: str | None) -> str | None:
    """The name of a file as it can be shown: odd characters out, the end kept if it is long."""
    return _FORBIDDEN.sub("", name or "")[-MAX_LENGTH:] or None
