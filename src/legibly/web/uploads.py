"""Takes pictures out of requests: a form's `file`, or the bare body; never more bytes than are allowed."""

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from legibly.errors import Invalid, NotAnImage, TooLarge

# What a form's other fields and boundaries may add to the picture itself.
_ALLOWANCE = 100_000
_USAGE = "Send a form with a field `file`, or the picture itself with an image/* content type."


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it was sent, with what was said of it."""

    data: bytes
    name: str | None = None
    label: str | None = None
    writer: str | None = None


async def uploaded(request: Request, *, max_bytes: int) -> Upload:
    """The picture of a request. Raises Invalid, NotAnImage (another content type) and TooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limited = _limited(request, max_bytes + _ALLOWANCE)
    if kind == "multipart/form-data":
        return await _from_form(limited)
    if kind.startswith("image/") or kind in ("application/octet-stream", ""):
        query = request.query_params
        return Upload(await limited.body(), query.get("name"), query.get("label"), query.get("writer"))
    raise NotAnImage(f"a request of type {kind} brings no picture.", remedy=_USAGE)


async def _from_form(request: Request) -> Upload:
    try:
        # Small pictures never touch the disk on their way.
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Invalid("the form has no field `file`.", remedy=_USAGE)
            label, writer = form.get("label"), form.get("writer")
            text = {"label": label, "writer": writer}
            fields = {name: value for name, value in text.items() if isinstance(value, str) and value.strip()}
            return Upload(await file.read(), file.filename, **fields)
    except MultiPartException as error:
        raise Invalid(f"this form cannot be read: {error.message}", remedy=_USAGE) from error


def _limited(request: Request, allowed: int) -> Request:
    """The same request, which raises TooLarge as soon as more bytes than allowed have come."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > allowed:
        raise _too_large(allowed - _ALLOWANCE)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > allowed:
            raise _too_large(allowed - _ALLOWANCE)
        return message

    return Request(request.scope, receive)


def _too_large(allowed: int) -> TooLarge:
    return TooLarge(f"the picture is too large: {allowed} bytes are allowed.", remedy="Send a smaller picture.")
