"""Review: the pictures that need a person most, first; Label Studio's JSON in and out."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from legibly import object_keys
from legibly.errors import Invalid, NotFound, Unusable
from legibly.exchange import exports, label_csv, label_studio
from legibly.index.port import Filter, Index, Outline
from legibly.labels.agreement import REVIEW, judgements, standing
from legibly.records import Image, LabelBox, stamp
from legibly.statistics import sampling
from legibly.web.pages import history
from legibly.web.pages.rendering import Pages, classes_of, sure_from
from legibly.web.security import audit
from legibly.web.security.principal import Principal, principal_of, require_visible
from legibly.web.services import State, state_of

Reason = Literal["disputed", "disagreement", "second", "unsure", "asked", "chosen"]
Entry = tuple[Reason, str]
"""The reason why a person should look at an image, and its id."""
_QUEUE = 50
_BATCH = 300
_MAX_COUNTED = 5000
"""The most images counted per reason: beyond it the page says "at least"."""
_MAX_SKIPPED = 20_000
_ELSEWHERE = "Label Studio"


class Judgement(BaseModel):
    """A reviewer's label of a picture; null retracts it, `nothing` means no digit."""

    text: str | None
    nothing: bool = False


class QueueRequest(BaseModel):
    """The pictures that a reviewer wants to see.

    `skipped` ids come last, the oldest skip first. With `ids`, or with the `query` of an address of
    History, the queue has only these images, without those labelled since `begun`.
    """

    skipped: list[str] = Field(default=[], max_length=_MAX_SKIPPED)
    limit: int = Field(default=_QUEUE, ge=1, le=500)
    ids: list[str] = Field(default=[], max_length=_MAX_SKIPPED)
    query: str = Field(default="", max_length=2000)
    begun: str = Field(default="", max_length=40)


@dataclass(frozen=True)
class Queue:
    """The pictures to review, those that most need a person first.

    Texts of two people that differ, labels that a sure answer contradicts, texts that a second
    person has to confirm, unsure answers, a random sample; the first and third only where two
    `people` have to agree. Nobody confirms their own text; where people differ, administrators may
    look again.
    """

    index: Index
    principal: Principal
    ask_rate: float
    people: int
    sure: float

    def entries(self) -> list[Entry]:
        """The reason and the id of each image, with its first reason."""
        reasons: dict[str, Reason] = {}
        for reason, outlines in self._outlines():
            for outline in outlines:
                reasons.setdefault(outline.id, reason)
        return [(reason, image_id) for image_id, reason in reasons.items()]

    def _outlines(self) -> Iterator[tuple[Reason, Iterable[Outline]]]:
        if self.people > 1:
            yield "disputed", self._page(review="disputed", unsaid_by=self._outsider())
        contradicted = filter(self._is_contradicted, self._page(wrong=True))
        yield "disagreement", sorted(contradicted, key=_confidence, reverse=True)
        if self.people > 1:
            yield "second", self._page(review="second", unsaid_by=by(self.principal))
        yield "unsure", sorted(self._page(verdict="unsure", labelled=False), key=_confidence)
        yield "asked", filter(self._is_sampled, self._page(state="read", labelled=False))

    def _page(self, **criteria: Any) -> list[Outline]:
        return self.index.outlines(
            Filter(**self.principal.visibility, **criteria), limit=_MAX_COUNTED
        )

    def _outsider(self) -> str | None:
        return None if self.principal.role == "admin" else by(self.principal)

    def _is_contradicted(self, outline: Outline) -> bool:
        is_sure = outline.verdict == "read" and _confidence(outline) >= self.sure
        is_labelled = outline.label_at is not None
        return is_sure and is_labelled and not (outline.label_by or "").startswith(REVIEW)

    def _is_sampled(self, outline: Outline) -> bool:
        return sampling.asks(outline.id, self.ask_rate)


def _confidence(outline: Outline) -> float:
    return outline.confidence or 0.0


def chosen(request: Request, body: QueueRequest) -> list[Entry]:
    """The images that a reviewer has selected or filtered, and has not labelled since `begun`."""
    index = state_of(request).index
    principal = principal_of(request)
    if body.ids:
        ids = filter(object_keys.is_id, body.ids)
        images = exports.by_ids(index, ids, may_see=principal.may_see)
    else:
        images = history.filtered(request, dict(parse_qsl(body.query)))
    begun = body.begun or "9"
    return [
        ("chosen", image.id)
        for image in itertools.islice(images, _MAX_COUNTED)
        if image.label is None or stamp(image.label.at) < begun
    ]


def skipped_last(entries: list[Entry], skipped: list[str]) -> list[Entry]:
    """The same entries, with skipped ones at the end, in the order of `skipped`."""
    rank = {image_id: at for at, image_id in enumerate(skipped)}
    return sorted(entries, key=lambda entry: rank.get(entry[1], -1))


def by(principal: Principal) -> str:
    """The `Label.by` of a review, with the id of the account: a name would outlive it."""
    return f"{REVIEW}{principal.account or ''}"


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @routes.get("/review")
    def review(request: Request) -> Response:
        """One picture after the other, usable by keyboard alone."""
        principal_of(request).require_role("reviewer")
        return pages.render(
            request, "review.html", classes=classes_of(request), query=request.url.query
        )

    @routes.get("/api/review", tags=["review"])
    def get_review_queue(request: Request, limit: int = _QUEUE) -> JSONResponse:
        """The pictures to review with their reasons, those that most need a person first.

        `said` are the labels on which people disagree, `total` is the number of pictures to review.
        """
        return _page(request, QueueRequest(limit=max(1, min(limit, 500))))

    @routes.post("/api/review/queue", tags=["review"])
    def post_review_queue(request: Request, body: QueueRequest) -> JSONResponse:
        """The same, with the pictures skipped by the caller at the end."""
        return _page(request, body)

    @routes.put("/api/review/{image_id}", tags=["review"])
    def put_judgement(request: Request, image_id: str, body: Judgement) -> JSONResponse:
        """A reviewer's label. It ends the review; if two people must agree, as soon as they do."""
        principal = principal_of(request)
        state = state_of(request)
        principal.require_role("reviewer")
        image = require_visible(state.index.get(image_id), principal)
        if body.text is None and not body.nothing:
            image = state.service.take_back(image.id, by=by(principal))
            state.hub.notify([image])
        else:
            image = _judge(state, image, body.text or "", by(principal), nothing=body.nothing)
        return JSONResponse(state.service.document(image))

    _add_label_studio(routes)
    _add_labels(routes)


def _add_labels(routes: APIRouter) -> None:
    @routes.post("/review/labels")
    def take_labels(request: Request, file: UploadFile) -> JSONResponse:
        """Import the labels of a CSV file with the columns file (or id) and label.

        Returns how many were new, unchanged, for unknown pictures, or refused.
        """
        principal = principal_of(request)
        principal.require_role("reviewer")
        rows = label_csv.rows(file.file.read())
        return _counts(_take_row(state_of(request), principal, row) for row in rows)


def _page(request: Request, body: QueueRequest) -> JSONResponse:
    principal = principal_of(request)
    principal.require_role("reviewer")
    state = state_of(request)
    settings = state.settings
    if body.ids or body.query:
        entries = chosen(request, body)
    else:
        people = settings.review_people
        rules = Queue(state.index, principal, settings.ask_rate, people, sure_from(request))
        entries = rules.entries()
    first = skipped_last(entries, body.skipped)[: body.limit]
    return JSONResponse({"queue": _entries(state, first), "total": len(entries)})


def _entries(state: State, entries: list[Entry]) -> list[dict[str, Any]]:
    """The queue as JSON; a second person does not see the label of the first one."""
    images = state.index.several([image_id for _, image_id in entries])
    labels = state.index.labels([image_id for reason, image_id in entries if reason == "disputed"])
    names = (
        {account.id: account.name for account in state.accounts.people()} if state.accounts else {}
    )

    def entry(reason: Reason, image: Image) -> dict[str, Any]:
        judged = [
            {"text": label.text, "name": names.get(person.removeprefix(REVIEW), _ELSEWHERE)}
            for person, label in judgements(labels.get(image.id, ())).items()
        ]
        shown = replace(image, label=None) if reason == "second" else image
        return {"reason": reason, "image": state.service.document(shown), "said": judged}

    # An image that has been deleted is not among the images.
    return [entry(reason, images[image_id]) for reason, image_id in entries if image_id in images]


def _add_label_studio(routes: APIRouter) -> None:
    @routes.get("/review/label-studio.json")
    def export(request: Request) -> Response:
        """All images of the filter in the address, as Label Studio's tasks."""
        principal = principal_of(request)
        state = state_of(request)
        principal.require_role("reviewer")
        images = exports.matching(state.index, history.filter_of(request.query_params, principal))
        headers = {"Content-Disposition": 'attachment; filename="legibly-label-studio.json"'}
        tasks = _tasks(state.index, images, str(request.base_url).rstrip("/"))
        return StreamingResponse(tasks, media_type="application/json", headers=headers)

    @routes.post("/review/label-studio")
    def take(request: Request, file: UploadFile) -> JSONResponse:
        """Import an export's labels; return how many were new, unchanged or unknown."""
        principal = principal_of(request)
        state = state_of(request)
        principal.require_role("reviewer")
        try:
            document = json.loads(file.file.read())
        except (ValueError, RecursionError) as error:
            remedy = "Export from Label Studio as JSON."
            raise Invalid("this is not valid JSON.", remedy=remedy) from error
        labels = label_studio.labels(document)
        response = _counts(_take(state, principal, imported) for imported in labels)
        audit.record(request, "labels imported")
        return response


def _counts(outcomes: Iterable[str]) -> JSONResponse:
    """How often an import had each outcome."""
    counts = {"labelled": 0, "same": 0, "unknown": 0, "refused": 0}
    for outcome in outcomes:
        counts[outcome] += 1
    return JSONResponse(counts)


def _take_row(state: State, principal: Principal, row: label_csv.Row) -> str:
    """Label the image of a line; it counts as unknown if several images have its name."""
    images = label_csv.images_of(row, state.index, may_see=principal.may_see)
    if not images:
        return "unknown"
    if len(images) > 1:
        return "refused"
    image = images[0]
    try:
        text = state.service.label_rules.normalize(row.label)
        if image.label is not None and image.label.text == text:
            return "same"
        _judge(state, image, text, by(principal), nothing=text == "")
    except (Invalid, Unusable, NotFound):
        return "refused"
    return "labelled"


def _take(state: State, principal: Principal, imported: label_studio.Labelled) -> str:
    try:
        image = require_visible(state.index.get(imported.image), principal)
    except NotFound:
        return "unknown"
    # A file can name anybody as author: only files of administrators count as second people.
    is_trusted = principal.role == "admin" and imported.annotator
    person = f"{REVIEW}{imported.annotator}" if is_trusted else by(principal)
    boxes = imported.boxes_on(image)
    standing_labels = [
        label
        for person_id, label in standing(state.index.labels([image.id]).get(image.id, ())).items()
        if (person_id or "") in (person, imported.author)
    ]
    if not imported.annotator and image.label:  # a label without a name cannot be confirmed
        standing_labels.append(image.label)
    texts = {label.text for label in standing_labels if not boxes or list(label.boxes) == boxes}
    if imported.text in texts:
        return "same"
    try:
        _judge(state, image, imported.text, person, boxes=boxes)
    except (Invalid, Unusable):
        return "refused"
    return "labelled"


def _judge(
    state: State,
    image: Image,
    text: str,
    person: str,
    *,
    nothing: bool = False,
    boxes: Sequence[LabelBox] = (),
) -> Image:
    labelled = state.service.label(image.id, text, nothing=nothing, by=person, boxes=boxes)
    state.hub.notify([labelled])
    return labelled


def _tasks(index: Index, images: Iterator[Image], base_url: str) -> Iterator[bytes]:
    begin = b"[\n"
    while batch := list(itertools.islice(images, _BATCH)):
        labels = index.labels([image.id for image in batch])
        for image in batch:
            task = label_studio.task(image, labels.get(image.id, ()), base_url=base_url)
            yield begin + json.dumps(task, ensure_ascii=False).encode()
            begin = b",\n"
    yield b"\n]\n" if begin != b"[\n" else b"[]\n"
