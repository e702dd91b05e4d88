"""Review: the pictures that most need a person, first; and Label Studio's JSON in and out."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from legibly.accuracy import sampling
from legibly.errors import Invalid, NotFound
from legibly.index.port import Filter, Index
from legibly.records import Image
from legibly.web import downloads, gallery, label_studio
from legibly.web.caller import Caller, caller_of, seen
from legibly.web.state import State, state_of

if TYPE_CHECKING:
    from legibly.web.pages import Pages

Reason = Literal["disagreement", "unsure", "asked"]
REVIEWED = "review:"
"""Labels given in review carry this before the name of who gave them."""
_QUEUE = 50
_LOOKED_AT = 300
_SURE = 0.9


class Judgement(BaseModel):
    """What a reviewer says that a picture shows."""

    text: str


def queue(index: Index, caller: Caller, *, ask_rate: float, limit: int) -> list[tuple[Reason, Image]]:
    """What to look at: labels that a sure answer contradicts, then unsure answers, then a random sample."""
    owner = caller.owner
    wrong = index.page(Filter(wrong=True, owner=owner), limit=_LOOKED_AT)
    found: list[tuple[Reason, Image]] = [("disagreement", image) for image in wrong if _contradicted(image)]
    found.sort(key=lambda entry: -_confidence(entry[1]))
    unsure = index.page(Filter(verdict="unsure", labelled=False, owner=owner), limit=_LOOKED_AT)
    found += [("unsure", image) for image in sorted(unsure, key=_confidence)]
    if len(found) < limit:
        recent = index.page(Filter(state="read", labelled=False, owner=owner), limit=_LOOKED_AT)
        known = {image.id for _, image in found}
        sample = [image for image in recent if sampling.asks(image.id, ask_rate) and image.id not in known]
        found += [("asked", image) for image in sample]
    return found[:limit]


def _confidence(image: Image) -> float:
    return image.reading.confidence if image.reading else 0.0


def _contradicted(image: Image) -> bool:
    sure = image.reading is not None and image.reading.verdict == "read" and image.reading.confidence >= _SURE
    return sure and image.label is not None and not (image.label.by or "").startswith(REVIEWED)


def add(routes: APIRouter, pages: "Pages") -> None:
    """Add the routes."""

    @routes.get("/review")
    def review(request: Request) -> Response:
        """One picture after the other, by keyboard only if wished."""
        caller_of(request).require_role("reviewer")
        return pages.render(request, "review.html", classes=[str(digit) for digit in range(10)])

    @routes.get("/api/review", tags=["review"])
    def get_queue(request: Request, limit: int = _QUEUE) -> JSONResponse:
        """The pictures that most need a person, first, each with the reason."""
        caller, state = caller_of(request), state_of(request)
        caller.require_role("reviewer")
        found = queue(state.index, caller, ask_rate=state.settings.ask_rate, limit=max(1, min(limit, 500)))
        return JSONResponse({"queue": [{"reason": reason, "image": image.to_json()} for reason, image in found]})

    @routes.put("/api/review/{image_id}", tags=["review"])
    def judge(request: Request, image_id: str, body: Judgement) -> JSONResponse:
        """A reviewer's label: it ends the review of the picture."""
        caller, state = caller_of(request), state_of(request)
        caller.require_role("reviewer")
        image = seen(state.index.get(image_id), caller)
        return JSONResponse(_judge(state, image, body.text, caller).to_json())

    _add_label_studio(routes)


def _add_label_studio(routes: APIRouter) -> None:
    @routes.get("/review/label-studio.json")
    def export(request: Request) -> Response:
        """Everything that the filter in the address wants, as Label Studio's tasks."""
        caller, state = caller_of(request), state_of(request)
        caller.require_role("reviewer")
        images = downloads.matching(state.index, gallery.filter_of(request.query_params, caller))
        headers = {"Content-Disposition": 'attachment; filename="legibly-label-studio.json"'}
        base = str(request.base_url).rstrip("/")
        return StreamingResponse(_tasks(images, base), media_type="application/json", headers=headers)

    @routes.post("/review/label-studio")
    def take(request: Request, file: UploadFile) -> JSONResponse:
        """Take the labels of an export; says how many were new, the same, or of unknown pictures."""
        caller, state = caller_of(request), state_of(request)
        caller.require_role("reviewer")
        try:
            document = json.loads(file.file.read())
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise Invalid("this is no JSON.", remedy="Export from Label Studio as JSON.") from error
        counts = {"labelled": 0, "same": 0, "unknown": 0, "refused": 0}
        for found in label_studio.labels(document):
            counts[_take(state, caller, found)] += 1
        return JSONResponse(counts)


def _take(state: State, caller: Caller, found: label_studio.Labelled) -> str:
    try:
        image = seen(state.index.get(found.image), caller)
    except NotFound:
        return "unknown"
    if image.label is not None and image.label.text == found.text:
        return "same"
    try:
        _judge(state, image, found.text, caller)
    except Invalid:
        return "refused"
    return "labelled"


def _judge(state: State, image: Image, text: str, caller: Caller) -> Image:
    asked = image.label is None and sampling.asks(image.id, state.settings.ask_rate)
    source: Literal["asked", "volunteered"] = "asked" if asked else "volunteered"
    labelled = state.service.label(image.id, text, source=source, by=f"{REVIEWED}{caller.name}")
    state.hub.tell([labelled])
    return labelled


def _tasks(images: Iterator[Image], base_url: str) -> Iterator[bytes]:
    yield b"["
    for at, image in enumerate(images):
        task = label_studio.task(image, base_url=base_url)
        yield (b",\n" if at else b"\n") + json.dumps(task, ensure_ascii=False).encode()
    yield b"\n]\n"
