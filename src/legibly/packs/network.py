"""A pack's network in ONNX Runtime: from hashed bytes, checked before and after each run."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import numpy.typing as npt
import onnxruntime

from legibly import errors
from legibly.packs import card as cards
from legibly.packs import onnx_graph
from legibly.packs.card import Card

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]
"""Prepared values (N, channels, height, width) float32 to logits (N, K) float32."""

MAX_FILE_BYTES = 4_000_000_000
MAX_NODES = 100_000
RUN_SECONDS = 60.0
"""How long a network that contains loops may run."""
_DTYPES = {"float32": np.float32, "float16": np.float16, "uint8": np.uint8}
_MIN_PROBABILITY = 1e-12


def read_files(folder: Path, card: Card) -> dict[str, bytes]:
    """All files that the pack loads, by name. Raises errors.Invalid for missing, changed ones."""
    contents = {cards.MODEL: _read(folder, cards.MODEL)}
    _check_digest(folder, card, cards.MODEL, contents[cards.MODEL])
    graph = examine(contents[cards.MODEL], where=str(folder / cards.MODEL))
    for name in sorted(graph.external_files):
        contents[name] = _read(folder, name)
        _check_digest(folder, card, name, contents[name])
    if cards.LINE in card.digests:
        contents[cards.LINE] = _read(folder, cards.LINE)
        _check_digest(folder, card, cards.LINE, contents[cards.LINE])
        examine(contents[cards.LINE], where=str(folder / cards.LINE))
    return contents


def examine(content: bytes, *, where: str) -> onnx_graph.Graph:
    """The graph of a network, if it is safe to open. Raises errors.Invalid with the fault."""
    try:
        graph = onnx_graph.parse(content)
    except errors.Invalid as error:
        raise _not_runnable(error.message, where) from error
    if graph.custom_operators:
        names = ", ".join(graph.custom_operators[:5])
        remedy = "Export it with the operators of ONNX alone."
        message = "needs custom operators: {names}"
        raise errors.Invalid(message, where=where, remedy=remedy, names=names)
    if graph.nodes > MAX_NODES:
        message = "has {count} nodes; {limit} are allowed"
        raise errors.Invalid(message, where=where, count=graph.nodes, limit=MAX_NODES)
    for name in graph.external_files:
        if not is_plain_name(name):
            remedy = "Put its weights beside model.onnx, under a plain name."
            message = "loads a file outside its folder: {name}"
            raise errors.Invalid(message, where=where, remedy=remedy, name=repr(name)[:200])
    return graph


def is_plain_name(name: str) -> bool:
    """Whether a name is a file in the folder itself: no path, not hidden, printable."""
    pure = PurePosixPath(name), PureWindowsPath(name)
    return (
        bool(name)
        and name.isprintable()
        and not name.startswith(".")
        and all(path.name == name for path in pure)
        and len(name.encode()) <= 200
    )


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    remedy = "Copy the whole pack again: card.json, model.onnx and what lies beside it."
    if path.is_symlink():
        raise errors.Invalid("is a symbolic link", where=str(path), remedy=remedy)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            message = "is larger than {limit} bytes"
            raise errors.Invalid(message, where=str(path), limit=MAX_FILE_BYTES)
        return path.read_bytes()
    except OSError as error:
        message = "cannot be read ({problem})"
        problem = error.strerror
        raise errors.Invalid(message, where=str(path), remedy=remedy, problem=problem) from error


def _check_digest(folder: Path, card: Card, name: str, content: bytes) -> None:
    expected = card.digests.get(name)
    if expected is None:
        remedy = "Import it again: `legibly models add` writes a card of format 2."
        message = "is loaded by the network, but the card does not name it under `files`"
        raise errors.Invalid(message, where=str(folder / name), remedy=remedy)
    if hashlib.sha256(content).hexdigest() != expected:
        raise errors.Invalid(
            "is not the file that its card describes: the SHA-256 differs",
            where=str(folder / name),
            remedy="Copy the whole pack again, or train it again.",
        )


def open_network(contents: Mapping[str, bytes], card: Card, *, path: Path, threads: int = 1) -> Run:
    """Open a network from the bytes of its files. Raises errors.Invalid if that fails."""
    graph = examine(contents[cards.MODEL], where=str(path))
    session = open_session(contents, where=str(path), threads=threads)
    input_name = card.input.name or session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    output_name = card.output.name or names[0]
    if output_name not in names:
        message = "has no output {name}, but {names}"
        remedy = "Correct `output.name` in card.json."
        raise errors.Invalid(
            message, where=str(path), remedy=remedy, name=repr(output_name), names=names
        )

    def run(values: Floats) -> Floats:
        feed = {input_name: to_tensor(values, card)}
        if not graph.has_loops:
            return as_logits(session.run([output_name], feed)[0], card)
        return as_logits(_run_limited(session, output_name, feed), card)

    return run if card.input.batch is None else in_batches(run, card.input.batch)


def open_line(contents: Mapping[str, bytes], *, where: str, threads: int = 1) -> Run | None:
    """Open the network that reads a row at once: lines (N, 1, 32, W) float32 to log probabilities
    (N, W / 4, 12). None for a pack without one. Raises errors.Invalid where it is not that.
    """
    if cards.LINE not in contents:
        return None
    session = open_session({cards.MODEL: contents[cards.LINE]}, where=where, threads=threads)
    name = session.get_inputs()[0].name

    def run(lines: Floats) -> Floats:
        try:
            return np.asarray(session.run(None, {name: lines})[0], np.float32)
        except Exception as error:  # ONNX Runtime's errors share no other base class
            problem = first_line(error)
            message = "reads no lines: {problem}"
            raise errors.Unavailable(message, where=where, problem=problem) from error

    try:
        shape = run(np.zeros((1, 1, 32, 64), np.float32)).shape
    except errors.Unavailable as error:
        raise errors.Invalid(error.template, where=where, **error.params) from error
    if shape != (1, 16, 12):
        remedy = "Export it again with recipes/digits/train_lines.py."
        message = "answers {shape} for a line of 64 columns, not (1, 16, 12)"
        raise errors.Invalid(message, where=where, remedy=remedy, shape=str(shape))
    return run


def open_session(
    contents: Mapping[str, bytes], *, where: str, threads: int = 1
) -> onnxruntime.InferenceSession:
    """ONNX Runtime's session over these bytes. Raises errors.Invalid."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, so nothing needs to be printed
    # Idle threads must not spin.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    others = {
        name: data for name, data in contents.items() if name not in (cards.MODEL, cards.LINE)
    }
    try:
        if others:
            # From memory, so that the hashed bytes are loaded.
            options.add_external_initializers_from_files_in_memory(
                list(others), list(others.values()), [len(data) for data in others.values()]
            )
        return onnxruntime.InferenceSession(
            contents[cards.MODEL], options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no other base class
        raise _not_runnable(first_line(error), where) from error


def _not_runnable(problem: str, where: str) -> errors.Invalid:
    return errors.Invalid(
        "is no network that ONNX Runtime can run: {problem}",
        where=where,
        remedy="Export it again as ONNX, opset 17 or lower.",
        problem=problem,
    )


def _run_limited(
    session: onnxruntime.InferenceSession, output: str, feed: Mapping[str, object]
) -> npt.NDArray[np.generic]:
    """Run a network that contains loops, for a limited time. Raises errors.Unavailable after it."""
    options = onnxruntime.RunOptions()
    timer = threading.Timer(RUN_SECONDS, lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return np.asarray(session.run([output], feed, options)[0])
    except Exception as error:  # ONNX Runtime's errors share no other base class
        if options.terminate:
            raise errors.Unavailable(
                "the network ran longer than {seconds} s and was stopped.",
                seconds=f"{RUN_SECONDS:g}",
            ) from error
        raise
    finally:
        timer.cancel()


def to_tensor(values: Floats, card: Card) -> npt.NDArray[np.generic]:
    """Prepared values (N, C, H, W) float32 in the layout and type of the network."""
    layout = card.input.layout
    if layout == "NHWC":
        values = values.transpose(0, 2, 3, 1)
    elif layout == "flat":
        values = values.reshape(len(values), -1)
    dtype = _DTYPES[card.input.dtype]
    if dtype is np.uint8:
        values = values.round().clip(0, 255)
    return np.ascontiguousarray(values, dtype)


def as_logits(answer: object, card: Card) -> Floats:
    """A network's answer as (N, K) float32 logits. Raises errors.Unavailable without numbers."""
    values = plain_scores(answer)
    if values.dtype.kind not in "fiu":
        raise errors.Unavailable(
            "the model answers {type} instead of numbers.", where=card.name, type=str(values.dtype)
        )
    values = values.astype(np.float32).reshape(len(values) if values.ndim else 1, -1)
    if card.output.kind == "probabilities":
        return np.asarray(np.log(values.clip(_MIN_PROBABILITY, None)), np.float32)
    return values


def plain_scores(answer: object) -> npt.NDArray[np.generic]:
    """An answer as an array, also scikit-learn's list of a score by class for each item."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        return np.array([[row[name] for name in sorted(row)] for row in answer], np.float32)
    return np.asarray(answer)


def in_batches(run: Run, batch: int) -> Run:
    """Run a network that takes exactly `batch` items, adding blank ones as needed."""

    def run_batches(values: Floats) -> Floats:
        rows = []
        for start in range(0, len(values), batch):
            part = values[start : start + batch]
            missing = batch - len(part)
            padded = np.pad(part, ((0, missing), (0, 0), (0, 0), (0, 0)))
            rows.append(run(padded)[: len(part)])
        return np.concatenate(rows)

    return run_batches


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
