"""The stored forms of a project over HTTP, and the scans that are read with them."""

import itertools
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from legibly.errors import Invalid
from legibly.exchange import exports
from legibly.forms import reading, scans
from legibly.forms.stored import StoredForm, StoredForms
from legibly.index.port import Filter
from legibly.web.api import documents, forms
from legibly.web.security.principal import principal_of
from legibly.web.services import state_of

router = APIRouter(prefix="/api/forms", tags=["forms"])
_MAX_IMAGES = 100_000
_IfMatch = Annotated[
    str | None, Header(description="the ETag of the version to change; without it a new form")
]
_Once = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="sent again with it, nothing is added"),
]


@router.get("", response_model=documents.StoredForms)
def get_forms(request: Request) -> JSONResponse:
    """The forms of the project, by name."""
    listed = [
        {"name": stored.name, "version": stored.version, "fields": len(stored.form.fields)}
        for stored in StoredForms(state_of(request).store)
    ]
    return JSONResponse({"forms": listed})


@router.get("/{name}", response_model=documents.StoredForm)
def get_form(request: Request, name: str) -> JSONResponse:
    """One form; the ETag is that of its version."""
    return _document(StoredForms(state_of(request).store).get(name))


@router.put(
    "/{name}",
    response_model=documents.StoredForm,
    responses={201: {"model": documents.StoredForm, "description": "a new form"}},
)
def put_form(
    request: Request, name: str, body: documents.Form, if_match: _IfMatch = None
) -> JSONResponse:
    """Store a new form, or with `If-Match` change it; 409 if there is one, or a newer version."""
    stored_forms = StoredForms(state_of(request).store)
    form = forms.form_of(body.model_dump())
    if if_match is None:
        return _document(stored_forms.create(name, form, picture=body.picture), 201)
    version = if_match.strip('"')
    if not version.isdecimal() or len(version) > 9:
        raise Invalid("If-Match must be the ETag of a form.", where=if_match[:80])
    return _document(stored_forms.change(name, form, version=int(version)))


@router.delete("/{name}", status_code=204)
def delete_form(request: Request, name: str) -> Response:
    """Delete a form; reviewers only. The pictures of its fields and their labels stay."""
    principal_of(request).require_role("reviewer")
    StoredForms(state_of(request).store).remove(name)
    return Response(status_code=204)


@router.post("/{name}/read", response_model=documents.FormPages, openapi_extra=forms.body("file"))
async def read_scan(request: Request, name: str, idempotency_key: _Once = None) -> JSONResponse:
    """Read a scan with a stored form: each field's picture becomes an image with its reading."""
    state = state_of(request)
    owner = principal_of(request).account
    async with forms.multipart(request) as fields:
        data, file_name = await forms.scan_of(fields)

    def read() -> list[dict[str, Any]]:
        stored = StoredForms(state.store).get(name)

        def document(values: list[reading.Value], source: str) -> dict[str, Any]:
            scan = scans.store(
                state.service, stored, source, values, owner=owner, request=idempotency_key
            )
            state.hub.notify(list(scan.fields.values()))
            return scans.document(scan)

        return forms.read_pages(request, stored.form, data, file_name, document)

    return JSONResponse({"pages": await to_thread.run_sync(read)})


@router.get("/{name}/values", response_model=documents.FormPages)
def get_values(
    request: Request,
    name: str,
    limit: Annotated[int, Query(ge=1, le=_MAX_IMAGES, description="newest images")] = 10_000,
) -> JSONResponse:
    """The values of the scans that the caller may see, newest scan first."""
    stored = StoredForms(state_of(request).store).get(name)
    criteria = Filter(batch=stored.batch, **principal_of(request).visibility)
    images = itertools.islice(exports.matching(state_of(request).index, criteria), limit)
    return JSONResponse({"pages": [scans.document(scan) for scan in scans.scans(images)]})


def _document(stored: StoredForm, status: int = 200) -> JSONResponse:
    return JSONResponse(stored.to_json(), status, headers={"ETag": f'"{stored.version}"'})
