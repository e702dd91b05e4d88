"""The JSON API of models: lists them with their cards, promotes and tries them."""

import functools
import hashlib
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from legibly import errors, records
from legibly.evaluation import comparison, datasets, promotion_history, promotion_rule, trials
from legibly.evaluation.live_model import LiveReader
from legibly.evaluation.trial_timer import labels_of
from legibly.ingest import stored_packs
from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.packs import registry, schema
from legibly.vision.reading import Reader
from legibly.web.security.principal import principal_of
from legibly.web.services import State, state_of

router = APIRouter(prefix="/api", tags=["models"])
_READING_SECONDS = 20.0
"""How long a promotion compares the models on labelled pictures before it answers."""


class Promotion(BaseModel, extra="forbid"):
    """With a reason the model is promoted without evidence; the reason is recorded."""

    reason: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    margin: Annotated[float, Field(gt=0, lt=1)] = comparison.MARGIN


class Rollback(BaseModel, extra="forbid"):
    """The reason, which is recorded."""

    reason: Annotated[str | None, Field(max_length=500)] = None


class ShadowShare(BaseModel, extra="forbid"):
    """The share of images that the model also reads, without answering; 0 ends it."""

    share: Annotated[float, Field(ge=0, le=1)]


class CanaryShare(BaseModel, extra="forbid"):
    """The share of images that the model answers, 0 ends it; it also ends if more than a share
    `risk` of its sure answers are wrong.
    """

    share: Annotated[float, Field(ge=0, le=0.5)]
    risk: Annotated[float, Field(gt=0, lt=1)] = trials.RISK


class ModelHeader:
    """ASGI middleware: adds the present model to every response, as `X-Legibly-Model`."""

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                state = scope.get("legibly.state") or self._state
                header = (b"x-legibly-model", _header_value(state.views.model))
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, send_with_header if scope["type"] == "http" else send)


@functools.lru_cache(maxsize=16)
def _header_value(model: records.Model) -> bytes:
    return f"{quote(model.name)}@{quote(model.version)}".encode()


class _SchemaResponse(JSONResponse):
    media_type = "application/schema+json"


@router.get("/schema/card.json", response_class=_SchemaResponse)
def get_card_schema() -> JSONResponse:
    """The JSON Schema of a model pack's card, format 2."""
    return _SchemaResponse(schema.document())


@router.get("/models")
def get_models(request: Request) -> JSONResponse:
    """The packs of this server, the present one, the trials, and all changes."""
    state = state_of(request)
    live = _live(state)
    live.try_refresh()  # another process may have changed it a moment ago
    added = stored_packs.synchronized_folder(state.settings)
    rows = [_row(entry, live) for entry in registry.entries(added=added)]
    history = promotion_history.changes(state.store)
    return JSONResponse(
        {
            "models": rows,
            "serving": {"setting": live.setting, **live.model.to_json()},
            "shadow": live.shadow.total(state.store) if live.shadow else None,
            "canary": live.canary.to_json() | labels_of(live.canary, state.index)
            if live.canary
            else None,
            "changes": [change.to_json() for change in history],
        }
    )


@router.post("/models/{name}/promote")
def post_promote(request: Request, name: str, body: Promotion) -> JSONResponse:
    """Use this model from now on, if the store's labels show that it is no worse; admins only.

    Raises Conflict if they do not show it and no reason is given.
    """
    principal_of(request).require_role("admin")
    state = state_of(request)
    live = _live(state)
    candidate = live.open(registry.check_name(name))
    evidence = _evidence(state, live, candidate, body)
    decision = promotion_rule.decide(evidence) if evidence else None
    if evidence and decision and not decision.passed and body.reason is None:
        raise promotion_rule.refusal(evidence, decision)
    figures = {**evidence, "decision": decision.to_json()} if evidence and decision else None
    return _changed(request, "promote", name, candidate, reason=body.reason, evidence=figures)


@router.post("/models/{name}/rollback")
def post_rollback(request: Request, name: str, body: Rollback) -> JSONResponse:
    """Undo the promotion of this model; admins only. Raises NotFound and Conflict."""
    principal_of(request).require_role("admin")
    live = _live(state_of(request))
    history = promotion_history.changes(state_of(request).store)
    last = promotion_history.last_promotion(history, setting=live.setting)
    if last.after.setting != name:
        raise errors.Conflict("a different model was promoted last.", where=last.after.setting)
    goal = live.open(last.before.setting, version=last.before.model.version)
    if goal.model.version != last.before.model.version:
        raise errors.Conflict(
            "this pack is version {now} now; it was {earlier}.",
            where=last.before.setting,
            now=goal.model.version,
            earlier=last.before.model.version,
        )
    return _changed(request, "rollback", last.before.setting, goal, reason=body.reason)


@router.post("/models/{name}/shadow")
def post_shadow(request: Request, name: str, body: ShadowShare) -> JSONResponse:
    """Let this model read a share of the images beside the present one; admins only."""
    principal_of(request).require_role("admin")
    challenger = _challenger(_live(state_of(request)), name)
    return _changed(request, "shadow", name, challenger, share=body.share)


@router.post("/models/{name}/canary")
def post_canary(request: Request, name: str, body: CanaryShare) -> JSONResponse:
    """Let this model answer a share of the images; admins only.

    It ends automatically if it fails, or if labels show that more of its sure answers are wrong
    than `risk` allows. Raises Conflict for the present model.
    """
    principal_of(request).require_role("admin")
    challenger = _challenger(_live(state_of(request)), name)
    return _changed(request, "canary", name, challenger, share=body.share, risk=body.risk)


def _challenger(live: LiveReader, name: str) -> Reader:
    """Open another model for a trial. Raises Conflict for the present one."""
    challenger = live.open(registry.check_name(name))
    if challenger.model == live.model:
        raise errors.Conflict("this model is already in use.", where=name)
    return challenger


def _changed(
    request: Request, kind: promotion_history.Kind, setting: str, reader: Reader, **facts: Any
) -> JSONResponse:
    """Record a change and apply it here at once; other processes follow within seconds."""
    state = state_of(request)
    live = _live(state)
    stored_packs.publish(setting, state.settings)
    history = promotion_history.changes(state.store)
    change = promotion_history.following(
        history,
        kind,
        by=principal_of(request).account or "operator",
        before=promotion_history.Choice(live.setting, live.model),
        after=promotion_history.Choice(setting, reader.model),
        **facts,
    )
    promotion_history.write(state.store, change)
    live.refresh()
    return JSONResponse(change.to_json())


def _evidence(
    state: State, live: LiveReader, candidate: Reader, body: Promotion
) -> records.Json | None:
    """The comparison on the store's labels; None if it is impossible and a reason is given.

    Reads labelled pictures in random order as long as a request may take; the command reads all.
    """
    present = live.open(live.setting)
    samples = sorted(comparison.labelled(state.index, state.store), key=_shuffled)
    try:
        comparison.require_comparable(present, candidate, samples, where=state.settings.project)
    except errors.Invalid:
        if body.reason is None or present.model.version == candidate.model.version:
            raise
        return None
    report = comparison.build(
        comparison.read(present, candidate, samples, seconds=_READING_SECONDS),
        present=present.model,
        candidate=candidate.model,
        data=state.settings.project,
        live=True,
        margins=comparison.Margins(body.margin),
    )
    return {name: value for name, value in report.items() if name not in ("lost", "won")}


def _shuffled(sample: datasets.Sample) -> bytes:
    """A key of the picture's name alone, so that a part of the pictures favours no model."""
    return hashlib.blake2b(sample.name.encode(), digest_size=8).digest()


def _live(state: State) -> LiveReader:
    if not isinstance(state.views, LiveReader):
        raise errors.Unavailable("this server cannot change its model while it runs.")
    return state.views


def _row(entry: registry.Entry, live: LiveReader) -> dict[str, Any]:
    row: dict[str, Any] = {"name": entry.name, "place": entry.place, "used": False}
    try:
        card = cards.read_card(entry.folder)
        version = packs.folder_version(entry.folder)
    except errors.LegiblyError as error:
        return {**row, "error": error.message}
    is_used = (card.name, version) == (live.model.name, live.model.version)
    return {
        **row,
        "used": is_used,
        "model": card.name,
        "version": version,
        "layout": card.layout,
        "words": dict(card.words),
        "calibrated": card.is_calibrated,
        "calibration": dict(card.calibration) if card.calibration else None,
        "classes": [card.class_entry(label) for label in card.classes],
    }
