"""How well a few runs of the network stand for all those that measure legibility, on validation
data alone.

    python recipes/digits/legibility.py --data DATA [--pack PACK]

Prints one JSON object a set of crops: Spearman's rank correlation with the mean over all changes,
of the crop's own probability and of its mean with the two turns that readings are measured by; then
the best pairs of changes over all sets.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import synthesis
from PIL import Image

from legibly.packs import pack, registry
from legibly.vision import legibility
from legibly.vision.ink import normalise

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--pack", default="digits")
parser.add_argument("--each", type=int, default=1500, help="crops a set")
args = parser.parse_args()
model = pack.open_pack(registry.find(args.pack))


def npz(name: str, images: str) -> np.ndarray:
    with np.load(args.data / name) as file:
        return file[images][: args.each]


def crops(pictures: np.ndarray) -> np.ndarray:
    return np.stack([normalise.normalise(picture.astype(np.float32) / 255) for picture in pictures])


def corrupted(images: np.ndarray) -> np.ndarray:
    """Turned by up to 25 degrees, with noise."""
    rng = np.random.default_rng(3)
    changed_images = []
    for image in images:
        turned = Image.fromarray(image).rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR)
        noise = rng.normal(0, rng.uniform(0, 0.25), image.shape)
        changed_images.append(np.clip(np.asarray(turned) / 255 + noise, 0, 1).astype(np.float32))
    return np.stack(changed_images)


def probabilities(images: np.ndarray) -> np.ndarray:
    """Of the class that each crop is read as, over all its changes, the crop as it is first: (N,
    CHANGES).
    """
    changed = legibility.changed(images)
    classes, digitness = model.judge(model.logits(changed.reshape(-1, 1, 28, 28)))
    shaped = (classes * digitness[:, None]).reshape(len(images), legibility.CHANGES, -1)
    return shaped[np.arange(len(images)), :, shaped[:, 0].argmax(axis=1)]


def ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]


def spearman(first: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(ranks(first), ranks(other))[0, 1])


glyphs, labels = synthesis.validation_glyphs(args.data)
large = [
    Image.fromarray(x).resize((64, 64), Image.Resampling.BICUBIC)
    for x in npz("usps/usps.npz", "x_train")
]
sets = {
    "mnist held": glyphs[: args.each].astype(np.float32) / 255,
    "corrupted": corrupted(glyphs[args.each : 2 * args.each]),
    "usps train": crops(np.stack([np.asarray(image) for image in large])),
    "canvas": crops(255 - npz("canvas/canvas_glut_100.npz", "x")),
    "pages": synthesis.crops(np.random.default_rng(77), args.each, glyphs, labels)[0].astype(
        np.float32
    )
    / 255,
}
results = {name: probabilities(images) for name, images in sets.items()}
for name, values in results.items():
    thorough = values.mean(axis=1)
    quick = values[:, [0, *legibility.TURNS]].mean(axis=1)
    poor = thorough < 0.9
    figures = {"set": name, "n": len(values), "alone": round(spearman(values[:, 0], thorough), 4)}
    figures |= {
        "quick": round(spearman(quick, thorough), 4),
        "mean_difference": round(float(np.mean(quick - thorough)), 4),
    }
    figures |= {
        "below_0.9": int(poor.sum()),
        "quick_below_0.9": round(spearman(quick[poor], thorough[poor]), 3),
    }
    print(json.dumps(figures), flush=True)
pairs = {
    pair: np.mean(
        [
            spearman(values[:, [0, *pair]].mean(axis=1), values.mean(axis=1))
            for values in results.values()
        ]
    )
    for pair in itertools.combinations(range(1, legibility.CHANGES), 2)
}
best = sorted(pairs, key=lambda pair: -pairs[pair])[:3]
print(json.dumps({"best_pairs": {str(pair): round(float(pairs[pair]), 4) for pair in best}}))
