"""The JSON API of images, labels and accuracy."""

import io
import itertools
import time
from typing import Annotated, Any, Literal

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from legibly import object_keys, records
from legibly.accuracy import label_mode
from legibly.accuracy import report as reports
from legibly.errors import Invalid, NotFound
from legibly.exchange import exports
from legibly.images import pages
from legibly.index.port import Filter, Selection, cursor_of
from legibly.labels.rules import MAX_TEXT
from legibly.web.api import documents, filters, paged_files
from legibly.web.api.uploads import Upload, uploaded
from legibly.web.security import audit
from legibly.web.security.principal import is_still_valid, principal_of, require_visible
from legibly.web.services import State, current_report, state_of

router = APIRouter(prefix="/api", tags=["images"])
MAX_WAIT_SECONDS = 30.0
_MAX_SEQUENCE_DIGITS = 18  # below 2 ** 63
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
# Browsers must not interpret the bytes as anything but a picture.
_PICTURE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}

_BYTES = {"type": "string", "format": "binary"}
_FIELDS = {"file": _BYTES} | {name: {"type": "string"} for name in ("label", "writer", "batch")}
_FORM = {"type": "object", "required": ["file"], "properties": _FIELDS}
_BODIES = {"multipart/form-data": _FORM, "image/*": _BYTES, "application/pdf": _BYTES}
_PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": schema} for media_type, schema in _BODIES.items()},
    }
}


def _binary(media_type: str) -> dict[str, Any]:
    """The arguments of a route that answers with bytes of this type."""
    return {"response_class": Response, "responses": {200: {"content": {media_type: {}}}}}


_PNG = _binary("image/png")
_ONCE = (
    "a name for this one upload, as random as a UUID: sent again under it, the picture is the same"
    " image"
)


class LabelBody(BaseModel):
    """The true text of an image; null retracts an earlier label.

    With `nothing` the image shows no digit, and the text is empty. `boxes` are the optional places
    of the text's digits, in reading order. The server decides whether a label counts as asked for,
    and ignores a `source`.
    """

    text: str | None = Field(examples=["7"])
    nothing: bool = False
    boxes: list[documents.LabelBox] = Field(default=[], max_length=MAX_TEXT)


@router.post(
    "/images",
    status_code=202,
    response_model=documents.Image | documents.Pages,
    responses={200: {"model": documents.Image | documents.Pages}},
    openapi_extra=_PICTURE_BODY,
)
async def post_image(
    request: Request,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="seconds")] = 0,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description=_ONCE)
    ] = None,
) -> Response:
    """Upload a picture; 202 at once, or with `wait` 200 as soon as it is read.

    Each page of a PDF or a TIFF with several pages becomes an image: the response has `images`,
    and `batch` if there are several.
    """
    return await answer_upload(request, seconds=wait, idempotency_key=idempotency_key)


async def answer_upload(
    request: Request, *, seconds: float, idempotency_key: str | None
) -> Response:
    """Receive the picture of a request; the response waits for its reading up to `seconds`."""
    state = state_of(request)
    upload = await uploaded(request, owner=principal_of(request).account)
    if pages.has_pages(upload.data):
        return await paged_files.answer(
            state, upload, seconds=seconds, idempotency_key=idempotency_key
        )
    ends = time.monotonic() + seconds
    image = await state.read_now(
        upload.data, upload.details, seconds=seconds, request=idempotency_key
    )
    if image is None:
        left = max(0.0, ends - time.monotonic())
        image = await _receive(state, upload, idempotency_key, seconds=left)
    status = 202 if image.state == "pending" else 200
    headers = {"Location": f"/api/images/{image.id}"}
    text = state.service.document_text(image)
    return Response(text, status, headers=headers, media_type="application/json")


async def _receive(
    state: State, upload: Upload, idempotency_key: str | None, *, seconds: float
) -> records.Image:
    """Store and read a picture; it is still pending if that takes longer than `seconds`."""
    image = await to_thread.run_sync(
        lambda: state.service.receive(upload.data, upload.details, request=idempotency_key)
    )
    if image.state != "pending":
        return image
    return await state.submit(image, upload.data, seconds=seconds) or image


@router.get("/images", response_model=documents.ImagePage)
def get_images(
    request: Request,
    selection: Annotated[Filter, Depends(filters.image_filter)],
    *,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: str | None = None,
    actual: Annotated[str | None, Query(description="one digit of the label, ∅ for none")] = None,
    predicted: Annotated[
        str | None, Query(description="what that digit was read as, ∅ for nothing")
    ] = None,
) -> JSONResponse:
    """A page of images; `next` is the cursor of the next page, null at the end.

    `sort=confidence` returns the least sure first, and only images with a reading.
    """
    app = state_of(request)
    place = exports.Place.of(
        actual, predicted, single_label_models=lambda: label_mode.single_label_models(app.settings)
    )
    if place is None:
        images = app.index.page(selection, limit=limit + 1, after=after)
    else:
        matching = exports.matching(app.index, selection, place=place, after=after)
        images = list(itertools.islice(matching, limit + 1))
    following = cursor_of(images[limit - 1], selection.sort) if len(images) > limit else None
    documents = [app.service.document(image) for image in images[:limit]]
    return JSONResponse({"images": documents, "next": following})


@router.get("/images/{image_id}", response_model=documents.Image)
def get_image(request: Request, image_id: str) -> JSONResponse:
    """One image with its reading and label."""
    return JSONResponse(state_of(request).service.document(_image(request, image_id)))


@router.delete("/images/{image_id}", status_code=204)
def delete_image(request: Request, image_id: str) -> Response:
    """Delete an image and all its records."""
    image = _image(request, image_id)
    audit.record_deletion(request, [image])
    state_of(request).service.remove([image_id])
    state_of(request).hub.wake()
    return Response(status_code=204)


@router.get("/images/{image_id}/original", **_binary("image/*"))
def get_original(request: Request, image_id: str) -> Response:
    """The picture as received, without private metadata."""
    image = _image(request, image_id)
    data = state_of(request).store.read(image.key)
    known = image.media_type in object_keys.EXTENSIONS
    media_type = image.media_type if known else "application/octet-stream"
    return Response(data, media_type=media_type, headers=_FOREVER | _PICTURE)


@router.get("/images/{image_id}/items/{number}/input.png", **_PNG)
def get_input(request: Request, image_id: str, number: int) -> Response:
    """The exact input of the model for one item, as a greyscale PNG; 0 is the first item."""
    return _view(request, image_id, number, view="input")


@router.get("/images/{image_id}/items/{number}/explanation.png", **_PNG)
def get_explanation(request: Request, image_id: str, number: int) -> Response:
    """Which parts of an item support its answer, and which support the runner-up."""
    return _view(request, image_id, number, view="explanation")


@router.put("/images/{image_id}/label", response_model=documents.Image)
async def put_label(request: Request, image_id: str, body: LabelBody) -> JSONResponse:
    """Label an image with its true text, or correct the label; null retracts it."""
    state = state_of(request)
    principal = principal_of(request)

    def label() -> records.Image:
        _image(request, image_id)
        return state.service.label(
            image_id,
            body.text,
            nothing=body.nothing,
            by=principal.account,
            boxes=[records.LabelBox(box.box, box.label) for box in body.boxes],
        )

    image = await to_thread.run_sync(label)
    state.hub.notify([image])
    return JSONResponse(state.service.document(image))


@router.get("/live", **_binary("text/event-stream"))
async def get_live(request: Request, after: str = "") -> StreamingResponse:
    """Server-sent events: `event: image` with the image for each new reading or label, and
    `event: removed` with the id of each deleted one.

    They begin after the number `after`, or the header `Last-Event-ID`; without either, now.
    """
    last = request.headers.get("last-event-id", after)
    is_number = last.isdecimal() and len(last) <= _MAX_SEQUENCE_DIGITS
    # Read before the response begins, so that an open stream misses nothing.
    newest = await to_thread.run_sync(state_of(request).index.sequence)
    stream = state_of(request).hub.stream(
        # A rebuilt index counts from the beginning.
        after=min(int(last), newest) if is_number else newest,
        sees_owner=principal_of(request).sees_owner,
        is_allowed=lambda: is_still_valid(request),
    )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/accuracy", tags=["accuracy"], response_model=documents.Report)
def get_accuracy(
    request: Request, selection: Annotated[Selection, Depends(filters.report_selection)]
) -> Response:
    """How often the answers were right, from all pairs of a reading and a label.

    Days are UTC days of the label, both included; without a filter all pairs count.
    """
    report = current_report(state_of(request), selection)
    return Response(reports.encode(report), media_type="application/json")


def _image(request: Request, image_id: str) -> records.Image:
    if not object_keys.is_id(image_id):
        raise NotFound("there is no such image.", where=image_id[:80])
    return require_visible(state_of(request).index.get(image_id), principal_of(request))


def _view(
    request: Request, image_id: str, number: int, *, view: Literal["input", "explanation"]
) -> Response:
    image = _image(request, image_id)
    if image.reading is None or not 0 <= number < len(image.reading.digits):
        raise NotFound("this image has no such item.", where=f"{image_id}, item {number}")
    state = state_of(request)
    if image.reading.model != state.views.model:
        raise Invalid(
            "this image was read by a different model from the one in use.",
            code="other-model",
            remedy="Read it again.",
        )
    data = state.store.read(image.key)
    png = (
        input_png(state.views.inputs(data)[number])
        if view == "input"
        else state.views.explain(data, number)
    )
    return Response(png, media_type="image/png", headers=_FOREVER)


def input_png(crop: NDArray[np.float32]) -> bytes:
    """A network's input as dark ink on white paper."""
    buffer = io.BytesIO()
    Image.fromarray((255 - 255 * crop.clip(0, 1)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
