"""Forms over HTTP: makes a form from a scan, and reads the fields of others. Stores nothing."""

import base64
import io
import json
from collections.abc import Callable
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.datastructures import FormData, UploadFile

from legibly import text_rules
from legibly.errors import Invalid, Unusable
from legibly.forms import reading
from legibly.forms.form import Form
from legibly.images import pages
from legibly.web import errors
from legibly.web.api import documents
from legibly.web.services import State, state_of

router = APIRouter(prefix="/api/forms", tags=["forms"])
_USAGE = "Send a form with a field `file`, the scan; to read it with a field `form`, its JSON, too."
_NOT_STORED = {"Cache-Control": "no-store"}
_SIDE = 1600
"""The longer side of a form's picture, in pixels."""
_Pictures = Annotated[bool, Query(description="with pictures, as data URIs")]


def body(*required: str) -> dict[str, Any]:
    """The OpenAPI document of a request with these fields."""
    properties = {
        "file": {"type": "string", "format": "binary"},
        "form": {"type": "string", "description": "the JSON that POST /api/forms answers with"},
    }
    chosen = {name: properties[name] for name in required}
    schema = {"type": "object", "required": list(required), "properties": chosen}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


@router.post("", response_model=documents.Form, openapi_extra=body("file"))
async def post_form(request: Request, pictures: _Pictures = False) -> JSONResponse:
    """Find the boxes and combs on a scan's first page, and return them as a form."""
    state = state_of(request)
    async with multipart(request) as fields:
        data, _ = await scan_of(fields)

    def make() -> dict[str, Any]:
        scan = next(_pages(state, data))
        form, page = reading.make_with_page(scan, max_pixels=state.settings.max_pixels)
        return form.to_json() | ({"picture": _small(page)} if pictures else {})

    return JSONResponse(await to_thread.run_sync(make), headers=_NOT_STORED)


@router.post("/read", response_model=documents.FormPages, openapi_extra=body("file", "form"))
async def read_form(request: Request, pictures: _Pictures = False) -> JSONResponse:
    """Read the fields of a form on each page of a scan; `error` says why a page has none."""
    async with multipart(request) as fields:
        data, name = await scan_of(fields)
        form = _description(fields)

    def read() -> list[dict[str, Any]]:
        def document(values: list[reading.Value], source: str) -> dict[str, Any]:
            fields = {value.field: _value(value, pictures) for value in values}
            return {"source": source, "fields": fields, "error": None}

        return read_pages(request, form, data, name, document)

    return JSONResponse({"pages": await to_thread.run_sync(read)}, headers=_NOT_STORED)


def read_pages(
    request: Request,
    form: Form,
    data: bytes,
    name: str,
    document: Callable[[list[reading.Value], str], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The document of the values on each page, or one with the error."""
    state = state_of(request)
    limit = state.settings.max_pixels
    many = pages.has_pages(data)
    result = []
    for number, page in enumerate(_pages(state, data), start=1):
        source = text_rules.page_name(name, number) if many else name
        try:
            values = reading.read(form, page, state.service.reader, max_pixels=limit)
            result.append(document(values, source))
        except Unusable as error:
            message = errors.message_for(request, error)
            result.append({"source": source, "fields": {}, "error": message})
    return result


def _value(value: reading.Value, pictures: bool) -> dict[str, Any]:
    picture = {"picture": _data_uri(value.picture, "image/png")} if pictures else {}
    return value.to_json() | picture


def _small(page: reading.Pixels) -> str:
    image = Image.fromarray(page)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=60)
    return _data_uri(buffer.getvalue(), "image/webp")


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def multipart(request: Request) -> Any:
    """The fields of a request, as a context. Raises Invalid."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Invalid("the request brings no scan.", remedy=_USAGE)
    return request.form(max_files=1, max_fields=4)


async def scan_of(fields: FormData) -> tuple[bytes, str]:
    """The bytes of the scan, and its name. Raises Invalid."""
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise Invalid("the form has no field `file`.", remedy=_USAGE)
    return await file.read(), text_rules.file_name(file.filename) or "scan"


def _description(fields: FormData) -> Form:
    text = fields.get("form")
    if not isinstance(text, str):
        raise Invalid("the request has no field `form`.", remedy=_USAGE)
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("this is not a form: {problem}.", problem=str(error)[:200]) from error
    return form_of(description)


def form_of(description: Any) -> Form:
    """The form of a JSON document. Raises Invalid."""
    try:
        return Form.from_json(description)
    except KeyError as error:
        raise Invalid("this is not a form: {part} is missing.", part=str(error)) from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Invalid("this is not a form: {problem}.", problem=str(error)[:200]) from error


def _pages(state: State, data: bytes) -> Any:
    return pages.pages(
        data, max_pages=state.settings.max_pages, max_pixels=state.settings.max_pixels
    )
