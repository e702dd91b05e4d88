"""A classifier: a card and a function that runs its network, here or on a model server."""

import logging
import time

import numpy as np

from legibly import errors, records
from legibly.packs import calibration, network, preprocessing
from legibly.packs import card as cards
from legibly.packs.calibration import Floats

BATCH = 256  # items per run of the network: limits its activations to some tens of megabytes
_BATCH_VALUES = BATCH * 28 * 28
_PROBE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Pack:
    """A classifier ready to use; thread-safe."""

    def __init__(
        self,
        *,
        card: cards.Card,
        model: records.Model,
        run: network.Run,
        run_line: network.Run | None = None,
    ) -> None:
        self.card = card
        self.model = model
        self._run = run
        self.read_line = run_line
        """Reads rows at once, where the pack can: (N, 1, 32, W) to (N, W / 4, 12)."""
        self._problem: str | None = None
        self._checked_at = 0.0
        values = card.input.channels * card.input.height * card.input.width
        self._batch = min(BATCH, max(8, _BATCH_VALUES // values))

    def with_card(self, card: cards.Card) -> "Pack":
        """The same networks, judged by another card of their outputs."""
        return Pack(card=card, model=self.model, run=self._run, run_line=self.read_line)

    def logits(self, crops: Floats) -> Floats:
        """Run the network.

        crops: (N, channels, height, width) float32, prepared; ink in the card's range, 0 paper …
        1 ink; N may be 0. Returns (N, K) float32, K = `card.outputs`, all finite. Raises
        errors.Invalid for another shape, errors.Unusable if an answer is not a number,
        errors.Unavailable if the network fails or returns another shape.
        """
        shape = self.card.input
        if crops.ndim != 4 or crops.shape[1:] != (shape.channels, shape.height, shape.width):
            message = "the network takes {expected}, not {shape}."
            expected = f"(N, {shape.channels}, {shape.height}, {shape.width})"
            facts = {"expected": expected, "shape": str(crops.shape)}
            raise errors.Invalid(message, where=self.card.name, **facts)
        if not len(crops):
            return np.zeros((0, self.card.outputs), np.float32)
        crops = np.ascontiguousarray(crops, np.float32)
        starts = range(0, len(crops), self._batch)
        parts = [self._checked_run(crops[start : start + self._batch]) for start in starts]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def prepare(self, pixels: preprocessing.Pixels) -> Floats:
        """One picture (H, W) or (H, W, 3) uint8 as input: (1, channels, height, width) float32."""
        return preprocessing.prepare(pixels, self.card)[None]

    def judge(self, logits: Floats) -> tuple[Floats, Floats]:
        """`(probabilities, digitness)` of `logits`: see `calibration.judge`."""
        return calibration.judge(self.card, logits)

    def confidences(self, probabilities: Floats, digitness: Floats) -> Floats:
        """The probability that each top class is right: see `calibration.confidences`."""
        return calibration.confidences(probabilities, digitness)

    def verdicts(self, probabilities: Floats, digitness: Floats) -> list[records.Verdict]:
        """One verdict an item: see `calibration.apply_thresholds`."""
        return calibration.apply_thresholds(self.card, probabilities, digitness)

    def problem(self) -> str | None:
        """Why the network fails, tried again every few seconds; None if it works."""
        if self._problem is not None and time.monotonic() - self._checked_at > _PROBE_SECONDS:
            self._checked_at = time.monotonic()
            try:
                self.logits(self.blank(1))
            except errors.LegiblyError as error:
                _log.warning("the model %s fails: %s", self.model, error)
        return self._problem

    def blank(self, count: int) -> Floats:
        """Blank inputs: (count, channels, height, width) float32."""
        shape = self.card.input
        return np.zeros((count, shape.channels, shape.height, shape.width), np.float32)

    def _checked_run(self, crops: Floats) -> Floats:
        try:
            logits = self._run(crops)
            self._check_shape(logits, len(crops))
        except errors.LegiblyError as error:
            self._problem = error.message
            self._checked_at = time.monotonic()
            raise
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            self._problem = network.first_line(error)
            self._checked_at = time.monotonic()
            raise errors.Unavailable(
                "the model fails: {problem}", where=self.card.name, problem=self._problem
            ) from error
        self._problem = None
        if not np.isfinite(logits).all():
            raise errors.Unusable(
                "the model answers NaN or infinity for this picture.",
                where=self.card.name,
                remedy="`legibly models check` tries the pack on real pictures.",
            )
        return logits

    def _check_shape(self, logits: Floats, count: int) -> None:
        if logits.shape != (count, self.card.outputs):
            raise errors.Unavailable(
                "the model answers {shape} where the card promises {expected}.",
                where=self.card.name,
                shape=str(logits.shape),
                expected=f"({count}, {self.card.outputs})",
            )
