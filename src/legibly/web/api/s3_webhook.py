"""Uploads directly into the store, and events of S3 servers that call a webhook."""

import hmac
import json
from base64 import b64decode
from datetime import timedelta
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from legibly import errors, object_keys, records, text_rules
from legibly.ingest import s3_documents
from legibly.pipeline import UploadDetails
from legibly.store import Stat
from legibly.web.api import documents
from legibly.web.api.documents import Text
from legibly.web.security.principal import Principal, principal_of
from legibly.web.services import State, state_of

router = APIRouter(prefix="/api", tags=["images"])
UPLOAD_SECONDS = 900
_MAX_EVENTS = 1000


class UploadBody(BaseModel):
    """A picture that will be put directly into the object store."""

    media_type: Text = Field(examples=["image/png"])
    bytes: int = Field(ge=1)
    label: Text | None = None
    writer: Text | None = None
    name: Text | None = None
    batch: Text | None = None


@router.post("/uploads", status_code=201, response_model=documents.Upload)
async def post_upload(request: Request, body: UploadBody) -> JSONResponse:
    """Announce a picture; the response says how to put it into the `s3://` store."""
    state = state_of(request)
    return JSONResponse(
        await to_thread.run_sync(lambda: _announce(state, body, principal_of(request).account)), 201
    )


@router.post("/uploads/{image_id}", status_code=202, response_model=documents.Image)
def post_arrived(request: Request, image_id: str) -> JSONResponse:
    """Report that an announced picture is in the store, before an event or a sweep finds it."""
    state = state_of(request)
    image = _arrived(state, image_id, principal_of(request))
    return JSONResponse(state.service.document(image), 202)


@router.post("/events/s3", status_code=202, response_model=documents.Adopted)
async def post_events(
    request: Request, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Process S3 event documents (AWS by SNS, MinIO, Ceph, SeaweedFS); return the number of new
    pictures.
    """
    state = state_of(request)
    _admit(state.settings.hook_secret, authorization, request.query_params.get("token"))
    messages = s3_documents.parse(await request.body())
    events = [event for message in messages for event in message.events if event.kind == "created"]
    if len(events) > _MAX_EVENTS:
        raise errors.Invalid(
            "{n} events at once; {limit} are allowed.", n=len(events), limit=_MAX_EVENTS
        )
    new = await to_thread.run_sync(lambda: _adopt(state, events))
    return JSONResponse({"new": new}, 202)


def _announce(state: State, body: UploadBody, owner: str | None) -> records.Json:
    settings = state.settings
    if body.media_type not in object_keys.EXTENSIONS:
        raise errors.NotAnImage(
            "{type} is no type of picture that is read.",
            remedy="Known types: {types}.",
            type=body.media_type,
            types=sorted(object_keys.EXTENSIONS),
        )
    if body.bytes > settings.max_bytes:
        message = "the picture has {bytes} bytes; {limit} are allowed."
        raise errors.TooLarge(message, bytes=body.bytes, limit=settings.max_bytes)
    if state.presigner is None:
        message = "only an s3:// store can be uploaded to directly."
        raise errors.Invalid(message, where=state.store.url)
    facts = body.model_dump(include={"writer", "label", "batch"})
    details = UploadDetails(name=text_rules.file_name(body.name), owner=owner, **facts)
    kind: dict[str, Any] = {"media_type": body.media_type, "size": body.bytes}
    record = state.service.announce(details, **kind)
    signed = state.presigner.put(record.key, **kind, seconds=UPLOAD_SECONDS)
    return {
        "id": record.image,
        "method": "PUT",
        "url": signed.url,
        "headers": dict(signed.headers),
        "expires_at": records.stamp(records.now() + timedelta(seconds=UPLOAD_SECONDS)),
    }


def _arrived(state: State, image_id: str, principal: Principal) -> records.Image:
    absent = errors.NotFound("no such picture has arrived.", where=image_id[:80])
    if not object_keys.is_id(image_id):
        raise absent
    try:
        record = records.UploadRecord.from_json(
            json.loads(state.store.read(object_keys.upload(image_id)))
        )
        stat = state.store.head(record.key)
    except errors.NotFound:
        raise absent from None
    if not principal.sees_owner(record.owner):
        raise absent
    state.service.adopt([stat])
    return state.index.get(image_id)


def _admit(secret: str, authorization: str | None, token: str | None) -> None:
    """Check the secret: a bearer token (MinIO), a basic password (Ceph), or `?token=` (others)."""
    if not secret:
        remedy = "Set LEGIBLY_HOOK_SECRET here and at the S3 server."
        raise errors.Forbidden("no events are taken over HTTP.", remedy=remedy)
    secret_sent = token or ""
    kind, _, value = (authorization or "").partition(" ")
    if kind.lower() == "bearer":
        secret_sent = value.strip()
    elif kind.lower() == "basic":
        secret_sent = _password(value)
    if not hmac.compare_digest(secret_sent.encode(), secret.encode()):
        raise errors.Forbidden(
            "the secret of this webhook is missing or wrong.", authenticated=False
        )


def _password(value: str) -> str:
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _adopt(state: State, events: list[s3_documents.Event]) -> int:
    """Adopt the pictures that are in the store, regardless of the documents."""
    bucket, prefix = s3_documents.place(state.settings.store)
    stats: list[Stat] = []
    for event in events:
        key = s3_documents.picture(event.key, prefix=prefix)
        if key and event.bucket == bucket:
            try:
                stats.append(state.store.head(key))
            except errors.NotFound:
                continue
    return state.service.adopt(stats)
