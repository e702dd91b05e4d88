"""Tensors of the Open Inference Protocol V2, as JSON and as bytes behind it (binary tensor data
extension).

A binary message is JSON, whose length is the header `Inference-Header-Content-Length`, followed by
the bytes of the tensors that have `parameters.binary_data_size`, little endian, in their order.
Source: Triton's protocol extensions, `extension_binary_data.md`.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from legibly import errors

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_EXTENSION = "binary_tensor_data"
DTYPES: dict[str, type[np.generic]] = {
    "FP32": np.float32, "FP64": np.float64, "FP16": np.float16, "UINT8": np.uint8,
    "INT32": np.int32, "INT64": np.int64,
}  # fmt: skip
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

Array = npt.NDArray[np.generic]


def split(content: bytes, length: str | None) -> tuple[dict[str, Any], bytes]:
    """The JSON of a message, and the bytes behind it. Raises errors.Invalid for anything else."""
    try:
        size = len(content) if length is None else int(length)
        if not 0 <= size <= len(content):
            raise ValueError(f"{HEADER_LENGTH} is {size} of {len(content)} bytes")
        message = json.loads(content[:size])
        if not isinstance(message, dict):
            raise TypeError("it is no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.Invalid(
            "the message is no JSON of the protocol: {problem}.", problem=str(error)
        ) from error
    return message, content[size:]


def encode(name: str, values: Array, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """One tensor as its JSON entry and the bytes that follow; none of them for JSON alone."""
    entry: dict[str, Any] = {
        "name": name,
        "shape": list(values.shape),
        "datatype": _NAMES[values.dtype],
    }
    if not binary:
        return {**entry, "data": values.ravel().tolist()}, b""
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return {**entry, "parameters": {"binary_data_size": len(raw)}}, raw


def decode_all(entries: Any, raw: bytes) -> dict[str, Array]:
    """Every tensor of a message by name. Raises errors.Invalid where data and shape do not fit."""
    tensors: dict[str, Array] = {}
    position = 0
    try:
        for entry in entries:
            size = (entry.get("parameters") or {}).get("binary_data_size")
            if size is None:
                tensors[entry["name"]] = _from_json(entry)
                continue
            part = raw[position : position + size]
            position += size
            tensors[entry["name"]] = _from_bytes(entry, part)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise errors.Invalid(
            "a tensor does not fit its shape and type: {problem}.", problem=str(error)
        ) from error
    return tensors


def _from_json(entry: Mapping[str, Any]) -> Array:
    dtype = DTYPES[entry["datatype"]]
    return np.asarray(entry["data"], dtype).reshape(_shape(entry))


def _from_bytes(entry: Mapping[str, Any], raw: bytes) -> Array:
    dtype = np.dtype(DTYPES[entry["datatype"]]).newbyteorder("<")
    return np.frombuffer(raw, dtype).reshape(_shape(entry))


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(size) for size in entry["shape"])
    if any(size < 0 for size in shape):
        raise ValueError(f"the shape {shape}")
    return shape
