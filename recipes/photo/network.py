"""The network of a training from class folders, and how its pictures are changed: PyTorch."""

import io
import math
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from legibly import errors


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width), _conv(width, width, active=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class Small(nn.Module):
    """(N, channels, H, W) → (N, classes) logits; some 300,000 parameters, for training from
    nothing.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, 24, stride=2),
            _conv(24, 48, stride=2),
            Residual(48),
            _conv(48, 96, stride=2),
            Residual(96),
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(192, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1))


def build(backbone: str, weights: Path | None, *, channels: int, classes: int) -> nn.Module:
    """The network by name: `small`, or one of timm's, with its weights from a file.

    Raises errors.Unavailable without timm, errors.NotFound for a name that it does not know, and
    errors.Invalid for weights of another network.
    """
    if backbone == "small":
        return Small(channels, classes)
    try:
        import timm
    except ImportError:
        raise errors.Unavailable(
            "timm is not installed.", where="--backbone", remedy="Install it: pip install timm."
        ) from None
    if backbone not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{backbone[:9]}*")[:5]) or "see timm.list_models()"
        raise errors.NotFound("timm has no such network.", where=backbone, remedy=f"Near: {near}.")
    network = timm.create_model(backbone, pretrained=False, in_chans=channels, num_classes=classes)
    if weights is not None:
        _load(network, weights)
    return network


def export(network: nn.Module, shape: tuple[int, int, int]) -> bytes:
    """The network as ONNX, for any number of pictures; `shape` is (channels, H, W)."""
    out = io.BytesIO()
    with warnings.catch_warnings():  # the newer exporter needs one more package
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, *shape),),
            out,
            input_names=["pictures"],
            output_names=["logits"],
            dynamic_axes={"pictures": {0: "n"}, "logits": {0: "n"}},
            dynamo=False,
        )
    return out.getvalue()


def changed(x: torch.Tensor, *, mirror: bool) -> torch.Tensor:
    """Pictures (N, C, H, W) turned, scaled, shifted, lightened and darkened a little, at random."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.pi / 15
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.15
    side = torch.where(torch.rand(n) < 0.5, -1.0, 1.0) if mirror else torch.ones(n)
    shift = (torch.rand(2, n) * 2 - 1) * 0.12
    rows = [scale * torch.cos(angle) * side, -scale * torch.sin(angle), shift[0]]
    rows += [scale * torch.sin(angle) * side, scale * torch.cos(angle), shift[1]]
    grid = functional.affine_grid(torch.stack(rows, 1).view(n, 2, 3), x.shape, align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    gain = 1 + (torch.rand(n, 1, 1, 1) * 2 - 1) * 0.2
    return x * gain + (torch.rand(n, 1, 1, 1) * 2 - 1) * 0.2


def _conv(into: int, out: int, *, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


def _load(network: nn.Module, weights: Path) -> None:
    """Take the weights that fit; the last layer has another number of classes."""
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    stored = stored.get("state_dict", stored)
    own = network.state_dict()
    fitting = {name: v for name, v in stored.items() if name in own and own[name].shape == v.shape}
    if len(fitting) < 0.8 * len(own):
        raise errors.Invalid(
            f"only {len(fitting)} of {len(own)} weights fit this network.", where=str(weights)
        )
    network.load_state_dict(fitting, strict=False)
