"""Small ONNX networks that tests build themselves, and packs around them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Dims = list[Any]


def model(
    nodes: list[onnx.NodeProto],
    *,
    shape: Dims,
    outputs: Dims,
    weights: dict[str, NDArray[Any]] | None = None,
    dtype: int = TensorProto.FLOAT,
    domains: tuple[str, ...] = (),
    output_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A network from `x` to `y`."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", output_type, outputs)],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    imports = [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), *imports], ir_version=8
    )


def colour_model(
    *, layout: str = "NCHW", side: int = 8, softmax: bool = False, batch: Any = "n", **kinds: Any
) -> onnx.ModelProto:
    """Answers which of red, green and blue is the strongest: the means of the channels, times
    ten.
    """
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    sizes = [3, side, side] if layout == "NCHW" else [side, side, 3]
    dtype = kinds.get("dtype", TensorProto.FLOAT)
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("ReduceMean", ["f"], ["m"], axes=axes, keepdims=0))
    nodes.append(helper.make_node("Mul", ["m", "ten"], ["z" if softmax else "y"]))
    if softmax:
        nodes.append(helper.make_node("Softmax", ["z"], ["y"], axis=1))
    weights = {"ten": np.array(kinds.get("factor", 10.0), np.float32)}
    return model(nodes, shape=[batch, *sizes], outputs=[batch, 3], weights=weights, dtype=dtype)


def scikit_model(names: list[str]) -> onnx.ModelProto:
    """As skl2onnx exports a classifier of 8 by 8 pictures: a score by class for each item."""
    weights = {"w": np.eye(64, len(names), dtype=np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_strings=names),
    ]
    built = model(nodes, shape=["n", 64], outputs=[], weights=weights, domains=("ai.onnx.ml",))
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    rows = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, value))
    built.graph.output[0].type.CopyFrom(rows)
    return built


def card(content: bytes, **changes: Any) -> dict[str, Any]:
    """A card of format 2 for `colour_model`."""
    usual = {
        "format": 2,
        "name": "colours",
        "classes": [{"id": "red"}, {"id": "green"}, {"id": "blue"}],
        "layout": "whole",
        "input": {"height": 8, "width": 8, "channels": 3},
        "prepare": {},
        "output": {"kind": "logits"},
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
    }
    return {**usual, **changes}


def write_pack(folder: Path, network: onnx.ModelProto | bytes, **changes: Any) -> Path:
    """A pack of format 2 in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = network if isinstance(network, bytes) else network.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    (folder / "card.json").write_text(json.dumps(card(content, **changes)))
    return folder
