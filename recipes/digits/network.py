"""The network, and how its training pictures are changed: PyTorch."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

OUTPUTS = 11
"""Ten digits, then "not a digit"."""


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def conv(into: int, out: int, stride: int = 1) -> nn.Sequential:
    """A convolution, its normalisation and ReLU."""
    layer = nn.Conv2d(into, out, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU())


class Network(nn.Module):
    """(N, 1, 28, 28) → (N, 11) logits, with so many residual blocks at 7 pixels."""

    def __init__(self, a: int, b: int, c: int, blocks: int = 1) -> None:
        super().__init__()
        last = [Residual(c) for _ in range(blocks)]
        self.body = nn.Sequential(conv(1, a), conv(a, b, 2), Residual(b), conv(b, c, 2), *last)
        self.head = nn.Linear(2 * c, OUTPUTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1))


def floats(network: Network) -> list[torch.Tensor]:
    """All weights and running statistics of a network."""
    values = [*network.parameters(), *network.buffers()]
    return [value.detach() for value in values if value.is_floating_point()]


def follow(average: list[torch.Tensor], values: list[torch.Tensor], share: float) -> None:
    """Move averaged weights towards the new ones by a share, in place."""
    torch._foreach_lerp_(average, values, share)


# ---- Augmentation: a batch at a time; a quarter of the samples stays clean ----


def uniform(n: int, low: float, high: float) -> torch.Tensor:
    """`n` values between two limits."""
    return torch.rand(n) * (high - low) + low


def each(n: int, low: float, high: float) -> torch.Tensor:
    """The same, shaped to scale pictures."""
    return uniform(n, low, high).view(-1, 1, 1, 1)


def some(n: int, chance: float) -> torch.Tensor:
    """Indices of a random part of `n`; their count is drawn here: no GPU has to be waited for."""
    count = int(n * chance + torch.rand((), device="cpu").item())
    return torch.randperm(n)[:count]


def warp(x: torch.Tensor) -> torch.Tensor:
    """Rotate, shear, scale, shift and bend: x (N, 1, 28, 28)."""
    n = len(x)
    angle = uniform(n, -15, 15) * math.pi / 180
    shear = uniform(n, -0.3, 0.3)
    wide = 1 / uniform(n, 0.8, 1.15)
    high = 1 / uniform(n, 0.8, 1.15)
    cos = torch.cos(angle)
    sin = torch.sin(angle)
    shift = (torch.randn(2, n) * 0.08).clamp(-3 / 14, 3 / 14)
    first = [wide * cos, wide * (shear * cos - sin), shift[0]]
    second = [high * sin, high * (shear * sin + cos), shift[1]]
    theta = torch.stack([*first, *second], 1).view(n, 2, 3)
    grid = functional.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    bend = functional.interpolate(
        torch.randn(n, 2, 5, 5), (28, 28), mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1) * each(n, 0, 0.075)
    return functional.grid_sample(x, grid, align_corners=False)


def pen(y: torch.Tensor) -> torch.Tensor:
    """Thicker, thinner, streaky or fainter strokes, of a part of the pictures each."""
    j = some(len(y), 0.2)
    y[j] = torch.lerp(y[j], functional.max_pool2d(y[j], 3, 1, 1), each(len(j), 0, 1))
    j = some(len(y), 0.15)
    y[j] = torch.lerp(y[j], -functional.max_pool2d(-y[j], 3, 1, 1), each(len(j), 0, 0.7))
    j = some(len(y), 0.1)  # a dry brush, a pen that skips
    streaks = functional.interpolate(torch.rand(len(j), 1, 9, 9), (28, 28), mode="bilinear")
    y[j] = y[j] * (1 - each(len(j), 0, 1.2) * (streaks - 0.35).clamp(0, 1)).clamp(0, 1)
    j = some(len(y), 0.3)  # gamma, contrast
    y[j] = y[j].clamp(1e-4, 1) ** torch.exp(each(len(j), -0.8, 0.8)) * each(len(j), 0.5, 1)
    return y


def camera(y: torch.Tensor) -> torch.Tensor:
    """Out of focus, few pixels, a neighbour that reaches in, uneven paper, noise: a part each."""
    j = some(len(y), 0.15)
    blurred = functional.avg_pool2d(y[j], 3, 1, 1)
    y[j] = torch.lerp(y[j], blurred, each(len(j), 0, 1.2)).clamp(0, 1)
    j = some(len(y), 0.09)
    y[j] = motion_blur(y[j])
    j = some(len(y), 0.1)
    side = int(torch.randint(9, 20, (), device="cpu"))
    few = functional.interpolate(y[j], (side, side), mode="area")
    y[j] = functional.interpolate(few, (28, 28), mode="bilinear")
    j = some(len(y), 0.05)
    shift = int(torch.randint(18, 23, (), device="cpu"))
    shift = shift if torch.rand((), device="cpu") < 0.5 else -shift
    y[j] = torch.maximum(y[j], torch.roll(y[torch.randperm(len(y))[: len(j)]], shift, 3))
    j = some(len(y), 0.1)
    slope = torch.linspace(-1, 1, 28)
    across = each(len(j), -0.15, 0.15) * slope
    down = each(len(j), -0.15, 0.15) * slope.view(28, 1)
    y[j] = (y[j] + across + down).clamp(0, 1)
    j = some(len(y), 0.2)
    y[j] = (y[j] + torch.randn_like(y[j]) * each(len(j), 0, 0.15)).clamp(0, 1)
    return y


def motion_blur(y: torch.Tensor) -> torch.Tensor:
    """The camera moved: each picture averaged along a line of 2 to 10 pixels, its ink made full
    again.
    """
    n = len(y)
    if not n:
        return y
    angle = uniform(n, 0, math.pi)
    length = uniform(n, 2, 10) / 14  # of half a side
    total = torch.zeros_like(y)
    for part in np.linspace(-0.5, 0.5, 7).tolist():
        theta = torch.eye(2, 3).repeat(n, 1, 1)
        theta[:, 0, 2] = part * length * torch.cos(angle)
        theta[:, 1, 2] = part * length * torch.sin(angle)
        grid = functional.affine_grid(theta, list(y.shape), align_corners=False)
        total += functional.grid_sample(y, grid, align_corners=False)
    return total / total.amax((1, 2, 3), keepdim=True).clamp(min=1)


def augment(x: torch.Tensor) -> torch.Tensor:
    """(N, 1, 28, 28) float32, 0 paper … 1 ink, to the same; in place where it can."""
    i = some(len(x), 0.75)
    x[i] = camera(pen(warp(x[i])))
    return x


# ---- Weights of an earlier pack ----


def start_from(network: Network, path: Path, x: torch.Tensor) -> None:
    """Take over the weights of an exported network of the same widths; `x` is a batch of usual
    pictures.

    The export folded each normalisation into its convolution. Filters are scaled back to the size
    that a fresh network has, and the normalisations set so that the network computes the same as
    before on such pictures.
    """
    model = onnx.load(str(path))
    arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    folded = [node.input[1:3] for node in model.graph.node if node.op_type == "Conv"]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = []
    for layer, norm, (weight, bias) in zip(layers, norms, folded, strict=True):
        filters = arrays[weight]
        size = np.sqrt((filters**2).mean(axis=(1, 2, 3))).clip(1e-6)
        scale = torch.from_numpy(math.sqrt(2 / filters[0].size) / size).float()
        layer.weight.data.copy_(torch.tensor(filters) * scale.view(-1, 1, 1, 1))
        hooks.append(norm.register_forward_pre_hook(_matching(scale, torch.tensor(arrays[bias]))))
    network.head.weight.data.copy_(torch.tensor(arrays["head.weight"]))
    network.head.bias.data.copy_(torch.tensor(arrays["head.bias"]))
    network.eval()
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()


def _matching(scale: torch.Tensor, bias: torch.Tensor) -> Callable[..., None]:
    """A hook that sets a normalisation to give its input over `scale`, plus `bias`."""

    def match(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        mean = inputs[0].mean((0, 2, 3))
        variance = inputs[0].var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps) / scale)
        norm.bias.copy_(mean / scale + bias)

    return match
