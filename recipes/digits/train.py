"""Train the `digits` pack. README.md has the figures that it reached, train.log their log.

    python recipes/digits/train.py --data DATA --out PACK [--seed 0] [--images 2000000]

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
import time
from collections.abc import Iterator
from pathlib import Path

import confidence
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
SHARES = {  # of a batch; they need not sum to 1
    "mnist": 0.40, "opencv": 0.04, "semeion": 0.03, "optdigits": 0.03, "kensanata": 0.16,
    "pendigits": 0.07,
    "skahl": 0.02, "uji": 0.02, "fonts": 0.03, "synthetic": 0.20, "nondigits": 0.16,
}  # fmt: skip


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with mnist/, kensanata/, fonts/ …")
    add("--out", type=Path, required=True, help="folder of the pack to write")
    add("--seed", type=int, default=0)
    add("--images", type=int, default=2_000_000, help="augmented images to train on")
    add(
        "--minutes", type=float, default=None, help="stop by then, the learning rate planned for it"
    )
    add("--batch", type=int, default=256)
    add("--widths", type=int, nargs=3, default=(16, 32, 64), help="channels at 28, 14 and 7 px")
    add("--rate", type=float, default=3e-3, help="highest learning rate")
    add("--start", type=Path, default=None, help="a pack whose weights to start from")
    add("--without", nargs="*", default=[], help="sources to leave out: synthetic, nondigits, …")
    add("--offline", action="store_true", help="fetch nothing")
    add("--weights", type=Path, default=None, help="state of the training: resumed if there")
    add("--pages", type=int, default=12_000, help="crops off synthetic pages")
    add("--times", type=int, default=8, help="ways to draw a pen stroke or a font's digit")
    add("--threads", type=int, default=2)
    add("--cache", type=Path, default=None, help="folder that keeps what is costly to make")
    return parser.parse_args()


# ---- Data ----


def load(data: Data, args: argparse.Namespace) -> tuple[dict[str, Crops], confidence.Validation]:
    """The training sources by name, and what the confidence is fitted on."""
    times = args.times
    plain = sources.plain(data)
    scans = sources.scanned(data)
    pen = sources.drawn(data, "pendigits", "pendigits/digits.npz", max(1, times * 3 // 8))
    skahl = sources.drawn(data, "skahl", "skahl/digits.npz", times * 3 // 2)
    uji = sources.drawn(data, "uji", "uji/chars.npz", times * 5 // 2)
    fonts = sources.typed(data, times)
    pages = sources.pages(data, args.pages)
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
    return {name: crops for name, crops in training.items() if name not in args.without}, check


def batches(training: dict[str, Crops], size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless mixed batches: each source by its share, each sample by its weight."""
    total = sum(SHARES[name] for name in training)
    counts = {name: round(size * SHARES[name] / total) for name in training}
    counts["mnist"] += size - sum(counts.values())
    pools = {
        name: (
            torch.from_numpy(crops.x.copy()),
            torch.from_numpy(crops.y),
            torch.from_numpy(crops.weight.cumsum()),
        )
        for name, crops in training.items()
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

    def __init__(self, args: argparse.Namespace, training: dict[str, Crops]) -> None:
        self.args = args
        self.network = nets.Network(*args.widths).to(memory_format=torch.channels_last)
        if args.start:
            usual, _ = next(batches(training, 2048))
            nets.start_from(self.network, args.start / cards.MODEL, nets.augment(usual))
        self.average = nets.averaged(self.network)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0, weight_decay=0.02)
        self.step = 0
        self.seconds = 0.0
        if args.weights and args.weights.exists():
            state = torch.load(args.weights, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            self.seconds = state["seconds"]
            torch.manual_seed(args.seed + self.step)

    def save(self) -> None:
        """Write the state beside the old one, then in its place."""
        if not self.args.weights:
            return
        state = {
            "network": self.network.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        new = self.args.weights.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.args.weights)

    def progress(self) -> float:
        """How much of the training is done, 0 … 1: by images, or by minutes if set."""
        done = self.step * self.args.batch / self.args.images
        if self.args.minutes:
            done = max(done, self.seconds / 60 / self.args.minutes)
        return done

    def rate(self) -> float:
        """The learning rate of the next step: warm-up, then a cosine to zero."""
        warm = max(1, min(400, self.args.images // self.args.batch // 10))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress()))) + 0.002
        return self.args.rate * min((self.step + 1) / warm, cosine)

    def run(self, training: dict[str, Crops], check: confidence.Validation) -> None:
        """Train until progress is 1, with a line in the log and a saved state every few hundred
        steps.
        """
        self.network.train()
        mean = 0.0
        clock = time.time() - self.seconds
        each = 500
        for x, y in batches(training, self.args.batch):
            if self.progress() >= 1:
                break
            loss = self._train_step(x, y)
            self.seconds = time.time() - clock
            mean += (loss - mean) / min(self.step, 200)
            if self.step % each == 0:
                self.save()
                rates = " ".join(
                    f"{name} {self.right(x[:2000], y[:2000]):.4f}"
                    for name, (x, y) in check.digits.items()
                )
                print(f"step {self.step} loss {mean:.4f} {rates} {self.seconds:.0f} s", flush=True)
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
    training, check = load(data, args)
    sizes = {name: len(crops.x) for name, crops in training.items()}
    print(sizes, f"loaded in {time.time() - started:.0f} s", flush=True)
    run = Training(args, training)
    parameters = sum(p.numel() for p in run.network.parameters())
    print(f"{parameters} parameters, at step {run.step}", flush=True)
    run.run(training, check)
    noisy = nets.augment(
        torch.from_numpy(check.digits["mnist"][0].copy()).unsqueeze(1).float() / 255
    )
    noisy_x = (noisy.squeeze(1).numpy() * 255).round().astype(np.uint8)
    check.digits["corrupted"] = (noisy_x, check.digits["mnist"][1])

    args.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "sha256": export(run.average, args.out / cards.MODEL), "licence": LICENCE,
        "created": dt.datetime.now(dt.UTC).date().isoformat(),
    }  # fmt: skip
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
        "parameters": parameters, "seconds": round(run.seconds), "images": run.step * args.batch,
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
    metrics = {**history, **figures, "versions": versions}
    card = cards.Card.from_json({**card.to_json(), "metrics": metrics})
    cards.write_card(args.out, card)
    print(json.dumps(card.to_json()))


if __name__ == "__main__":
    main()
