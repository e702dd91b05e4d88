"""Train the `digits` pack. README.md has the figures that it reached, train.log their log.

    python recipes/digits/train.py --data DATA --out PACK [--seed 0]

Needs the `train` extra (torch, onnx). DATA is laid out as `WHERE` in sources.py says; MNIST is
fetched where it is missing. Never trained on: MNIST's test set, USPS, canvas drawings, photos,
devphotos, optdigits.tes, MNIST's last 5,000 training images, and the validation writers of the sets
that name them.
"""

import argparse
import datetime as dt
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import confidence
import degraded
import network as nets
import nondigits
import numpy as np
import sources
import testsets
import torch
from sources import Crops, Data
from torch.nn import functional

from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.vision import reading

LICENCE = (
    "Apache-2.0 (weights); trained on MNIST (CC BY-SA 3.0), OpenCV's grid (Apache-2.0), Semeion, "
    "optdigits, Pen-Based Recognition of Handwritten Digits and UJI Pen Characters (CC BY 4.0), "
    "kensanata/numbers (CC0 1.0), skahl/handwritten-digits-corpus (Apache-2.0), handwriting fonts "
    "(OFL-1.1, Apache-2.0), Omniglot and notMNIST (MIT)"
)
FIRST = {  # shares of a batch; they need not sum to 1
    "mnist": 0.66, "opencv": 0.05, "semeion": 0.04, "optdigits": 0.05, "synthetic": 0.20,
    "nondigits": 0.13,
}  # fmt: skip
SECOND = {
    "mnist": 0.40, "opencv": 0.04, "semeion": 0.03, "optdigits": 0.03, "kensanata": 0.16,
    "pendigits": 0.07,
    "skahl": 0.02, "uji": 0.02, "fonts": 0.03, "synthetic": 0.20, "nondigits": 0.16,
}  # fmt: skip
THIRD = {
    "mnist": 0.80, "opencv": 0.04, "semeion": 0.02, "optdigits": 0.02, "kensanata": 0.13,
    "pendigits": 0.06, "skahl": 0.02, "uji": 0.02, "fonts": 0.03, "synthetic": 0.16,
    "blurred": 0.10, "struck": 0.04, "faint": 0.04, "nondigits": 0.19,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the trainings that follow each other: how many images, the highest learning rate, what
    they are of; `share` below 1 takes the mean of the weights after it, by this share, and before.
    """

    images: int
    rate: float
    shares: dict[str, float]
    share: float = 1.0


STAGES = {
    1: Stage(1_600_000, 3e-3, FIRST),
    2: Stage(1_655_808, 2e-3, SECOND),
    3: Stage(384_000, 1e-3, THIRD, share=0.3),
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with mnist/, kensanata/, fonts/ …")
    add("--out", type=Path, required=True, help="folder of the pack to write")
    add("--seed", type=int, default=0)
    add("--stages", type=int, nargs="+", default=list(STAGES), help="which, in turn")
    add("--images", type=int, default=None, help="augmented images of each stage")
    add("--batch", type=int, default=256)
    add("--widths", type=int, nargs=3, default=(16, 32, 64), help="channels at 28, 14 and 7 px")
    add("--start", type=Path, default=None, help="a pack whose weights the stages start from")
    add("--without", nargs="*", default=[], help="sources to leave out: synthetic, nondigits, …")
    add("--offline", action="store_true", help="fetch nothing")
    add("--weights", type=Path, default=None, help="state of the training: resumed if there")
    add("--pages", type=int, default=12_000, help="crops off synthetic pages")
    add("--times", type=int, default=8, help="ways to draw a pen stroke or a font's digit")
    add("--threads", type=int, default=2)
    add("--cache", type=Path, default=None, help="folder that keeps what is costly to make")
    return parser.parse_args()


# ---- Data ----


Digits = dict[str, tuple[np.ndarray, np.ndarray]]


def load(
    data: Data, args: argparse.Namespace
) -> tuple[dict[str, Crops], confidence.Validation, Digits]:
    """The training sources by name, what the confidence is fitted on, and what the log shows."""
    times = args.times
    plain = sources.plain(data)
    scans = sources.scanned(data)
    pen = sources.drawn(data, "pendigits", "pendigits/digits.npz", max(1, times * 3 // 8))
    skahl = sources.drawn(data, "skahl", "skahl/digits.npz", times * 3 // 2)
    uji = sources.drawn(data, "uji", "uji/chars.npz", times * 5 // 2)
    fonts = sources.typed(data, times)
    pages = sources.pages(data, args.pages)
    bad = degraded.bad_pictures(data, args.pages // 3)
    scans_faint = degraded.faint_scans(data, args.pages // 3)
    images, labels = data.mnist("train")
    train_x = images[:-5000]
    train_y = labels[:-5000]
    weight = fonts["weight"] / fonts["weight"].sum()
    training = {
        "mnist": sources.weighted(train_x, train_y),
        **{
            name: sources.weighted(plain[f"{name}_x"], plain[f"{name}_y"])
            for name in ("opencv", "semeion", "optdigits")
        },
        "kensanata": sources.weighted(scans["x"], scans["y"], scans["w"]),
        "pendigits": sources.weighted(pen["x"], pen["y"], pen["w"]),
        "skahl": sources.weighted(skahl["x"], skahl["y"], skahl["w"]),
        "uji": sources.weighted(uji["x"], uji["y"], uji["w"]),
        "fonts": Crops(fonts["x"], fonts["y"].astype(np.int64), weight),
        "synthetic": sources.weighted(pages["x"], pages["y"]),
        **{name: sources.weighted(bad[f"{name}_x"], bad[f"{name}_y"]) for name in degraded.KINDS},
        "faint": sources.weighted(scans_faint["x"], scans_faint["y"], scans_faint["w"]),
        "nondigits": nondigits.training(data, train_x, train_y, pages["wrong"]),
    }
    digits = {
        "mnist": (images[-5000:], labels[-5000:]),
        "usps": (plain["usps_x"], plain["usps_y"]),
        "canvas": (plain["canvas_x"], plain["canvas_y"]),
        "kensanata": (scans["check_x"], scans["check_y"]),
        "strokes": tuple(
            np.concatenate([part[f"check_{column}"] for part in (pen, skahl, uji)])
            for column in "xy"
        ),
        "pages": (pages["check_x"], pages["check_y"]),
    }
    check = confidence.Validation(digits, nondigits.validation(data, pages["check_wrong"]))
    spoilt = {  # no part of the confidence's fit
        f"{name} check": (bad[f"check_{name}_x"], bad[f"check_{name}_y"]) for name in degraded.KINDS
    }
    present = {name: crops for name, crops in training.items() if name not in args.without}
    return present, check, digits | spoilt


def batches(
    training: dict[str, Crops], shares: dict[str, float], size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless mixed batches: each source by its share, each sample by its weight."""
    present = [name for name in shares if name in training]
    total = sum(shares[name] for name in present)
    counts = {name: round(size * shares[name] / total) for name in present}
    counts["mnist"] += size - sum(counts.values())
    pools = {
        name: (
            torch.from_numpy(crops.x.copy()),
            torch.from_numpy(crops.y),
            torch.from_numpy(crops.weight.cumsum()),
        )
        for name, crops in training.items()
        if name in counts
    }
    while True:
        xs = []
        ys = []
        for name, (x, y, ladder) in pools.items():
            at = torch.searchsorted(ladder, torch.rand(counts[name], dtype=torch.float64))
            at = at.clamp(max=len(x) - 1)
            xs.append(x[at])
            ys.append(y[at])
        yield torch.cat(xs).unsqueeze(1).float() / 255, torch.cat(ys)


# ---- Training ----


class Training:
    """A network in training: its moving average, its optimiser, its clock; saved and resumed."""

    def __init__(self, args: argparse.Namespace, number: int, training: dict[str, Crops]) -> None:
        self.args = args
        self.number = number
        self.stage = STAGES[number]
        self.images = args.images or self.stage.images
        self.batches = batches(training, self.stage.shares, args.batch)
        self.network = nets.Network(*args.widths).to(memory_format=torch.channels_last)
        self.step = 0
        self.seconds = 0.0
        self.set_up()

    def set_up(self) -> None:
        """A fresh optimiser and average for the network as it is."""
        self.average = nets.averaged(self.network)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0, weight_decay=0.02)

    def start_from(self, path: Path, training: dict[str, Crops]) -> None:
        """Take over the weights of an exported network."""
        usual, _ = next(batches(training, self.stage.shares, 2048))
        nets.start_from(self.network, path, nets.augment(usual))
        self.set_up()

    def go_back(self, before: Path, training: dict[str, Crops]) -> None:
        """Take the stage's mean of the averaged weights and those of an exported network."""
        mean = self.args.out / "mean.onnx"
        export(self.average, mean)
        nets.average_files(mean, before, self.stage.share)
        self.start_from(mean, training)
        mean.unlink()

    def resume(self) -> int:
        """Load the state of this stage if there is one. Returns the number of the stage that a
        state is of, 0 without one.
        """
        path = self.args.weights
        state = torch.load(path, weights_only=True) if path and path.exists() else {"stage": 0}
        if state["stage"] == self.number:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            self.seconds = state["seconds"]
            torch.manual_seed(self.args.seed + self.step)
        return int(state["stage"])

    def save(self) -> None:
        """Write the state beside the old one, then in its place."""
        if not self.args.weights:
            return
        state = {
            "stage": self.number, "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        new = self.args.weights.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.args.weights)

    def rate(self) -> float:
        """The learning rate of the next step: warm-up, then a cosine to zero."""
        steps = self.images // self.args.batch
        warm = max(1, min(400, steps // 10))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / steps)))
        return self.stage.rate * min((self.step + 1) / warm, cosine)

    def run(self, check: Digits) -> None:
        """Train to the last step, with a line in the log and a saved state every few hundred
        steps.
        """
        self.network.train()
        mean = 0.0
        clock = time.time() - self.seconds
        each = 250
        while self.step < self.images // self.args.batch:
            loss = self._train_step(*next(self.batches))
            self.seconds = time.time() - clock
            mean += (loss - mean) / min(self.step, 200)
            if self.step % each == 0:
                self.save()
                rates = " ".join(
                    f"{name} {self.right(x[:2000], y[:2000]):.4f}" for name, (x, y) in check.items()
                )
                at = f"stage {self.number} step {self.step}"
                print(f"{at} loss {mean:.4f} {rates} {self.seconds:.0f} s", flush=True)
        self.save()

    def _train_step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        x = nets.augment(x).contiguous(memory_format=torch.channels_last)
        loss = functional.cross_entropy(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.network)
        self.step += 1
        return loss.item()

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of the averaged weights for (N, 28, 28) uint8."""
        self.average.eval()
        with torch.inference_mode():
            parts = [
                self.average(torch.from_numpy(part.copy()).unsqueeze(1).float() / 255)
                for part in np.array_split(images, max(1, len(images) // 500))
            ]
        return torch.cat(parts).numpy()

    def right(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of digits that the averaged weights get right."""
        return float((self.logits(images)[:, :10].argmax(axis=1) == labels).mean())


def train(args: argparse.Namespace, training: dict[str, Crops], check: Digits) -> Training:
    """The stages in turn, each from the weights of the one before."""
    before = args.start / cards.MODEL if args.start else None
    for number in args.stages:
        after = args.out / f"stage{number}.onnx"
        run = Training(args, number, training)
        resumed = run.resume()
        if resumed > number and after.exists():
            before = after
            continue
        if resumed != number and before:
            run.start_from(before, training)
        run.run(check)
        if run.stage.share < 1 and before:
            run.go_back(before, training)
        export(run.average, after)
        before = after
    return run


# ---- Export ----


def export(average: torch.nn.Module, path: Path) -> str:
    """Write the network as ONNX. Returns the file's SHA-256."""
    final = average.module.eval().to(memory_format=torch.contiguous_format)
    axes = {"crops": {0: "n"}, "logits": {0: "n"}}
    torch.onnx.export(
        final, (torch.zeros(2, 1, 28, 28),), path, input_names=["crops"], output_names=["logits"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Train, fit the confidence, write the pack, print its card."""
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    data = Data(args.data, cache=args.cache, offline=args.offline)
    started = time.time()
    training, check, watched = load(data, args)
    sizes = {name: len(crops.x) for name, crops in training.items()}
    print(sizes, f"loaded in {time.time() - started:.0f} s", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    run = train(args, training, watched)
    parameters = sum(p.numel() for p in run.network.parameters())
    noisy = nets.augment(
        torch.from_numpy(check.digits["mnist"][0].copy()).unsqueeze(1).float() / 255
    )
    noisy_x = (noisy.squeeze(1).numpy() * 255).round().astype(np.uint8)
    check.digits["corrupted"] = (noisy_x, check.digits["mnist"][1])
    facts = {
        "sha256": export(run.average, args.out / cards.MODEL), "licence": LICENCE,
        "created": dt.datetime.now(dt.UTC).date().isoformat(),
    }  # fmt: skip
    if args.start and (args.start / cards.LINE).exists():  # the pack goes on with its line reader
        shutil.copy(args.start / cards.LINE, args.out)
        facts["files"] = cards.read_card(args.start).files
    pictures_of = None
    if (args.data / "devphotos").exists():  # as they are found with a first fit
        cards.write_card(args.out, confidence.first_fit(run.logits, check, **facts))
        reader = reading.Reader(packs.open_pack(args.out))
        check.digits["devphotos"] = testsets.items(args.data, reader)

        def pictures_of(card: cards.Card) -> confidence.Judged:
            cards.write_card(args.out, card)
            reader = reading.Reader(packs.open_pack(args.out))
            return confidence.Judged(*testsets.readings(args.data, reader))

    card = confidence.fit(run.logits, check, pictures_of, **facts)
    cards.write_card(args.out, card)
    history = {
        "parameters": parameters, "seconds": round(run.seconds), "images": args.batch * run.step,
        "seed": args.seed, "without": args.without,
        "start": packs.open_pack(args.start).model.version if args.start else None,
    }  # fmt: skip
    test = data.mnist("t10k")
    unseen = {
        "Early_Aramaic": nondigits.omniglot(data, ["Early_Aramaic"]),
        "notMNIST J": nondigits.letters(data, "J"),
    }
    figures = confidence.figures(
        packs.open_pack(args.out, threads=args.threads), check, test, unseen
    )
    versions = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
    line = cards.read_card(args.start).metrics["line"] if "files" in facts else None
    metrics = {**history, **figures, "versions": versions, **({"line": line} if line else {})}
    card = cards.Card.from_json({**card.to_json(), "metrics": metrics})
    cards.write_card(args.out, card)
    for file in args.out.glob("stage*.onnx"):
        file.unlink()
    print(json.dumps(card.to_json()))


if __name__ == "__main__":
    main()
