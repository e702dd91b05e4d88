"""Measure a digits pack on every test of README.md: pictures go all the way from bytes to a
reading.

    python recipes/digits/evaluate.py --data DATA [--pack PACK] [--only usps devphotos …] [--shrink]
    [--json FILE]

Prints one row a test, then the rows by source and by kind, each share with its Wilson 95 %
interval.
"""

import argparse
import dataclasses
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import testsets
from PIL import Image, ImageOps
from sources import idx

from legibly.packs import pack, registry
from legibly.statistics import metrics
from legibly.vision import reading

REAL = ("usps", "photos", "devphotos single", "devphotos several", "kensanata raw")
"""Tests, by the beginning of their names, whose pictures nobody made for this project; MNIST counts
apart.
"""
HEADINGS = (
    "", "n", "digits equal", "95 %", "text equal", "`read`", "wrong among `read`", "%", "95 %",
    "calibration error", "ms",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One picture's answer: what it should be, what it was read as."""

    test: str
    source: str
    kind: str
    label: str
    text: str
    verdict: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the digits are those of the label; spaces and rows do not count."""
        return _digits(self.text) == _digits(self.label)

    @property
    def read(self) -> bool:
        """Whether the answer is a sure one."""
        return self.verdict == "read"

    @property
    def score(self) -> float:
        """How much of a digit: the confidence of an answer; below 0 for a rejection, the surer the
        lower.
        """
        return self.confidence if self.verdict in ("read", "unsure") else -self.confidence


Read = Callable[[bytes], tuple[str, str, float]]


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def production(model: pack.Pack) -> Read:
    """Read as Legibly does."""
    reader = reading.Reader(model)

    def read(data: bytes) -> tuple[str, str, float]:
        answer = reader.read(data).reading
        return answer.text, answer.verdict, answer.confidence

    return read


def shrunk(model: pack.Pack) -> Read:
    """What most tutorials do: grey, inverted if the paper is light, resized."""

    def read(data: bytes) -> tuple[str, str, float]:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("L")
        crop = np.asarray(picture.resize((28, 28), Image.Resampling.BOX), np.float32) / 255
        crop = 1 - crop if np.median(crop) > 0.5 else crop
        probabilities, digitness = model.judge(model.logits(crop[None, None]))
        verdict = model.verdicts(probabilities, digitness)[0]
        label = model.card.classes[int(probabilities.argmax())]
        confidence = float(model.confidences(probabilities, digitness)[0])
        return "" if verdict == model.card.reject else label, verdict, confidence

    return read


def run(
    name: str, test: Iterable[testsets.Picture], read: Read, every: int
) -> tuple[list[Answer], float]:
    """Every answer of a test, or of each n-th picture, and the milliseconds a picture."""
    started = time.perf_counter()
    answers = [
        Answer(name, picture.source, picture.kind, picture.label, *read(picture.data))
        for number, picture in enumerate(test)
        if number % every == 0
    ]
    return answers, 1000 * (time.perf_counter() - started) / max(1, len(answers))


def interval(part: int, n: int) -> str:
    """The Wilson 95 % interval of a share, in per cent."""
    share = metrics.share(part, n)
    return f"{100 * share.low:.2f}–{100 * share.high:.2f}" if share else ""


def row(name: str, answers: Sequence[Answer], milliseconds: float | None = None) -> list[str]:
    """One row of the table of digits."""
    n = len(answers)
    right = sum(answer.right for answer in answers)
    sure = [answer for answer in answers if answer.read]
    wrong = sum(not answer.right for answer in sure)
    text = sum(answer.text == answer.label for answer in answers)
    error = calibration_error(answers)
    return [
        name, str(n), f"{100 * right / n:.2f} %", interval(right, n), f"{100 * text / n:.2f} %",
        f"{100 * len(sure) / n:.1f} %", str(wrong), f"{100 * wrong / max(1, len(sure)):.2f} %",
        interval(wrong, len(sure)), f"{error:.3f}",
        "" if milliseconds is None else f"{milliseconds:.1f}",
    ]  # fmt: skip


def reject_row(name: str, answers: Sequence[Answer], digits: Sequence[Answer]) -> list[str]:
    """One row of the table of non-digits."""
    n = len(answers)
    read = sum(answer.read for answer in answers)
    refused = sum(answer.verdict in ("not_a_digit", "blank") for answer in answers)
    area = f"{auroc(digits, answers):.3f}" if digits else ""
    shares = [f"{100 * read / n:.1f} %", interval(read, n), f"{100 * refused / n:.1f} %"]
    return [name, str(n), *shares, area]


def calibration_error(answers: Sequence[Answer], bins: int = 15) -> float:
    """The calibration error over bins of equal mass."""
    confidence = np.array([answer.confidence for answer in answers])
    right = np.array([answer.right for answer in answers], float)
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts if len(p)]
    return float(sum(gaps) / len(answers))


def auroc(digits: Sequence[Answer], others: Sequence[Answer]) -> float:
    """The chance that a digit scores higher than a non-digit."""
    high = np.array([answer.score for answer in digits])
    low = np.sort([answer.score for answer in others])
    less = np.searchsorted(low, high, "left")
    up_to = np.searchsorted(low, high, "right")
    return float((less + up_to).mean() / 2 / len(low))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(headings) + " |\n|" + " --- |" * len(headings))
    for cells in rows:
        print("| " + " | ".join(cells) + " |", flush=True)


def groups(answers: Sequence[Answer], column: str) -> dict[str, list[Answer]]:
    """Answers by source or kind, the largest groups first."""
    result: dict[str, list[Answer]] = {}
    for answer in answers:
        result.setdefault(getattr(answer, column), []).append(answer)
    return dict(sorted(result.items(), key=lambda item: -len(item[1])))


def crops(model: pack.Pack, data: Path) -> None:
    """MNIST's test crops, straight to the network."""
    images = idx(data / "mnist/t10k-images-idx3-ubyte.gz")
    labels = idx(data / "mnist/t10k-labels-idx1-ubyte.gz")
    logits = model.logits(images[:, None].astype(np.float32) / 255)
    wrong = int((logits[:, :10].argmax(axis=1) != labels).sum())
    share = f"{100 * (1 - wrong / len(labels)):.2f} %"
    bounds = interval(len(labels) - wrong, len(labels))
    print(
        f"mnist test crops: {wrong} errors of {len(labels)}, {share} right ({bounds})", flush=True
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--pack", default="digits")
    add("--only", nargs="*", default=None, help="names, or beginnings of names, of tests")
    add("--each", type=int, default=100, help="stress pictures a kind")
    add(
        "--seed",
        type=int,
        default=7,
        help="of the stress pictures; another makes development pictures",
    )
    add("--every", type=int, default=1, help="read each n-th picture only")
    add("--shrink", action="store_true", help="look for no ink: grey, shrunk to 28 × 28")
    add("--json", type=Path, default=None, help="also write every answer here, a line each")
    return parser.parse_args()


def report(answers: Sequence[Answer]) -> None:
    """Print the tables over several tests: pooled, by source and by kind."""
    real = [answer for answer in answers if answer.test.startswith(REAL) and answer.label]
    if real:
        mnist = [answer for answer in answers if answer.test == "mnist test"]
        pooled = [row("real pictures pooled", real)]
        table(HEADINGS, pooled + ([row("with MNIST", real + mnist)] if mnist else []))
    for column in ("source", "kind"):
        table(
            (f"by {column}", *HEADINGS[1:]),
            [row(name, part) for name, part in groups(real, column).items()],
        )
    others = [answer for answer in answers if not answer.label]
    if others:
        digits = [answer for answer in answers if answer.test == "mnist test"]
        table(
            (
                "non-digits",
                "n",
                "`read`",
                "95 %",
                "`not_a_digit` or `blank`",
                "AUROC against MNIST",
            ),
            [
                reject_row(f"{test}: {kind}", rows, digits)
                for test, part in groups(others, "test").items()
                for kind, rows in groups(part, "kind").items()
            ]
            + [reject_row("all", others, digits)],
        )


def main() -> None:
    """Run the tests that the command line names."""
    args = arguments()
    model = pack.open_pack(registry.find(args.pack))
    read = shrunk(model) if args.shrink else production(model)
    print(f"{model.model.name}@{model.model.version}, read from {model.card.thresholds.read}")
    if args.only is None or "crops" in args.only:
        crops(model, args.data)
    chosen = {
        name: test
        for name, test in testsets.tests(args.data, each=args.each, seed=args.seed).items()
        if args.only is None or name.startswith(tuple(args.only))
    }
    answers: list[Answer] = []
    table(HEADINGS, [])
    for name, test in chosen.items():
        part, milliseconds = run(name, test(), read, args.every)
        answers += part
        if any(answer.label for answer in part):
            print("| " + " | ".join(row(name, part, milliseconds)) + " |", flush=True)
    report(answers)
    if args.json:
        with args.json.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(dataclasses.asdict(answer)) + "\n" for answer in answers)


if __name__ == "__main__":
    main()
