"""The JSON API of batches: images uploaded together under a name."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from legibly import object_keys
from legibly.errors import Invalid
from legibly.index.port import BatchCount
from legibly.records import stamp
from legibly.web.security.principal import LOCAL, principal_of, visible_batch
from legibly.web.services import state_of

router = APIRouter(prefix="/api/batches", tags=["images"])


class NewBatch(BaseModel):
    """A batch to open.

    A client that may retry sends its own `id`, a fresh UUIDv7: with it the batch is opened only
    once.
    """

    name: Annotated[str, Field(examples=["Scans of Tuesday"])]
    id: str | None = None


class Batch(BaseModel):
    """A batch with the counts of its images."""

    id: str
    name: str
    created_at: str
    images: int
    read: int
    unsure: int
    labelled: int
    wrong: int


class BatchList(BaseModel):
    """Batches, newest first."""

    batches: list[Batch]


@router.post("", status_code=201, response_model=Batch)
def post_batch(request: Request, body: NewBatch) -> JSONResponse:
    """Open a batch; uploads name it in their field `batch`."""
    state = state_of(request)
    if body.id is not None and not object_keys.is_id(body.id):
        raise Invalid("the id of a batch must be a UUIDv7.", code="id-invalid")
    owner = principal_of(request).account
    batch = state.service.open_batch(body.name, owner=owner, batch_id=body.id)
    return JSONResponse(document(visible_batch(state.index, batch.id, LOCAL)), 201)


@router.get("", response_model=BatchList)
def get_batches(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> JSONResponse:
    """The batches that the caller may see, newest first."""
    counts = state_of(request).index.batches(**principal_of(request).visibility, limit=limit)
    return JSONResponse({"batches": [document(count) for count in counts]})


@router.get("/{batch_id}", response_model=Batch)
def get_batch(request: Request, batch_id: str) -> JSONResponse:
    """One batch."""
    count = visible_batch(state_of(request).index, batch_id, principal_of(request))
    return JSONResponse(document(count))


def document(count: BatchCount) -> dict[str, Any]:
    """A batch as JSON."""
    names = ("images", "read", "unsure", "labelled", "wrong")
    created_at = stamp(object_keys.received_at(count.batch.id))
    facts = {"id": count.batch.id, "name": count.batch.name, "created_at": created_at}
    return facts | {name: getattr(count, name) for name in names}
