"""Reads preprocessing from Hugging Face processors, timm models, and presets."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from legibly import errors
from legibly.packs.card import Prepare

HABITS = {
    "imagenet": Prepare(size=(256, 256), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "zero-one": Prepare(),
    "minus-one-one": Prepare(scale=1 / 127.5, mean=(1.0,)),
    "bytes": Prepare(scale=1.0),
}
"""Names for `--like` besides timm: and hf:."""
# PIL.Image.Resampling, which Hugging Face's files hold as numbers.
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
Facts = Mapping[str, Any]


def prepare_like(text: str, *, shape: tuple[int, int]) -> tuple[Prepare, tuple[int, int]]:
    """The preprocessing named by `--like`, and its final size (height, width).

    `shape` is that of the network. Raises errors.Invalid and errors.Unavailable.
    """
    if text in HABITS:
        habit = HABITS[text]
        scale = 256 / 224
        size = tuple(math.floor(side * scale) for side in shape) if habit.size else None
        return replace(habit, size=(size[0], size[1]) if size else None), shape
    kind, _, name = text.partition(":")
    if kind == "hf" and name:
        return from_hugging_face(read_json(Path(name) / "preprocessor_config.json"))
    if kind == "timm" and name:
        return from_timm(_timm_config(name))
    known = ", ".join(HABITS)
    raise errors.Invalid(
        "this is no preprocessing.",
        where=f"--like {text}",
        remedy=f"Use timm:NAME, hf:FOLDER or one of {known}.",
    )


def from_hugging_face(config: Facts) -> tuple[Prepare, tuple[int, int]]:
    """Parse a `preprocessor_config.json`. Raises errors.Invalid if it has no sizes."""
    size = config.get("size", config.get("crop_size", 224))
    resize, edge = _hf_resize(size)
    crop = _pair(config.get("crop_size", edge)) if config.get("do_center_crop") else edge
    if "crop_pct" in config and resize == "shortest_edge" and "crop_size" not in config:
        crop = edge  # ConvNeXT: `size` is the size after the crop
        edge = _enlarged(edge, config["crop_pct"] or 1.0)
    steps = Prepare(
        resize=resize if config.get("do_resize", True) else "none",
        size=edge,
        interpolation=_RESAMPLE.get(config.get("resample", 2), "bilinear"),
        scale=config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0,
    )
    if config.get("do_normalize", True):
        mean = tuple(config.get("image_mean", (0.5, 0.5, 0.5)))
        steps = replace(steps, mean=mean, std=tuple(config.get("image_std", (0.5, 0.5, 0.5))))
    return steps, crop


def _hf_resize(size: Any) -> tuple[Any, tuple[int, int]]:
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return "shortest_edge", _pair(size["shortest_edge"])
    if isinstance(size, Mapping) and "height" in size:
        return "exact", (int(size["height"]), int(size["width"]))
    if isinstance(size, int):
        return "exact", (size, size)
    raise errors.Invalid(f"preprocessor_config.json: size {size!r} is not understood")


def from_timm(config: Facts) -> tuple[Prepare, tuple[int, int]]:
    """Parse a timm configuration: `pretrained_cfg`, or the result of `resolve_data_config`."""
    _, height, width = config.get("input_size", (3, 224, 224))
    crop = (int(height), int(width))
    mode = config.get("crop_mode", "center")
    if mode not in ("center", "squash", "border"):
        raise errors.Invalid(f"timm: crop_mode {mode!r} is not understood")
    resize: Any = {"center": "shortest_edge", "squash": "exact", "border": "longest_edge"}[mode]
    steps = Prepare(
        resize=resize,
        size=_enlarged(crop, config.get("crop_pct") or 0.875),
        interpolation=config.get("interpolation", "bilinear"),
        mean=tuple(config.get("mean", (0.485, 0.456, 0.406))),
        std=tuple(config.get("std", (0.229, 0.224, 0.225))),
    )
    return steps, crop


def _timm_config(name: str) -> Facts:
    try:
        import timm
    except ImportError as error:
        remedy = "Install it (pip install timm), or use --like hf:FOLDER or --like imagenet."
        raise errors.Unavailable("timm is not installed.", where=name, remedy=remedy) from error
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    if config is None:
        raise errors.NotFound("timm knows no such model.", where=name)
    facts: Facts = config.to_dict()
    return facts


def labels_of(config: Facts) -> list[str] | None:
    """The classes of a Hugging Face `config.json` in the order of the outputs, or None."""
    names = config.get("id2label") or config.get("label_names")
    if isinstance(names, Mapping):
        return [str(names[key]) for key in sorted(names, key=int)]
    return [str(name) for name in names] if names else None


def read_classes(path: Path) -> list[str]:
    """Classes from a file: JSON (a list, or an object of numbers to names) or lines of names."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            data = json.loads(text)
            if isinstance(data, Mapping):
                data = labels_of({"id2label": data})
            return [str(entry) for entry in data or []]
    except (OSError, ValueError, TypeError) as error:
        raise errors.Invalid(
            f"cannot be read as a list of classes: {error}", where=str(path)
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file. Raises errors.Invalid."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.Invalid(f"cannot be read as JSON: {error}", where=str(path)) from error
    if not isinstance(data, dict):
        raise errors.Invalid("is no JSON object", where=str(path))
    return data


def _enlarged(size: tuple[int, int], share: float) -> tuple[int, int]:
    return math.floor(size[0] / share), math.floor(size[1] / share)


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))
