"""Reads a picture without storing it, for the live answer while somebody writes."""

import base64
from collections.abc import Callable
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from legibly.vision.reading import Result
from legibly.web.api import documents
from legibly.web.api.images import input_png
from legibly.web.api.uploads import uploaded
from legibly.web.security.principal import principal_of
from legibly.web.services import State, state_of
from legibly.web.text import i18n

MAX_INPUTS = 12
"""Further items are returned without their input."""
_EXPLAIN = Annotated[int | None, Query(ge=0, description="explain this item, counted from 0")]


router = APIRouter(prefix="/api", tags=["images"])


@router.post("/preview", response_model=documents.Preview)
async def post_preview(request: Request, explain: _EXPLAIN = None) -> JSONResponse:
    """Read a picture and store nothing: no image, no reading, no label.

    `inputs` are the model's inputs for each item, as data URIs; with `explain`, `explanation` is a
    picture of the parts for and against that item's answer, and `sentence` describes it.
    """
    state = state_of(request)
    upload = await uploaded(request, owner=principal_of(request).account)
    gettext = i18n.catalogue_for(request).gettext

    def read() -> dict[str, Any]:
        result = state.service.reader.read(upload.data)
        document = _document(state, result, upload.data)
        if explain is not None and explain < len(result.reading.digits):
            document |= _explanation(state, upload.data, explain, gettext)
        return document

    return JSONResponse(await to_thread.run_sync(read), headers={"Cache-Control": "no-store"})


def _document(state: State, result: Result, data: bytes) -> dict[str, Any]:
    inputs: list[str] = []
    if result.reading.digits and result.reading.model == state.views.model:
        inputs = [_uri(input_png(crop)) for crop in state.views.inputs(data)[:MAX_INPUTS]]
    return {
        "reading": result.reading.to_json(),
        "width": result.facts.width,
        "height": result.facts.height,
        "inputs": inputs,
    }


def _explanation(
    state: State, data: bytes, number: int, gettext: Callable[[str], str]
) -> dict[str, str]:
    explain = getattr(state.views, "explanation", None)
    if explain is None:
        return {}
    explanation = explain(data, number)
    return {"explanation": _uri(explanation.picture), "sentence": explanation.sentence(gettext)}


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
