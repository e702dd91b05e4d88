"""Trains the digit network: mixed batches, one cosine to zero, on a processor or a GPU."""

import argparse
import copy
import hashlib
import math
import time
from pathlib import Path

import network as nets
import numpy as np
import torch
from sources import Crops
from torch.nn import functional

Digits = dict[str, tuple[np.ndarray, np.ndarray]]
FIRST_REPORT = 15.0
REPORT_SECONDS = 60.0


def on_device(array: np.ndarray) -> torch.Tensor:
    """The array where new tensors are made."""
    return torch.from_numpy(array.copy()).to(torch.get_default_device())


class Mixture:
    """The crops of all sources: each source is drawn by its share, each crop by its weight."""

    def __init__(self, training: dict[str, Crops], shares: dict[str, float]) -> None:
        names = [name for name in shares if name in training]
        weight = np.concatenate([shares[name] * training[name].weight for name in names])
        self.x = on_device(np.concatenate([training[name].x for name in names]))
        self.y = on_device(np.concatenate([training[name].y for name in names]))
        self.ladder = on_device(np.cumsum(weight / weight.sum()))

    def draw(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch: (size, 1, 28, 28) float32, 0 paper … 1 ink, and its labels."""
        at = torch.searchsorted(self.ladder, torch.rand(size, dtype=torch.float64))
        at = at.clamp(max=len(self.y) - 1)
        return self.x[at].unsqueeze(1).float() / 255, self.y[at]


class Training:
    """A network in training: its moving average, its optimiser, its clock; saved and resumed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.network = nets.Network(*args.widths, args.blocks)
        self.network = self.network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=0, weight_decay=0.02, fused=True
        )
        self.values = nets.floats(self.average), nets.floats(self.network)
        self.step = 0
        self.seconds = 0.0
        self.loss = torch.zeros(())
        self.resume()

    def resume(self) -> None:
        """Load the saved state if there is one."""
        path = self.args.weights
        if path and path.exists():
            state = torch.load(path, weights_only=True, map_location=self.args.device)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            self.seconds = state["seconds"]
            torch.manual_seed(self.args.seed + self.step)

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

    @property
    def progress(self) -> float:
        """How much of the training is over, 0 … 1: by time where that is limited."""
        if self.args.minutes is not None:
            return self.seconds / (60 * self.args.minutes)
        return self.step * self.args.batch / self.args.images

    def rate(self) -> float:
        """The learning rate of the next step: warm-up, then a cosine to zero."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress)))
        return self.args.rate * min((self.step + 1) / 400, cosine)

    def run(self, mixture: Mixture, check: Digits) -> None:
        """Train to the end; every minute a line in the log and a saved state."""
        clock = time.monotonic() - self.seconds
        report = self.seconds + FIRST_REPORT
        while self.progress < 1:
            self._train_step(*mixture.draw(self.args.batch))
            self.seconds = time.monotonic() - clock
            if self.seconds > report:
                self._report(check)
                report = self.seconds + REPORT_SECONDS
        self._report(check)

    def _train_step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        x = nets.augment(x).contiguous(memory_format=torch.channels_last)
        loss = functional.cross_entropy(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        nets.follow(*self.values, max(0.001, 9 / (9 + self.step)))
        self.loss.lerp_(loss.detach(), 1 / min(self.step, 200))

    def _report(self, check: Digits) -> None:
        self.save()
        images = self.step * self.args.batch
        rates = " ".join(
            f"{name} {self.right(x[:2000], y[:2000]):.4f}" for name, (x, y) in check.items()
        )
        at = f"{self.seconds:.0f} s step {self.step} images {images}"
        speed = images / max(1, self.seconds)
        print(f"{at} ({speed:.0f}/s) loss {self.loss.item():.4f} {rates}", flush=True)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of the averaged weights for (N, 28, 28) uint8."""
        self.average.eval()
        with torch.inference_mode():
            parts = [
                self.average(on_device(part).unsqueeze(1).float() / 255).cpu()
                for part in np.array_split(images, max(1, len(images) // 500))
            ]
        return torch.cat(parts).numpy()

    def right(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of digits that the averaged weights get right."""
        return float((self.logits(images)[:, :10].argmax(axis=1) == labels).mean())

    def export(self, path: Path) -> str:
        """Write the averaged weights as ONNX. Returns the file's SHA-256."""
        final = copy.deepcopy(self.average).cpu().eval().to(memory_format=torch.contiguous_format)
        axes = {"crops": {0: "n"}, "logits": {0: "n"}}
        torch.onnx.export(
            final, (torch.zeros(2, 1, 28, 28, device="cpu"),), path, input_names=["crops"],
            output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
        return hashlib.sha256(path.read_bytes()).hexdigest()
