"""Shows in a picture and a sentence which ink supports the answer and which its rival."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Logits = Callable[[Floats], Floats]
"""Crops (N, 28, 28) float32 to class logits (N, K) float32."""

SIDE = 28
PATCH = 5
STEP = 2
ZOOM = 10
Places = tuple[str, str | None]
"""Two of PLACES: where the ink supports the answer, and its rival (None: hardly anywhere)."""
PLACES = (
    *(
        "at the top left",
        "at the top",
        "at the top right",
        "on the left",
        "in the middle",
        "on the right",
    ),
    *("at the bottom left", "at the bottom", "at the bottom right", "everywhere"),
)
WITHOUT_RIVAL = (
    "The blue ink, mostly {place}, speaks for {label}; hardly any ink speaks for {rival}."
)
WITH_RIVAL = (
    "The blue ink, mostly {place}, speaks for {label};"
    " the orange ink, mostly {other}, speaks for {rival}."
)
INK = (70, 70, 78)
SUPPORT = (37, 99, 235)
OPPOSITION = (234, 120, 20)
"""Colours: neutral ink, ink that supports the answer (blue), ink that supports its rival."""


def effect(crop: Floats, logits: Logits, intended: int, rival: int) -> Floats:
    """How much each pixel supports `intended` rather than `rival`: (28, 28) float32, −1 … 1.

    Patches of ink are removed one at a time; the effect of a patch is the change in the difference
    of the two logits.
    """
    places = [
        (top, left) for top in range(-2, SIDE - 2, STEP) for left in range(-2, SIDE - 2, STEP)
    ]
    windows = np.zeros((len(places), SIDE, SIDE), np.float32)
    for index, (top, left) in enumerate(places):
        windows[index, max(0, top) : top + PATCH, max(0, left) : left + PATCH] = 1.0
    inked = (windows * crop).sum(axis=(1, 2)) > 0.3
    windows = windows[inked]
    if not len(windows):
        return np.zeros((SIDE, SIDE), np.float32)
    answers = logits(np.concatenate([crop[None], crop * (1.0 - windows)]))
    gap = answers[:, intended] - answers[:, rival]
    lost = gap[0] - gap[1:]
    # Patches overlap, so each pixel gets their mean effect.
    weight = windows.sum(axis=0)
    influence = np.einsum("n,nij->ij", lost.astype(np.float32), windows) / np.maximum(weight, 1.0)
    influence = influence * crop
    return np.asarray(influence / max(float(np.abs(influence).max()), 1e-6), np.float32)


def picture(crop: Floats, influence: Floats) -> bytes:
    """Draw the crop on white, blue where it supports the answer, orange where it supports the
    rival: PNG bytes, 280 × 280.
    """
    size = (SIDE * ZOOM, SIDE * ZOOM)
    ink = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC)).clip(0.0, 1.0)
    lean = np.asarray(Image.fromarray(influence).resize(size, Image.Resampling.BICUBIC)).clip(
        -1.0, 1.0
    )
    strength = np.sqrt(np.abs(lean))[..., None]
    side = np.where(
        lean[..., None] > 0, np.array(SUPPORT, np.float32), np.array(OPPOSITION, np.float32)
    )
    colour = strength * side + (1.0 - strength) * np.array(INK, np.float32)
    paper = 255.0 - ink[..., None] * (255.0 - colour)
    out = io.BytesIO()
    Image.fromarray(paper.clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def places(influence: Floats) -> Places:
    """Where most of the ink is that supports the answer, and its rival."""
    strongest = float(np.clip(influence, 0, None).sum())
    weakest = float(np.clip(-influence, 0, None).sum())
    little = weakest < 0.1 * strongest or weakest < 1e-3
    return _place(np.clip(influence, 0, None)), None if little else _place(
        np.clip(-influence, 0, None)
    )


def sentence(
    where: Places, intended: str, rival: str, *, gettext: Callable[[str], str] = str
) -> str:
    """The explanation in words, in the language of `gettext`."""
    influence = WITHOUT_RIVAL if where[1] is None else WITH_RIVAL
    filled = {
        "place": gettext(where[0]),
        "other": gettext(where[1] or ""),
        "label": intended,
        "rival": rival,
    }
    return gettext(influence).format(**filled)


def _place(weight: Floats) -> str:
    """The place of most of the weight on the digit, one of PLACES."""
    total = float(weight.sum())
    if total <= 0:
        return "everywhere"
    axis = np.arange(SIDE)
    row = float(weight.sum(axis=1) @ axis) / total
    column = float(weight.sum(axis=0) @ axis) / total
    vertical = "top" if row < 11 else "bottom" if row > 17 else ""
    across = "left" if column < 11.5 else "right" if column > 16.5 else ""
    if not vertical and not across:
        return "in the middle"
    return f"at the {vertical} {across}".strip() if vertical else f"on the {across}"
