"""Reads the contents of an ONNX file from its bytes, without running anything.

A small reader of the protocol buffer wire format: ONNX Runtime loads external data and custom
operators while it opens a model, which is too late to refuse them. Source of the field numbers:
onnx.proto3 of ONNX 1.18.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from legibly import errors

STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
LOOPS = frozenset({"Loop", "Scan"})
MAX_DEPTH = 32
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 8: "string", 10: "float16",
          11: "float64"}  # fmt: skip
_EXTERNAL = 1  # TensorProto.DataLocation

Value = int | memoryview
Dimension = int | None
"""The size of an axis; None for any size."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: its name, element type and shape; None if not stated."""

    name: str
    dtype: str | None
    shape: tuple[Dimension, ...] | None


@dataclass(slots=True)
class Graph:
    """The facts of a model that matter before it is run."""

    inputs: list[TensorInfo] = field(default_factory=list)
    outputs: list[TensorInfo] = field(default_factory=list)
    operators: set[tuple[str, str]] = field(default_factory=set)
    external_files: set[str] = field(default_factory=set)
    nodes: int = 0
    parameters: int = 0

    @property
    def has_loops(self) -> bool:
        """Whether its running time may be unlimited by its size."""
        return any(operator in LOOPS for _, operator in self.operators)

    @property
    def custom_operators(self) -> list[str]:
        """Operators that ONNX Runtime does not include."""
        custom = (entry for entry in self.operators if entry[0] not in STANDARD_DOMAINS)
        return sorted("::".join(entry) for entry in custom)


def parse(content: bytes) -> Graph:
    """Read a model. Raises errors.Invalid for bytes that are not an ONNX model."""
    graph = Graph()
    functions: set[tuple[str, str]] = set()
    try:
        for number, value in _fields(memoryview(content)):
            if number == 7:
                _main_graph(_message(value), graph)
            elif number == 25:
                functions.add(_function(_message(value), graph))
    except (IndexError, ValueError, RecursionError, UnicodeDecodeError) as error:
        message = "these bytes are no ONNX model: {problem}"
        raise errors.Invalid(message, problem=str(error)) from error
    if not graph.outputs:
        raise errors.Invalid("these bytes are no ONNX model: they have no output")
    graph.operators -= functions
    return graph


def _main_graph(data: memoryview, graph: Graph) -> None:
    initializers: set[str] = set()
    for number, value in _fields(data):
        if number in (5, 15):
            initializers.add(_tensor_name(_message(value)))
        elif number == 11:
            graph.inputs.append(_value_info(_message(value)))
        elif number == 12:
            graph.outputs.append(_value_info(_message(value)))
    # Old exporters list every weight as an input too.
    graph.inputs = [entry for entry in graph.inputs if entry.name not in initializers]
    _walk(data, graph, depth=0)


def _walk(data: memoryview, graph: Graph, *, depth: int) -> None:
    """Collect nodes, weights and external files of a graph and of the graphs inside it."""
    if depth > MAX_DEPTH:
        raise ValueError(f"graphs are nested deeper than {MAX_DEPTH}")
    for number, value in _fields(data):
        if number == 1:
            _node(_message(value), graph, depth=depth)
        elif number == 5:
            _tensor(_message(value), graph)
        elif number == 15:
            _sparse_tensor(_message(value), graph)


def _node(data: memoryview, graph: Graph, *, depth: int) -> None:
    operator = ""
    domain = ""
    for number, value in _fields(data):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _attribute(_message(value), graph, depth=depth)
    graph.nodes += 1
    graph.operators.add((domain, operator))


def _attribute(data: memoryview, graph: Graph, *, depth: int) -> None:
    for number, value in _fields(data):
        if number in (5, 10):
            _tensor(_message(value), graph)
        elif number in (6, 11):
            _walk(_message(value), graph, depth=depth + 1)
        elif number in (22, 23):
            _sparse_tensor(_message(value), graph)


def _function(data: memoryview, graph: Graph) -> tuple[str, str]:
    """Collect what a model-local function runs; returns its domain and name."""
    name = ""
    domain = ""
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 7:
            _node(_message(value), graph, depth=1)
        elif number == 10:
            domain = _text(value)
    return domain, name


def _tensor(data: memoryview, graph: Graph) -> None:
    size = 1
    location: str | None = None
    is_external = False
    for number, value in _fields(data):
        if number == 1:
            for dimension in _integers(value):
                size *= max(dimension, 0)
        elif number == 13:
            key, entry = _entry(_message(value))
            location = entry if key == "location" else location
        elif number == 14:
            is_external = value == _EXTERNAL
    graph.parameters += size
    if is_external or location is not None:
        graph.external_files.add(location or "")


def _sparse_tensor(data: memoryview, graph: Graph) -> None:
    for number, value in _fields(data):
        if number in (1, 2):
            _tensor(_message(value), graph)


def _tensor_name(data: memoryview) -> str:
    return next((_text(value) for number, value in _fields(data) if number == 8), "")


def _entry(data: memoryview) -> tuple[str, str]:
    texts = {number: _text(value) for number, value in _fields(data)}
    return texts.get(1, ""), texts.get(2, "")


def _value_info(data: memoryview) -> TensorInfo:
    name = ""
    dtype: str | None = None
    shape: tuple[Dimension, ...] | None = None
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, tensor in _fields(_message(value)):
                if kind == 1:
                    dtype, shape = _tensor_type(_message(tensor))
    return TensorInfo(name, dtype, shape)


def _tensor_type(data: memoryview) -> tuple[str | None, tuple[Dimension, ...] | None]:
    dtype: str | None = None
    shape: tuple[Dimension, ...] | None = None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            dtype = DTYPES.get(value, f"type {value}")
        elif number == 2:
            axes = [axis for kind, axis in _fields(_message(value)) if kind == 1]
            shape = tuple(_dimension(_message(axis)) for axis in axes)
    return dtype, shape


def _dimension(data: memoryview) -> Dimension:
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            return value if value > 0 else None
    return None


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """The numbers and values of a message. Raises ValueError and IndexError if it is truncated."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 0:
            number, position = _varint(data, position)
            yield tag >> 3, number
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(data):
            raise ValueError("the file is cut short")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (result - (1 << 64) if result >= 1 << 63 else result), position
    raise ValueError("a number of more than ten bytes")


def _integers(value: Value) -> list[int]:
    """A repeated integer field, packed or not."""
    if isinstance(value, int):
        return [value]
    numbers = []
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)).decode()
