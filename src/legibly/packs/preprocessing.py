"""Prepares a picture for the network by the card's `prepare`, as timm, torchvision and HF do.

Source of the rules: torchvision.transforms `Resize`, `CenterCrop` and `Normalize` on Pillow images,
which timm's and Hugging Face's configurations describe.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from legibly.packs.card import Card, Prepare

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def prepare(pixels: Pixels, card: Card) -> Floats:
    """A picture (H, W) or (H, W, 3) uint8 as input of `card`: (channels, height, width) float32."""
    return values(picture(pixels, card), card)


def values(image: Image.Image, card: Card) -> Floats:
    """What `picture` gave, as the input of `card`."""
    levels = np.asarray(image, np.float32)
    planes = levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)
    steps = card.prepare
    if steps is None:  # format 1: in the input's range
        low = card.input.low
        return np.asarray(low + (card.input.high - low) * (planes / 255.0), np.float32)
    if steps.colour == "bgr":
        planes = planes[::-1]
    mean = np.array(steps.mean, np.float32).reshape(-1, 1, 1)
    std = np.array(steps.std, np.float32).reshape(-1, 1, 1)
    return np.ascontiguousarray((planes * np.float32(steps.scale) - mean) / std, np.float32)


def picture(pixels: Pixels, card: Card) -> Image.Image:
    """The part of a picture for the network: resized and cropped, before normalisation."""
    steps = card.prepare or Prepare(resize="exact", colour="grey" if _is_grey(card) else "rgb")
    image = Image.fromarray(pixels).convert("L" if steps.colour == "grey" else "RGB")
    shape = (card.input.height, card.input.width)
    resized = _resize(image, steps, size=steps.size or shape)
    return _centre_crop(resized, shape, fill=steps.fill)


def _is_grey(card: Card) -> bool:
    return card.input.channels == 1


def _resize(image: Image.Image, steps: Prepare, *, size: tuple[int, int]) -> Image.Image:
    if steps.resize == "none":
        return image
    height, width = size
    if steps.resize != "exact":
        pick = min if steps.resize == "shortest_edge" else max
        edge = min(size) if steps.resize == "shortest_edge" else max(size)
        scale = edge / pick(image.size)
        # torchvision rounds down.
        width = max(1, int(image.width * scale + 1e-6))
        height = max(1, int(image.height * scale + 1e-6))
    if (width, height) == image.size:
        return image
    return image.resize((width, height), _RESAMPLING[steps.interpolation])


def _centre_crop(
    image: Image.Image, shape: tuple[int, int], *, fill: tuple[int, int, int]
) -> Image.Image:
    height, width = shape
    if image.size == (width, height):
        return image
    left = round((image.width - width) / 2)
    top = round((image.height - height) / 2)
    if left >= 0 and top >= 0:
        return image.crop((left, top, left + width, top + height))
    colour = fill if image.mode == "RGB" else fill[0]
    canvas = Image.new(image.mode, (width, height), colour)
    canvas.paste(image, (-left, -top))
    return canvas
