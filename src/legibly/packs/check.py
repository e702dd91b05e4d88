"""Checks a pack with a conformance suite in a separate process.

    python -m legibly.packs.check FOLDER [PICTURE…]     # prints one JSON document

The process has limits of memory and time, so that a network that loops for ever or needs too much
memory only ends that process.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from legibly import errors
from legibly.packs import pack as packs
from legibly.packs.calibration import Floats

SECONDS = 120
MEMORY_BYTES = 8_000_000_000
_TOLERANCE = 1e-2
_SPEED_SECONDS = 1.0
_SEED = 0
Level = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one test of the suite."""

    test: str
    level: Level
    message: str = ""


@dataclass(slots=True)
class Report:
    """The result for a pack: its name and version, if it could be opened, and all findings."""

    name: str = ""
    version: str = ""
    findings: list[Finding] = field(default_factory=list)
    milliseconds: float | None = None

    @property
    def is_sound(self) -> bool:
        """Whether all tests passed."""
        return not self.failures

    @property
    def failures(self) -> list[Finding]:
        """The tests that failed."""
        return [finding for finding in self.findings if finding.level == "failed"]

    def to_json(self) -> dict[str, Any]:
        return {"sound": self.is_sound, **asdict(self)}


def run(
    folder: Path,
    pictures: Sequence[Path] = (),
    *,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> Report:
    """Check a pack in a child process, whose crash or time-out is a finding, not an error."""
    line = [sys.executable, "-m", "legibly.packs.check", str(folder), *map(str, pictures)]
    try:
        child = subprocess.run(  # noqa: S603
            [*line, "--memory", str(memory_bytes), "--seconds", str(int(seconds) + 1)],
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"did not end within {seconds:g} s: it loops, or is far too large"
        return Report(findings=[Finding("limits", "failed", message)])
    try:
        data = json.loads(child.stdout)
        findings = [Finding(**entry) for entry in data["findings"]]
        return Report(data["name"], data["version"], findings, data["milliseconds"])
    except (ValueError, KeyError, TypeError):
        return Report(findings=[Finding("limits", "failed", _death(child.returncode))])


def require_sound(folder: Path, report: Report) -> None:
    """Raises errors.Invalid with the first failure of a report."""
    for finding in report.failures:
        where, _, rest = finding.message.partition(": ")
        if finding.test == "opens" and rest:
            raise errors.Invalid(rest, where=where)
        raise errors.Invalid(f"{finding.test}: {finding.message}", where=str(folder))


def _death(status: int) -> str:
    if status < 0:
        return f"the network was stopped by signal {-status}: it takes too much memory or time"
    return f"the check ended with status {status}: the network takes too much memory"


def inspect(folder: Path, pictures: Sequence[Path] = ()) -> Report:
    """Run the suite in this process."""
    report = Report()
    try:
        pack = packs.open_pack(folder)
    except errors.LegiblyError as error:
        report.findings.append(Finding("opens", "failed", str(error)))
        return report
    report.name = pack.model.name
    report.version = pack.model.version
    report.findings.append(Finding("opens", "ok"))
    inputs = _inputs(pack)
    for name, test in _TESTS.items():
        with _recorded(report, name):
            report.findings.append(test(pack, inputs, name))
    for path in pictures:
        with _recorded(report, f"picture {path.name}"):
            report.findings.append(_sample(pack, path))
    with _recorded(report, "speed"):
        report.milliseconds = _milliseconds(pack, inputs)
        report.findings.append(Finding("speed", "ok", f"{report.milliseconds:.1f} ms an image"))
    return report


@contextlib.contextmanager
def _recorded(report: Report, name: str) -> Iterator[None]:
    """Turn an error of a test into a finding."""
    try:
        yield
    except (errors.LegiblyError, MemoryError) as error:
        report.findings.append(Finding(name, "failed", str(error) or type(error).__name__))


def _inputs(pack: packs.Pack) -> Floats:
    """Different inputs: noise, black, white, a gradient, a stroke; (N, C, H, W) float32."""
    shape = pack.card.input
    size = (shape.height, shape.width)
    random = np.random.default_rng(_SEED)
    ramp = np.broadcast_to(np.linspace(0, 1, shape.width), size)
    stroke = np.zeros(size)
    middle = shape.width // 2
    stroke[shape.height // 4 : 3 * shape.height // 4, middle - 1 : middle + 2] = 1
    grey = [np.zeros(size), np.ones(size), ramp, stroke, random.random(size)]
    planes = [np.stack([plane] * shape.channels) for plane in grey]
    planes.append(random.random((shape.channels, *size)))
    if pack.card.layout == "ink":
        return np.stack(planes).astype(np.float32)
    pixels = [(plane * 255).astype(np.uint8).transpose(1, 2, 0) for plane in planes]
    if shape.channels == 1:
        pixels = [picture[:, :, 0] for picture in pixels]
    return np.concatenate([pack.prepare(picture) for picture in pixels])


def _finite(pack: packs.Pack, inputs: Floats, name: str) -> Finding:
    pack.logits(inputs)
    return Finding(name, "ok", f"{len(inputs)} inputs, all answers are finite")


def _batches(pack: packs.Pack, inputs: Floats, name: str) -> Finding:
    together = pack.judge(pack.logits(inputs))[0]
    alone = np.concatenate(
        [pack.judge(pack.logits(inputs[i : i + 1]))[0] for i in range(len(inputs))]
    )
    gap = float(np.abs(together - alone).max())
    if gap > _TOLERANCE:
        message = f"answers depend on what else is in the batch: probabilities differ by {gap:.2f}"
        return Finding(name, "failed", message)
    return Finding(name, "ok")


def _repeats(pack: packs.Pack, inputs: Floats, name: str) -> Finding:
    if not np.allclose(pack.logits(inputs), pack.logits(inputs), atol=1e-4):
        message = "the same input gets another answer the second time: export it for inference"
        return Finding(name, "failed", message)
    return Finding(name, "ok")


def _varies(pack: packs.Pack, inputs: Floats, name: str) -> Finding:
    logits = pack.logits(inputs)
    if len(logits) > 1 and np.ptp(logits, axis=0).max() < 1e-6:
        return Finding(name, "warning", "every input gets the same answer")
    return Finding(name, "ok")


def _output_kind(pack: packs.Pack, inputs: Floats, name: str) -> Finding:
    values = pack.logits(inputs)
    kind = pack.card.output.kind
    if kind == "logits" and values.shape[1] > 1 and looks_like_probabilities(values):
        message = 'the outputs are probabilities, not logits: set output.kind to "probabilities"'
        return Finding(name, "failed" if pack.card.format > 1 else "warning", message)
    if kind == "probabilities" and not looks_like_probabilities(np.exp(values)):
        message = 'the outputs do not sum to 1: set output.kind to "logits"'
        return Finding(name, "failed", message)
    return Finding(name, "ok")


def looks_like_probabilities(values: Floats) -> bool:
    """Whether all rows of (N, K) are shares of 1."""
    sums = values.sum(axis=1)
    return bool((values >= -1e-6).all() and np.abs(sums - 1).max() < 1e-2)


_TESTS: dict[str, Callable[[packs.Pack, Floats, str], Finding]] = {
    "finite": _finite,
    "batches": _batches,
    "repeats": _repeats,
    "varies": _varies,
    "output kind": _output_kind,
}


def _sample(pack: packs.Pack, path: Path) -> Finding:
    """The pack's answer for a picture; not for ink, which would have to be located first."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    probabilities, _ = pack.judge(pack.logits(pack.prepare(pixels)))
    best = int(probabilities[0].argmax())
    label = pack.card.classes[best]
    shown = pack.card.names.get(label, label)
    return Finding(f"picture {path.name}", "ok", f"{shown} {probabilities[0, best]:.3f}")


def _milliseconds(pack: packs.Pack, inputs: Floats) -> float:
    """Milliseconds per picture, measured one after the other for about a second."""
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < _SPEED_SECONDS:
        pack.logits(inputs[count % len(inputs)][None])
        count += 1
    return round(1000 * (time.perf_counter() - started) / count, 2)


def _limit(memory_bytes: int, seconds: int) -> None:
    """Limit this process where the system can: memory, and processor time over all threads."""
    try:
        import resource
    except ImportError:  # Windows: the parent's time-out remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The check writes no files; a pack cannot fill the disk either.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(arguments: Sequence[str]) -> None:
    """Check the pack of the arguments under limits and print the report."""
    words = list(arguments)
    seconds = int(words[words.index("--seconds") + 1])
    memory = int(words[words.index("--memory") + 1])
    paths = words[: words.index("--memory")]
    _limit(memory, seconds)
    report = inspect(Path(paths[0]), [Path(path) for path in paths[1:]])
    sys.stdout.write(json.dumps(report.to_json()))


if __name__ == "__main__":
    main(sys.argv[1:])
