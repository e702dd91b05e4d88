"""Takes pictures from requests: the `file` of a form, or the bare body."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile

from legibly import text_rules
from legibly.errors import Invalid, NotAnImage
from legibly.pipeline import UploadDetails

ALLOWANCE_BYTES = 100_000
"""Size limit of a form's other fields and boundaries, in addition to the picture."""
_USAGE = "Send a form with a field `file`, or the picture itself with an image/* content type."


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as sent, with its facts."""

    data: bytes
    details: UploadDetails


async def uploaded(request: Request, *, owner: str | None) -> Upload:
    """The picture sent by `owner`. Raises Invalid, and NotAnImage for other content types."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request, owner)
    if kind.startswith("image/") or kind in ("application/pdf", "application/octet-stream", ""):
        query = request.query_params
        details = _details(query, query.get("name"), owner)
        return Upload(await request.body(), details)
    raise NotAnImage("a request of type {kind} cannot contain a picture.", remedy=_USAGE, kind=kind)


async def _from_form(request: Request, owner: str | None) -> Upload:
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Invalid("the form has no field `file`.", remedy=_USAGE)
        texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
        return Upload(await file.read(), _details(texts, file.filename, owner))


def _details(fields: Mapping[str, str], name: str | None, owner: str | None) -> UploadDetails:
    facts = {field: fields.get(field) for field in ("writer", "label", "batch")}
    return UploadDetails(name=text_rules.file_name(name), owner=owner, **facts)
