"""The Open Inference Protocol V2: the network alone, for whoever brings normalised crops (KServe 2024, REST)."""

import json
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from legibly import __version__, errors
from legibly.packs.calibration import Floats
from legibly.packs.pack import Pack
from legibly.packs.remote import INPUT, OUTPUT
from legibly.web.services import state_of

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
MAX_ITEMS = 1024


class Tensor(BaseModel):
    """An input tensor; `data` may be flat or nested."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]]
    datatype: Literal["FP32", "FP64", "FP16", "UINT8"]
    data: list[Any]


class Infer(BaseModel):
    """A request for inference."""

    id: str | None = None
    inputs: list[Tensor]


@router.get("")
def get_server() -> JSONResponse:
    """Which server this is."""
    return JSONResponse({"name": "legibly", "version": __version__, "extensions": []})


@router.get("/health/live")
def get_live() -> JSONResponse:
    """The server answers."""
    return JSONResponse({"live": True})


@router.get("/health/ready")
def get_ready() -> JSONResponse:
    """The model can be asked: the server opens it, and tries it out, before it listens."""
    return JSONResponse({"ready": True})


@router.get("/models/{name}")
@router.get("/models/{name}/versions/{version}")
def get_model(request: Request, name: str, version: str | None = None) -> JSONResponse:
    """The model's inputs and outputs, and its card as text, with which any Legibly can use it from afar."""
    pack = _pack(request, name, version)
    shape = pack.card.input
    crops = {
        "name": INPUT,
        "datatype": "FP32",
        "shape": [-1, shape.channels, shape.height, shape.width],
    }
    logits = {"name": OUTPUT, "datatype": "FP32", "shape": [-1, pack.card.outputs]}
    return JSONResponse(
        {
            "name": name,
            "versions": [pack.model.version],
            "platform": "onnxruntime_onnx",
            "inputs": [crops],
            "outputs": [logits],
            "parameters": {"card": json.dumps(pack.card.to_json())},
        }
    )


@router.get("/models/{name}/ready")
@router.get("/models/{name}/versions/{version}/ready")
def get_model_ready(request: Request, name: str, version: str | None = None) -> JSONResponse:
    """Whether the model can be asked."""
    _pack(request, name, version)
    return JSONResponse({"name": name, "ready": True})


@router.post("/models/{name}/infer")
@router.post("/models/{name}/versions/{version}/infer")
def post_infer(
    request: Request, name: str, body: Infer, version: str | None = None
) -> JSONResponse:
    """Run the network on crops (N, channels, height, width), 0 paper … 1 ink; gives raw logits (N, K)."""
    pack = _pack(request, name, version)
    logits = pack.logits(_crops(body, pack))
    output = {
        "name": OUTPUT,
        "datatype": "FP32",
        "shape": list(logits.shape),
        "data": logits.ravel().tolist(),
    }
    answer = {"model_name": name, "model_version": pack.model.version, "outputs": [output]}
    return JSONResponse(answer | ({"id": body.id} if body.id is not None else {}))


def _pack(request: Request, name: str, version: str | None) -> Pack:
    pack = state_of(request).views.pack
    if name != pack.model.name or version not in (None, pack.model.version):
        raise errors.NotFound(
            "there is no such model here.",
            where=name[:80],
            remedy="There is {model}.",
            model=pack.model.name,
        )
    return pack


def _crops(body: Infer, pack: Pack) -> Floats:
    if [tensor.name for tensor in body.inputs] != [INPUT]:
        raise errors.Invalid("the model takes one input, {name}.", name=INPUT)
    (tensor,) = body.inputs
    if tensor.shape[:1] > [MAX_ITEMS]:
        raise errors.TooLarge(
            "{items} items at once; {limit} are allowed.", items=tensor.shape[0], limit=MAX_ITEMS
        )
    try:
        values = np.asarray(tensor.data, np.float32).reshape(tensor.shape)
    except (TypeError, ValueError) as error:
        raise errors.Invalid(
            "the data do not fill the shape {shape}.", shape=tensor.shape
        ) from error
    if not np.isfinite(values).all():
        raise errors.Invalid("the data hold values that are no numbers.")
    # Bytes come as pictures have them, 0 … 255; everything else already in the card's range.
    scale = pack.card.input.high / 255 if tensor.datatype == "UINT8" else 1.0
    return values * np.float32(scale)
