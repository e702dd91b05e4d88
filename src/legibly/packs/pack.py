"""A model pack, opened: its card, and its network: in ONNX Runtime here, or wherever `run` reaches."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from legibly import errors, records
from legibly.packs import calibration
from legibly.packs import card as cards
from legibly.packs.calibration import Floats

BATCH = 256  # items in one run of the network: keeps its activations within some tens of megabytes


class Pack:
    """A classifier ready to use; safe to share between threads."""

    def __init__(
        self, *, card: cards.Card, model: records.Model, run: Callable[[Floats], Floats]
    ) -> None:
        self.card, self.model = card, model
        self._run = run

    def logits(self, crops: Floats) -> Floats:
        """Run the network.

        crops: (N, channels, height, width) float32 in the card's range, 0 paper … 1 ink; N may be 0.
        Returns (N, K) float32, K = `card.outputs`. Raises errors.Invalid for another shape.
        """
        shape = self.card.input
        if crops.ndim != 4 or crops.shape[1:] != (shape.channels, shape.height, shape.width):
            wanted = f"(N, {shape.channels}, {shape.height}, {shape.width})"
            raise errors.Invalid(
                f"the network takes {wanted}, not {crops.shape}", where=self.card.name
            )
        if not len(crops):
            return np.zeros((0, self.card.outputs), np.float32)
        crops = np.ascontiguousarray(crops, np.float32)
        parts = [self._run(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def judge(self, logits: Floats) -> tuple[Floats, Floats]:
        """`(probabilities, digitness)` of `logits`: see `calibration.judge`."""
        return calibration.judge(self.card, logits)

    def confidences(self, probabilities: Floats, digitness: Floats) -> Floats:
        """The calibrated probability that each top class is right: see `calibration.confidences`."""
        return calibration.confidences(probabilities, digitness)

    def verdicts(self, probabilities: Floats, digitness: Floats) -> list[records.Verdict]:
        """One verdict an item: see `calibration.decide`."""
        return calibration.decide(self.card, probabilities, digitness)


def open_pack(folder: Path, *, threads: int = 1) -> Pack:
    """Open the pack in a folder, with so many threads inside one run of the network.

    Raises errors.Invalid, naming the file and a remedy, where the card or the network is missing, damaged,
    or where the two do not belong together.
    """
    card = cards.read_card(folder)
    path = folder / cards.MODEL
    try:
        content = path.read_bytes()
    except OSError as error:
        remedy = "Copy the whole pack again: card.json and model.onnx."
        raise errors.Invalid(
            f"cannot be read ({error.strerror})", where=str(path), remedy=remedy
        ) from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise errors.Invalid(
            "is not the network that its card describes: the SHA-256 differs",
            where=str(path),
            remedy="Copy the whole pack again, or train it again.",
        )
    model = records.Model(name=card.name, version=cards.version(card, content))
    pack = Pack(card=card, model=model, run=_network(content, path=path, threads=threads))
    _try_out(pack, path=path)
    return pack


def _network(content: bytes, *, path: Path, threads: int) -> Callable[[Floats], Floats]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised; nothing is printed besides
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # idle threads must not burn a core
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base class
        what = f"is no network that ONNX Runtime can run: {str(error).splitlines()[0]}"
        raise errors.Invalid(
            what, where=str(path), remedy="Export it again as ONNX, opset 17 or lower."
        ) from error
    name = session.get_inputs()[0].name
    return lambda crops: np.asarray(session.run(None, {name: crops})[0])


def _try_out(pack: Pack, *, path: Path) -> None:
    shape = pack.card.input
    blank = np.zeros((2, shape.channels, shape.height, shape.width), np.float32)
    try:
        logits = pack.logits(blank)
    except Exception as error:  # ONNX Runtime's errors share no other base class
        what = f"does not take its card's input {blank.shape}: {str(error).splitlines()[0]}"
        raise errors.Invalid(
            what, where=str(path), remedy="Mend `input` in card.json; the batch is dynamic."
        ) from error
    if logits.shape != (2, pack.card.outputs) or not np.isfinite(logits).all():
        what = f"gives {logits.shape} of {logits.dtype} where the card promises (2, {pack.card.outputs}) finite logits"
        raise errors.Invalid(
            what, where=str(path), remedy="Mend `classes` and `reject` in card.json."
        )
