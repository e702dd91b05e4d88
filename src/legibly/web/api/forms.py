"""Forms over HTTP: makes a form from a scan, reads the fields of another. Stores nothing."""

import base64
import io
import json
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
from legibly.web.api import documents
from legibly.web.services import State, state_of

router = APIRouter(prefix="/api/forms", tags=["forms"])
_USAGE = "Send a form with a field `file`, the scan; to read it with a field `form`, its JSON, too."
_NOT_STORED = {"Cache-Control": "no-store"}
_SIDE = 1600
"""The longer side of a form's picture, in pixels."""
_Pictures = Annotated[bool, Query(description="with pictures, as data URIs")]


def _body(*required: str) -> dict[str, Any]:
    properties = {
        "file": {"type": "string", "format": "binary"},
        "form": {"type": "string", "description": "the JSON that POST /api/forms answers with"},
    }
    schema = {
        "type": "object",
        "required": list(required),
        "properties": {name: properties[name] for name in required},
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


@router.post("", response_model=documents.Form, openapi_extra=_body("file"))
async def post_form(request: Request, pictures: _Pictures = False) -> JSONResponse:
    """Find the boxes and combs on a scan's first page, and return them as a form."""
    state = state_of(request)
    async with _form(request) as fields:
        data, _ = await _scan(fields)

    def make() -> dict[str, Any]:
        scan = next(_pages(state, data))
        form, page = reading.make_with_page(scan, max_pixels=state.settings.max_pixels)
        return form.to_json() | ({"picture": _small(page)} if pictures else {})

    return JSONResponse(await to_thread.run_sync(make), headers=_NOT_STORED)


@router.post("/read", response_model=documents.FormPages, openapi_extra=_body("file", "form"))
async def read_form(request: Request, pictures: _Pictures = False) -> JSONResponse:
    """Read the fields of a form on each page of a scan; `error` says why a page has none."""
    state = state_of(request)
    async with _form(request) as fields:
        data, name = await _scan(fields)
        form = _description(fields)

    def read() -> list[dict[str, Any]]:
        many = pages.has_pages(data)
        result = []
        for number, page in enumerate(_pages(state, data), start=1):
            source = text_rules.page_name(name, number) if many else name
            result.append({"source": source, **_fields(state, form, page, pictures)})
        return result

    return JSONResponse({"pages": await to_thread.run_sync(read)}, headers=_NOT_STORED)


def _fields(state: State, form: Form, page: bytes, pictures: bool) -> dict[str, Any]:
    """The values of one page by name, or the error."""
    try:
        limit = state.settings.max_pixels
        values = reading.read(form, page, state.service.reader, max_pixels=limit)
    except Unusable as error:
        return {"fields": {}, "error": str(error)}
    return {"fields": {value.field: _value(value, pictures) for value in values}, "error": None}


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


def _form(request: Request) -> Any:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Invalid("the request brings no scan.", remedy=_USAGE)
    return request.form(max_files=1, max_fields=4)


async def _scan(fields: FormData) -> tuple[bytes, str]:
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise Invalid("the form has no field `file`.", remedy=_USAGE)
    return await file.read(), text_rules.file_name(file.filename) or "scan"


def _description(fields: FormData) -> Form:
    text = fields.get("form")
    if not isinstance(text, str):
        raise Invalid("the request has no field `form`.", remedy=_USAGE)
    try:
        return Form.from_json(json.loads(text))
    except KeyError as error:
        raise Invalid("this is not a form: {part} is missing.", part=str(error)) from error
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Invalid("this is not a form: {problem}.", problem=str(error)[:200]) from error


def _pages(state: State, data: bytes) -> Any:
    return pages.pages(
        data, max_pages=state.settings.max_pages, max_pixels=state.settings.max_pixels
    )
