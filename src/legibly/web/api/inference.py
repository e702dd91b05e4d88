"""The Open Inference Protocol V2 (KServe 2024, REST): runs the network on prepared crops.

Tensors travel as JSON or as bytes (binary tensor data extension).
"""

import gzip
import io
import json
import zlib
from typing import Annotated, Any

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from legibly import __version__, errors
from legibly.packs import oip_tensors
from legibly.packs.calibration import Floats
from legibly.packs.pack import Pack
from legibly.packs.remote import INPUT, OUTPUT
from legibly.web.api.documents import Text
from legibly.web.services import state_of

MAX_ITEMS = 1024
_OCTETS = "application/octet-stream"


router = APIRouter(prefix="/v2", tags=["open inference protocol"])


class Tensor(BaseModel):
    """An input tensor; `data` may be flat or nested, or bytes after the message."""

    name: str
    shape: list[Annotated[int, Field(ge=0, lt=2**31)]]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class RequestedOutput(BaseModel):
    """A requested output, and whether to return it as bytes."""

    name: str
    parameters: dict[str, Any] = {}


class Infer(BaseModel):
    """A request for inference."""

    id: Text | None = None
    parameters: dict[str, Any] = {}
    inputs: list[Tensor]
    outputs: list[RequestedOutput] | None = None

    @property
    def is_binary(self) -> bool:
        """Whether to return the output as bytes."""
        if self.outputs:
            return bool(self.outputs[0].parameters.get("binary_data"))
        return bool(self.parameters.get("binary_data_output"))


@router.get("")
def get_server() -> JSONResponse:
    """Name, version and protocol extensions of this server."""
    extensions = [oip_tensors.BINARY_EXTENSION]
    return JSONResponse({"name": "legibly", "version": __version__, "extensions": extensions})


@router.get("/health/live")
def get_server_live() -> JSONResponse:
    """The server answers."""
    return JSONResponse({"live": True})


@router.get("/health/ready")
def get_server_ready(request: Request) -> JSONResponse:
    """The model answers. Raises Unavailable if it fails."""
    _require_ready(state_of(request).views.pack)
    return JSONResponse({"ready": True})


@router.get("/models/{name}")
def get_model(request: Request, name: str) -> JSONResponse:
    """The model's inputs and outputs, and its card as text, so that another Legibly can use it.

    Raises NotFound.
    """
    return _metadata(name, _pack(request, name))


@router.get("/models/{name}/versions/{version}")
def get_model_version(request: Request, name: str, version: str) -> JSONResponse:
    """The same of one version. Raises NotFound."""
    return _metadata(name, _pack(request, name, version))


def _metadata(name: str, pack: Pack) -> JSONResponse:
    shape = pack.card.input
    sizes = [-1, shape.channels, shape.height, shape.width]
    crops = {"name": INPUT, "datatype": "FP32", "shape": sizes}
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
def get_model_ready(request: Request, name: str) -> JSONResponse:
    """Whether the model answers. Raises NotFound, and Unavailable if it fails."""
    _require_ready(_pack(request, name))
    return JSONResponse({"name": name, "ready": True})


@router.get("/models/{name}/versions/{version}/ready")
def get_model_version_ready(request: Request, name: str, version: str) -> JSONResponse:
    """The same of one version. Raises NotFound and Unavailable."""
    _require_ready(_pack(request, name, version))
    return JSONResponse({"name": name, "ready": True})


@router.post(
    "/models/{name}/infer",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": Infer.model_json_schema(ref_template="#/components/schemas/{model}")
                }
            },
        }
    },
)
@router.post("/models/{name}/versions/{version}/infer", include_in_schema=False)
async def post_infer(request: Request, name: str, version: str | None = None) -> Response:
    """Run the network on crops (N, channels, height, width) and answer raw logits (N, K).

    FP32, FP64 and FP16 are prepared values (ink: 0 paper … 1 ink); UINT8 are pixels, 0 … 255.
    """
    pack = _pack(request, name, version)
    content = _decompress(
        await request.body(),
        request.headers.get("content-encoding", "").lower(),
        limit=state_of(request).settings.max_bytes,
    )
    message, raw = oip_tensors.split(content, request.headers.get(oip_tensors.HEADER_LENGTH))
    try:
        body = Infer.model_validate(message)
    except ValidationError as error:
        raise errors.Invalid(f"the request is malformed: {_first(error)}.") from error
    logits = await to_thread.run_sync(lambda: pack.logits(_crops(body, message, raw, pack)))
    if not np.isfinite(logits).all():
        raise errors.Invalid("the data hold values that are too large for the network.")
    return _answer(body, logits, pack)


def _answer(body: Infer, logits: Floats, pack: Pack) -> Response:
    output, raw = oip_tensors.encode(OUTPUT, logits, binary=body.is_binary)
    document: dict[str, Any] = {
        "model_name": pack.model.name,
        "model_version": pack.model.version,
        "outputs": [output],
    }
    if body.id is not None:
        document["id"] = body.id
    if not body.is_binary:
        return JSONResponse(document)
    text = json.dumps(document).encode()
    headers = {oip_tensors.HEADER_LENGTH: str(len(text))}
    return Response(text + raw, media_type=_OCTETS, headers=headers)


def _pack(request: Request, name: str, version: str | None = None) -> Pack:
    pack = state_of(request).views.pack
    if name != pack.model.name or version not in (None, pack.model.version):
        raise errors.NotFound(
            "there is no such model here.",
            where=name[:80],
            remedy="There is {model}.",
            model=pack.model.name,
        )
    return pack


def _require_ready(pack: Pack) -> None:
    problem = pack.problem()
    if problem is not None:
        raise errors.Unavailable(f"the model does not answer: {problem}")


def _crops(body: Infer, message: dict[str, Any], raw: bytes, pack: Pack) -> Floats:
    if [tensor.name for tensor in body.inputs] != [INPUT]:
        raise errors.Invalid("the model takes one input, {name}.", name=INPUT)
    (tensor,) = body.inputs
    if tensor.datatype not in ("FP32", "FP64", "FP16", "UINT8"):
        raise errors.Invalid(f"the model takes FP32, FP64, FP16 or UINT8, not {tensor.datatype}.")
    if tensor.shape[:1] > [MAX_ITEMS]:
        raise errors.TooLarge(
            "{items} items at once; {limit} are allowed.", items=tensor.shape[0], limit=MAX_ITEMS
        )
    values = oip_tensors.decode_all(message["inputs"], raw)[INPUT].astype(np.float32)
    if not np.isfinite(values).all():
        raise errors.Invalid("the data hold values that are no numbers.")
    return _from_pixels(values, pack) if tensor.datatype == "UINT8" else values


def _from_pixels(values: Floats, pack: Pack) -> Floats:
    """Convert pixels 0 … 255 to the input values of the network."""
    steps = pack.card.prepare
    if steps is None:
        low = pack.card.input.low
        return low + (pack.card.input.high - low) * values / np.float32(255)
    mean = np.array(steps.mean, np.float32).reshape(-1, 1, 1)
    std = np.array(steps.std, np.float32).reshape(-1, 1, 1)
    return np.asarray((values * np.float32(steps.scale) - mean) / std, np.float32)


def _first(error: ValidationError) -> str:
    """The first validation error."""
    entry = next(iter(error.errors()))
    return f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}"


def _decompress(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The body without its content encoding. Raises Invalid, and TooLarge beyond `limit` bytes."""
    if encoding in ("", "identity"):
        return body
    try:
        if encoding == "gzip":
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                plain = file.read(limit + 1)
        elif encoding == "deflate":
            plain = zlib.decompressobj().decompress(body, limit + 1)
        else:
            raise errors.NotAnImage("the content encoding {name} is not known.", name=encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise errors.Invalid("the body is not {name}.", name=encoding) from error
    if len(plain) > limit:
        raise errors.TooLarge("the request has more than {limit} bytes.", limit=limit)
    return plain
