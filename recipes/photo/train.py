"""Trains a classifier of whole pictures from class folders, and writes a calibrated model pack.

    legibly train photo --data letters --out build/letters

Letters A to Z in 196 handwriting fonts (`python recipes/photo/letters.py FONTS letters`), tested on
families of fonts that it never saw: see README.md for figures and time. `--resume` goes on after
the last epoch that was finished, with the same result as a run that nothing ended.
"""

import argparse
import hashlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import network as networks
import numpy as np
import report
import torch
from torch.nn import functional

import pictures
from legibly import errors, records
from legibly.evaluation import fitting
from legibly.packs import card as cards
from legibly.packs import pack as packs


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="legibly train photo", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="class folders, or a folder with labels.csv")
    add("--out", type=Path, required=True, help="folder of the new pack")
    add("--name", help="name of the model; else the folder's")
    add("--side", type=int, default=64, help="pixels of the input's sides")
    add("--resize", choices=["shortest_edge", "longest_edge", "exact"], default="shortest_edge")
    add("--backbone", default="small", help="small, or a network of timm")
    add("--weights", type=Path, help="a file with the backbone's weights")
    add("--group", help="expression of what must stay together in a file's name, as a writer")
    add("--mirror", action="store_true", help="a mirrored picture is of the same class")
    add("--epochs", type=int, default=30, help="at most so many")
    add("--patience", type=int, default=6, help="epochs without gain after which it stops")
    add("--batch", type=int, default=64)
    add("--rate", type=float, default=2e-3, help="highest learning rate")
    add("--risk", type=float, default=0.01, help="share of wrong ones among sure answers")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=torch.get_num_threads())
    add("--resume", action="store_true", help="go on after the last finished epoch")
    return parser.parse_args()


def blank_card(args: argparse.Namespace, classes: list[str], *, grey: bool) -> cards.Card:
    """The card before anything is trained: classes, input and how pictures are prepared."""
    return cards.Card.from_json(
        {
            "format": 2,
            "name": args.name or args.out.name,
            "classes": [{"id": name} for name in classes],
            "layout": "whole",
            "input": {"height": args.side, "width": args.side, "channels": 1 if grey else 3},
            "prepare": {"resize": args.resize, "colour": "grey" if grey else "rgb"},
            "output": {"kind": "logits"},
            "files": {cards.MODEL: "0" * 64},
            "origin": "legibly train photo",
            "created": records.stamp(records.now()),
        }
    )


def tensor(pixels: np.ndarray, card: cards.Card) -> torch.Tensor:
    """(N, C, H, W) float32, normalised as the card says."""
    planes = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    mean = torch.tensor(card.prepare.mean).view(1, -1, 1, 1)
    std = torch.tensor(card.prepare.std).view(1, -1, 1, 1)
    return (torch.from_numpy(np.ascontiguousarray(planes)).float() / 255 - mean) / std


def fit(
    args: argparse.Namespace, card: cards.Card, train: pictures.Labelled, valid: pictures.Labelled
) -> tuple[torch.nn.Module, list[dict[str, float]]]:
    """The network of the epoch with the least loss on `valid`, and a log of all epochs."""
    torch.manual_seed(args.seed)
    model = networks.build(
        args.backbone, args.weights, channels=card.input.channels, classes=len(card.classes)
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    steps = args.epochs * -(-len(train.classes) // args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=steps)
    state: dict[str, Any] = {"epoch": 0, "best": None, "loss": float("inf"), "best_epoch": 0}
    state["log"] = []
    checkpoint = args.out.with_name(args.out.name + ".checkpoint")
    if args.resume and checkpoint.is_file():
        stored = torch.load(checkpoint, weights_only=True)
        if stored["key"] != run_key(args, train):
            raise errors.Invalid(
                "this checkpoint is of another training.",
                where=str(checkpoint),
                remedy="Leave --resume out to begin again.",
            )
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(stored[name])
        state = stored["state"]
    while state["epoch"] < args.epochs:
        if state["epoch"] - state["best_epoch"] >= args.patience:
            break
        state["epoch"] += 1
        row = train_epoch(args, card, model, optimiser, schedule, train, valid, state["epoch"])
        state["log"].append(row)
        if row["valid_loss"] < state["loss"]:
            best = {name: value.clone() for name, value in model.state_dict().items()}
            state |= {"best": best, "loss": row["valid_loss"], "best_epoch": state["epoch"]}
        parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
        save(checkpoint, {name: part.state_dict() for name, part in parts.items()} | {
            "state": state, "key": run_key(args, train),
        })  # fmt: skip
        print("  ".join(f"{name} {value:g}" for name, value in row.items()), file=sys.stderr)
    model.load_state_dict(state["best"])
    return model.eval(), state["log"]


def train_epoch(args, card, model, optimiser, schedule, train, valid, number) -> dict[str, float]:
    """Every training picture once, changed at random; then loss and accuracy on `valid`."""
    began = time.monotonic()
    torch.manual_seed(args.seed * 10_000 + number)  # an epoch is the same after a resume
    model.train()
    total = 0.0
    order = torch.randperm(len(train.classes))
    with click.progressbar(
        order.split(args.batch), label=f"epoch {number}", file=sys.stderr
    ) as batches:
        for batch in batches:
            x = tensor(train.pixels[batch.numpy()], card)
            x = networks.changed(x, mirror=args.mirror)
            loss = functional.cross_entropy(model(x), torch.from_numpy(train.classes)[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
    logits = predict(args, card, model, valid)
    truth = torch.from_numpy(valid.classes)
    return {
        "epoch": number,
        "loss": round(total / len(order), 4),
        "valid_loss": round(float(functional.cross_entropy(logits, truth)), 4),
        "valid_accuracy": round(float((logits.argmax(1) == truth).float().mean()), 4),
        "seconds": round(time.monotonic() - began, 1),
    }


def predict(args, card, model, part: pictures.Labelled) -> torch.Tensor:
    """(N, K) logits."""
    model.eval()
    with torch.no_grad():
        starts = range(0, len(part.classes), args.batch)
        rows = [model(tensor(part.pixels[i : i + args.batch], card)) for i in starts]
    return torch.cat(rows)


def run_key(args: argparse.Namespace, train: pictures.Labelled) -> str:
    """What a checkpoint depends on: a run with another key cannot go on from it."""
    names = [sample.name for sample in train.samples]
    skipped = {"resume", "threads", "out", "patience", "risk", "name"}
    facts = {name: str(value) for name, value in vars(args).items() if name not in skipped}
    return hashlib.sha256(json.dumps([facts, names], sort_keys=True).encode()).hexdigest()


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace the checkpoint at once: a process that is killed leaves the last whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    partial.replace(path)


def with_statistics(card: cards.Card, train: pictures.Labelled) -> cards.Card:
    """The card with mean and standard deviation of the training pictures."""
    values = train.pixels.reshape(-1, card.input.channels) / 255.0
    mean = tuple(round(float(value), 4) for value in values.mean(0))
    std = tuple(round(max(float(value), 0.05), 4) for value in values.std(0))
    return replace(card, prepare=replace(card.prepare, mean=mean, std=std))


def write(args: argparse.Namespace, card: cards.Card, model: torch.nn.Module) -> None:
    """The pack without calibration."""
    args.out.mkdir(parents=True, exist_ok=True)
    shape = (card.input.channels, args.side, args.side)
    content = networks.export(model, shape)
    (args.out / cards.MODEL).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    cards.write_card(args.out, replace(card, sha256=digest, files={cards.MODEL: digest}))


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    listed = pictures.find(args.data)
    classes = sorted({sample.text for sample in listed})
    parts = pictures.split(listed, pattern=args.group, seed=args.seed)
    card = blank_card(args, classes, grey=pictures.is_grey(listed))
    loaded = {}
    with click.progressbar(length=len(listed), label="pictures", file=sys.stderr) as bar:
        for name, members in parts.items():
            loaded[name], damaged = pictures.load(
                members, classes, card, tick=lambda: bar.update(1)
            )
            for line in damaged:
                print(f"left out: {line}", file=sys.stderr)
    card = with_statistics(card, loaded["train"])
    model, log = fit(args, card, loaded["train"], loaded["valid"])
    write(args, card, model)
    try:
        fitted = fitting.calibrate(
            packs.open_pack(args.out), parts["valid"], risk=args.risk, data="valid part"
        )
        fitting.write(args.out, fitted)
    except errors.Invalid as error:
        print(f"not calibrated: {error}", file=sys.stderr)
    figures = report.write(args.out, loaded, log)
    done = cards.read_card(args.out)
    cards.write_card(args.out, replace(done, metrics=figures))
    args.out.with_name(args.out.name + ".checkpoint").unlink(missing_ok=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        main()
    except errors.LegiblyError as failure:
        sys.exit(f"legibly train: {failure}")
