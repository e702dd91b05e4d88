"""Train the `digits` pack. README.md has the figures that it reached, train.log their log.

    python recipes/digits/train.py --data DATA --out PACK [--seed 0]

Needs the `train` extra (torch, onnx). DATA is laid out as `WHERE` in sources.py says; MNIST is
fetched where it is missing. Never trained on: MNIST's test set, USPS, canvas drawings, photos,
devphotos, optdigits.tes, MNIST's last 5,000 training images, and the validation writers of the sets
that name them.
"""

import argparse
import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import confidence
import degraded
import network as nets
import nondigits
import numpy as np
import sources
import testsets
import torch
import trainer
from sources import Crops, Data

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
    "mnist": 0.46, "opencv": 0.03, "semeion": 0.015, "optdigits": 0.015, "kensanata": 0.09,
    "pendigits": 0.04, "skahl": 0.015, "uji": 0.015, "fonts": 0.025, "synthetic": 0.10,
    "blurred": 0.05, "struck": 0.07, "faint": 0.03, "nondigits": 0.13,
}  # fmt: skip


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with mnist/, kensanata/, fonts/ …")
    add("--out", type=Path, required=True, help="folder of the pack to write")
    add("--seed", type=int, default=0)
    add("--images", type=int, default=20_000_000, help="augmented images to train on")
    add("--minutes", type=float, default=None, help="train so long, whatever --images says")
    add("--rate", type=float, default=4e-3, help="the highest learning rate")
    add("--batch", type=int, default=1024)
    add("--widths", type=int, nargs=3, default=(16, 32, 64), help="channels at 28, 14 and 7 px")
    add("--blocks", type=int, default=1, help="residual blocks at 7 px")
    add("--device", default="cpu", help="cpu or cuda")
    add("--line", type=Path, default=None, help="a pack whose line reader the new one takes over")
    add("--without", nargs="*", default=[], help="sources to leave out: synthetic, nondigits, …")
    add("--offline", action="store_true", help="fetch nothing")
    add("--weights", type=Path, default=None, help="state of the training: resumed if there")
    add("--weights-only", action="store_true", help="end before the confidence is fitted")
    add("--pages", type=int, default=12_000, help="crops off synthetic pages")
    add("--bad", type=int, default=20_000, help="crops of moved and of struck digits each")
    add("--times", type=int, default=8, help="ways to draw a pen stroke or a font's digit")
    add("--threads", type=int, default=2)
    add("--cache", type=Path, default=None, help="folder that keeps what is costly to make")
    return parser.parse_args()


# ---- Data ----


def load(
    data: Data, args: argparse.Namespace
) -> tuple[dict[str, Crops], confidence.Validation, trainer.Digits]:
    """The training sources by name, what the confidence is fitted on, and what the log shows."""
    times = args.times
    plain = sources.plain(data)
    scans = sources.scanned(data)
    pen = sources.drawn(data, "pendigits", "pendigits/digits.npz", max(1, times * 3 // 8))
    skahl = sources.drawn(data, "skahl", "skahl/digits.npz", times * 3 // 2)
    uji = sources.drawn(data, "uji", "uji/chars.npz", times * 5 // 2)
    fonts = sources.typed(data, times)
    pages = sources.pages(data, args.pages)
    bad = degraded.bad_pictures(data, args.bad)
    scans_faint = degraded.faint_scans(data, args.bad * 9 // 20)
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


def write_pack(
    run: trainer.Training, data: Data, check: confidence.Validation, args: argparse.Namespace
) -> cards.Card:
    """Export the network, fit its confidence, write its card with the figures."""
    facts = {
        "sha256": run.export(args.out / cards.MODEL), "licence": LICENCE,
        "created": dt.datetime.now(dt.UTC).date().isoformat(),
    }  # fmt: skip
    line = cards.read_card(args.line) if args.line else None
    if line:
        shutil.copy(args.line / cards.LINE, args.out)
        facts["files"] = line.files
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
    metrics = figures(run, data, check, args) | ({"line": line.metrics["line"]} if line else {})
    card = cards.Card.from_json({**card.to_json(), "metrics": metrics})
    cards.write_card(args.out, card)
    return card


def figures(
    run: trainer.Training, data: Data, check: confidence.Validation, args: argparse.Namespace
) -> dict[str, Any]:
    """How the pack was trained, and what it reaches."""
    unseen = {
        "Early_Aramaic": nondigits.omniglot(data, ["Early_Aramaic"]),
        "notMNIST J": nondigits.letters(data, "J"),
    }
    opened = packs.open_pack(args.out, threads=args.threads)
    return {
        "parameters": sum(p.numel() for p in run.network.parameters()),
        "seconds": round(run.seconds), "images": args.batch * run.step, "seed": args.seed,
        "without": args.without,
        **confidence.figures(opened, check, data.mnist("t10k"), unseen),
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__},
    }  # fmt: skip


def main() -> None:
    """Train, fit the confidence, write the pack, print its card."""
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    data = Data(args.data, cache=args.cache, offline=args.offline)
    training, check, watched = load(data, args)
    print({name: len(crops.x) for name, crops in training.items()})
    name = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    print(f"seed {args.seed}, {name}, torch {torch.__version__}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    run = trainer.Training(args)
    if run.progress < 1:
        run.run(trainer.Mixture(training, SHARES), watched)
    if args.weights_only:
        return
    torch.manual_seed(args.seed)
    images, labels = check.digits["mnist"]
    noisy = nets.augment(trainer.on_device(images).unsqueeze(1).float() / 255).squeeze(1)
    check.digits["corrupted"] = ((noisy.cpu().numpy() * 255).round().astype(np.uint8), labels)
    print(json.dumps(write_pack(run, data, check, args).to_json()))


if __name__ == "__main__":
    main()
