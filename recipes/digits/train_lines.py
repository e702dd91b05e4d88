"""Train the line reader of the `digits` pack: digits in a row read at once, without cutting them.

    python recipes/digits/train_lines.py --data DATA --cache CACHE --pack PACK --out line.onnx

A fully convolutional network (CTC) whose first layers are the pack's own, warm. The same sets as
`train.py` trains on, never devphotos, photos, USPS or canvas drawings. Needs the `train` extra.
Runs on a GPU if there is one (`--signs 8000 --rate 3e-3`), else on the CPU.
"""

import argparse
import copy
import dataclasses
import hashlib
import json
import math
import time
from pathlib import Path

import confidence
import lines
import network as nets
import numpy as np
import sources
import testsets
import torch
from torch import nn
from torch.nn import functional

from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.vision import reading

SHARES = {
    "mnist": 0.40, "kensanata": 0.20, "pendigits": 0.12, "fonts": 0.06, "skahl": 0.04, "uji": 0.04,
    "opencv": 0.04, "semeion": 0.03, "optdigits": 0.02, "pages": 0.05,
}  # fmt: skip
OTHERS = ("scripts", "printed letters", "scribbles", "written letters", "signs")
WIDTHS = 16, 32, 64
SHAPES = {"narrow": (96, 0, 0), "wide": (128, 1, 2)}
"""The width of the head, and how many further layers look at strokes and along the line."""
CHECKED = 2048
REPORT_SECONDS = 60.0


class LineReader(nn.Module):
    """(N, 1, 32, W) → (N, W / 4, 12) log probabilities."""

    def __init__(self, shape: str) -> None:
        super().__init__()
        inner, strokes, further = SHAPES[shape]
        self.body = nets.Network(*WIDTHS).body
        self.head = nn.Sequential(
            *(nets.Residual(WIDTHS[2]) for _ in range(strokes)),
            nn.Conv2d(WIDTHS[2], inner, (lines.HEIGHT // 4, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(inner), nn.ReLU(),
            *(Context(inner) for _ in range(further)),
            nn.Conv2d(inner, inner, (1, 5), padding=(0, 2), bias=False),
            nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, lines.OUTPUTS, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.head(self.body(x)).squeeze(2).transpose(1, 2)
        return torch.log_softmax(scores, 2)


class Context(nn.Module):
    """A convolution along the line beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, (1, 5), padding=(0, 2), bias=False), nn.BatchNorm2d(width),
            nn.ReLU(), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--cache", type=Path, default=None, help="folder with what train.py made of the sets")
    add("--pack", type=Path, required=True, help="the pack whose first layers to start from")
    add("--out", type=Path, required=True, help="the ONNX file to write, -SHAPE added if several")
    add("--weights", type=Path, required=True, help="state of the training: resumed if there")
    add("--minutes", type=float, default=35.0)
    add("--frozen", type=float, default=0.1, help="share of the time with the first layers fixed")
    add("--rate", type=float, default=2e-3)
    add("--signs", type=int, default=250, help="signs in a batch, the paper beside a line as one")
    add("--shape", choices=SHAPES, nargs="+", default=["narrow"], help="trained on the same lines")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--put", action="store_true", help="put the network into the pack")
    return parser.parse_args()


def load(args: argparse.Namespace) -> tuple[lines.Glyphs, lines.Glyphs]:
    """Glyphs to train on, and of other writers to check on."""
    data = sources.Data(args.data, cache=args.cache, offline=True)
    images, labels = data.mnist("train")
    plain = sources.plain(data)
    pages = sources.pages(data, 12_000)
    training = {"mnist": (images[:-5000], labels[:-5000], None)}
    check = {"mnist": (images[-5000:], labels[-5000:], None)}
    for name in ("opencv", "semeion", "optdigits"):
        training[name] = (plain[f"{name}_x"], plain[f"{name}_y"], None)
    training["pages"] = (pages["x"], pages["y"], None)
    scans = sources.scanned(data)
    training["kensanata"] = (scans["x"], scans["y"], scans["w"])
    check["kensanata"] = (scans["check_x"], scans["check_y"], None)
    for name, file, times in (
        ("pendigits", "pendigits/digits.npz", 3),
        ("skahl", "skahl/digits.npz", 12),
        ("uji", "uji/chars.npz", 20),
    ):
        pen = sources.drawn(data, name, file, times)
        training[name] = (pen["x"], pen["y"], pen["w"])
        check[name] = (pen["check_x"], pen["check_y"], None)
    fonts = sources.typed(data, 8)
    training["fonts"] = (fonts["x"], fonts["y"], None)
    with np.load(args.cache / "nondigits.npz") as file:
        others = np.concatenate([file[name] for name in OTHERS])
    with np.load(args.cache / "nondigits_check.npz") as file:
        unseen = np.concatenate([file["written letters"], file["signs"], file["Balinese"]])
    return lines.Glyphs(_weighed(training), others), lines.Glyphs(_weighed(check), unseen)


def _weighed(sets: dict) -> dict:
    """Cumulative weights instead of writers: every writer counts alike."""
    result = {}
    for name, (x, y, writer) in sets.items():
        weight = np.ones(len(x)) if writer is None else 1 / np.bincount(writer)[writer]
        result[name] = (x, y, np.cumsum(weight / weight.sum()).clip(0, 1 - 1e-9))
    return result


def decoded(scores: torch.Tensor) -> list[list[int]]:
    """The likeliest label at each place, repeats and blanks taken out."""
    result = []
    for path in scores.argmax(2).tolist():
        changes = zip(path, [lines.BLANK, *path], strict=False)
        result.append([now for now, before in changes if now not in (before, lines.BLANK)])
    return result


@torch.no_grad()
def check(network: LineReader, batches: list[lines.Batch]) -> float:
    """The share of lines that are read right."""
    network.eval()
    right = [
        answer == label
        for batch in batches
        for answer, label in zip(decoded(network(batch.x)), batch.texts, strict=True)
    ]
    return float(np.mean(right))


def export(network: LineReader, path: Path) -> None:
    """Write the network as ONNX, any number of lines of any width."""
    network = copy.deepcopy(network).cpu().eval()
    with torch.device("cpu"):
        torch.onnx.export(
            network, (torch.zeros(2, 1, lines.HEIGHT, 64),), str(path), dynamo=False,
            opset_version=17, input_names=["lines"], output_names=["log_probabilities"],
            dynamic_axes={
                "lines": {0: "n", 3: "width"}, "log_probabilities": {0: "n", 1: "places"},
            },
        )  # fmt: skip


def put_into(pack: Path, network: Path, metrics: dict, data: Path) -> None:
    """Put a line reader into a pack: its file, its SHA-256 and its figures in the card, and the
    risk on pictures as they are read with it.
    """
    content = network.read_bytes()
    (pack / cards.LINE).write_bytes(content)
    card = cards.read_card(pack)
    files = {cards.LINE: hashlib.sha256(content).hexdigest()}
    card = dataclasses.replace(card, files=files, metrics={**card.metrics, "line": metrics})
    cards.write_card(pack, card)
    if (data / "devphotos").exists():
        reader = reading.Reader(packs.open_pack(pack))
        pictures = confidence.Judged(*testsets.readings(data, reader))
        cards.write_card(pack, confidence.with_pictures(card, pictures))


def loss_of(network: LineReader, batch: lines.Batch) -> torch.Tensor:
    """CTC's loss a line."""
    x = batch.x.to(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
        scores = network(x).float().transpose(0, 1)
    places = torch.full_like(batch.lengths, len(scores))
    return functional.ctc_loss(scores, batch.labels, places, batch.lengths, zero_infinity=True)


@dataclasses.dataclass
class Progress:
    """How far a training is: steps, lines and seconds."""

    step: int = 0
    lines: int = 0
    seconds: float = 0.0


class Run:
    """A training of one network with its state."""

    def __init__(self, args: argparse.Namespace, shape: str) -> None:
        self.args = args
        several = len(args.shape) > 1
        self.out = args.out.with_stem(f"{args.out.stem}-{shape}") if several else args.out
        self.network = LineReader(shape).to(memory_format=torch.channels_last)
        self._warm(args)
        self.network.to(args.device)
        self.mean = copy.deepcopy(self.network)
        groups = [
            {"params": self.network.head.parameters(), "scale": 1.0},
            {"params": self.network.body.parameters(), "scale": 0.4},
        ]
        fused = args.device == "cuda"
        self.optimiser = torch.optim.AdamW(groups, lr=args.rate, weight_decay=0.02, fused=fused)
        self.losses: list[torch.Tensor] = []

    def _warm(self, args: argparse.Namespace) -> None:
        """Take over the pack's first layers."""
        first = nets.Network(*WIDTHS)
        images, _ = sources.Data(args.data, offline=True).mnist("train")
        usual = torch.from_numpy(images[:512] / 255.0).float()[:, None]
        nets.start_from(first, args.pack / cards.MODEL, usual)
        self.network.body.load_state_dict(first.body.state_dict())

    @property
    def state(self) -> dict:
        """All that is needed to go on."""
        parts = {"network": self.network, "mean": self.mean, "optimiser": self.optimiser}
        return {name: part.state_dict() for name, part in parts.items()}

    def resume(self, state: dict) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])

    def learn(self, batch: lines.Batch, share: float, step: int) -> None:
        """One step, `step` so far, a `share` of the training's time over."""
        fixed = share < self.args.frozen
        self.network.train()
        self.network.body.train(not fixed).requires_grad_(not fixed)
        warm = min(1.0, (step + 1) / 100)
        for group in self.optimiser.param_groups:
            rate = self.args.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
            group["lr"] = rate * group["scale"]
        loss = loss_of(self.network, batch)
        self.optimiser.zero_grad()
        loss.backward()
        if nn.utils.clip_grad_norm_(self.network.parameters(), 5.0).isfinite():
            self.optimiser.step()
        self.losses.append(loss.detach())
        old = min(0.998, 1 - 9 / (9 + step))
        means = self.mean.state_dict().values()
        for mean, value in zip(means, self.network.state_dict().values(), strict=True):
            mean.copy_(torch.lerp(value, mean, old) if mean.is_floating_point() else value)

    def report(self, batches: list[lines.Batch]) -> dict:
        """Write the network; its loss since the last report and the share of lines read right."""
        export(self.mean, self.out)
        loss = round(float(torch.stack(self.losses).mean()), 4) if self.losses else None
        self.losses = []
        return {"loss": loss, "right": check(self.mean, batches)}


class Training:
    """The networks that are trained on the same lines, and how far they are."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.runs = {shape: Run(args, shape) for shape in args.shape}
        self.progress = Progress()
        if args.weights.exists():
            state = torch.load(args.weights, map_location=args.device)
            self.progress = Progress(**state["progress"])
            for shape, run in self.runs.items():
                run.resume(state[shape])
        self.began = time.monotonic() - self.progress.seconds

    @property
    def share(self) -> float:
        """The share of the time that is over; counts it."""
        self.progress.seconds = time.monotonic() - self.began
        return self.progress.seconds / (60 * self.args.minutes)

    def learn(self, batch: lines.Batch) -> None:
        """One step of every network."""
        for run in self.runs.values():
            run.learn(batch, self.share, self.progress.step)
        self.progress.step += 1
        self.progress.lines += len(batch.x)

    def report(self, batches: list[lines.Batch]) -> dict[str, dict]:
        """Print how far it is, and keep its state and networks."""
        progress = dataclasses.asdict(self.progress)
        torch.save(
            {"progress": progress, **{name: run.state for name, run in self.runs.items()}},
            self.args.weights,
        )
        facts = {name: {**progress, **run.report(batches)} for name, run in self.runs.items()}
        for name, fact in facts.items():
            fact["seconds"] = round(fact["seconds"])
            print(json.dumps({"shape": name, **fact}), flush=True)
        return facts


def main() -> None:
    """Train until the time is over, then write the mean of the last weights."""
    args = arguments()
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    training = Training(args)
    glyphs, unseen = load(args)
    torch.set_default_device(args.device)
    torch.manual_seed(1_000 + args.seed)
    test = lines.Writer(unseen, SHARES, 1_000 + args.seed)
    batches = [test.batch(64, 1, 8) for _ in range(CHECKED // 64)]
    torch.manual_seed(args.seed + training.progress.step)
    writer = lines.Writer(glyphs, SHARES, args.seed)
    next_report = training.progress.seconds + REPORT_SECONDS
    while training.share < 1:
        # Lines of much the same length waste no paper.
        length = int(writer.rng.integers(1, lines.MAX_DIGITS + 1))
        training.learn(writer.batch(args.signs // (length + 1), max(1, length - 1), length))
        if training.progress.seconds > next_report:
            training.report(batches)
            next_report = training.progress.seconds + REPORT_SECONDS
    facts = training.report(batches)[args.shape[0]]
    if args.put:
        put_into(args.pack, args.out, {**facts, "seed": args.seed}, args.data)


if __name__ == "__main__":
    main()
