"""Train the `digits` pack: one file, top to bottom. README.md has the figures that it reached, train.log their log.

    python recipes/digits/train.py --data DATA --out PACK [--seed 0] [--images 2000000]

Needs the `train` extra (torch, onnx). DATA is laid out as `WHERE` says; MNIST is fetched where it is missing.
Never trained on: MNIST's test set, USPS, canvas drawings, photos, optdigits.tes, MNIST's last 5,000 training images.
"""

import argparse
import datetime as dt
import gzip
import hashlib
import io
import json
import math
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import synthesis
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import nn
from torch.nn import functional

from legibly.packs import calibration, card, pack
from legibly.vision import normalise

CLASSES = [str(digit) for digit in range(10)]
REJECT = 10
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument(
    "--data", type=Path, required=True, help="folder with mnist/, opencv_digits/, semeion/ …"
)
parser.add_argument("--out", type=Path, required=True, help="folder of the pack to write")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--images", type=int, default=1_600_000, help="augmented images to train on")
parser.add_argument("--batch", type=int, default=256)
parser.add_argument(
    "--widths", type=int, nargs=3, default=(16, 32, 64), help="channels at 28, 14 and 7 px"
)
parser.add_argument(
    "--without", nargs="*", default=[], help="sources to leave out: synthetic, nondigits, …"
)
parser.add_argument("--offline", action="store_true", help="fetch nothing")
parser.add_argument(
    "--weights",
    type=Path,
    default=None,
    help="trained weights: read instead of training if there, else written",
)
parser.add_argument("--pages", type=int, default=12_000, help="synthetic crops to make")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument(
    "--cache", type=Path, default=None, help="synthetic crops, made once and kept in this .npz"
)
args = parser.parse_args()
torch.manual_seed(args.seed)
torch.set_num_threads(args.threads)
rng = np.random.default_rng(args.seed)
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # MNIST, CC BY-SA 3.0


# ---- Data: every source becomes (N, 28, 28) uint8 crops, ink 255, by the input contract of MNIST ----


WHERE = {  # what stands where under DATA, and where it comes from
    "mnist": "the four idx files of MNIST, gzipped; without --offline they are fetched",
    "opencv_digits": "opencv_digits.npz: x (5000, 20, 20) uint8, y; cut from samples/data/digits.png of OpenCV",
    "semeion": "semeion.npz: x (1593, 16, 16) uint8, y; archive.ics.uci.edu, Semeion Handwritten Digit",
    "optdigits": "optdigits.tra, tab separated; archive.ics.uci.edu, Optical Recognition of Handwritten Digits",
    "rejects": "omniglot_small1.zip (images_background_small1) and notmnist-{images-idx3,labels-idx1}-ubyte.gz",
    "usps": "usps.npz: x_train, y_train (16 × 16); validation only",
    "canvas": "canvas_glut_100.npz: x (N, 100, 100), ink dark, y; validation only",
}


def there(name: str) -> Path:
    """A file under DATA. Ends the program, saying what to put where, if it is missing."""
    path = args.data / name
    if not path.exists():
        sys.exit(f"{path} is missing: put there {WHERE[name.split('/')[0]]}")
    return path


def idx(path: Path) -> np.ndarray:
    """Read an idx file, gzipped or not."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def mnist(part: str) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's `train` or `t10k` part, fetched where it is missing."""
    found = []
    for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
        path = args.data / "mnist" / name
        if not path.exists() and args.offline:
            there(f"mnist/{name}")
        if not path.exists():
            print(f"fetching {name}", flush=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(MIRROR + name, timeout=60) as answer:
                path.write_bytes(answer.read())
        found.append(idx(path))
    return found[0], found[1].astype(np.int64)


def to_crop(ink: np.ndarray) -> np.ndarray:
    """A grey picture of one item, ink 255 → (28, 28) uint8, through the production preprocessing."""
    return (normalise.normalise(ink.astype(np.float32) / 255) * 255).round().astype(np.uint8)


def crops(pictures: np.ndarray) -> np.ndarray:
    return np.stack([to_crop(picture) for picture in pictures])


def npz(name: str, images: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(there(name)) as file:
        return file[images], file[labels].astype(np.int64)


def opencv() -> tuple[np.ndarray, np.ndarray]:
    images, labels = npz("opencv_digits/opencv_digits.npz", "x", "y")
    return crops(images), labels


def semeion() -> tuple[np.ndarray, np.ndarray]:
    images, labels = npz("semeion/semeion.npz", "x", "y")
    return crops(np.kron(images, np.ones((1, 2, 2), np.uint8))), labels


def optdigits() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(there("optdigits/optdigits.tra"), delimiter="\t", dtype=np.int64)
    images = (table[:, :64].reshape(-1, 8, 8) * 255 // 16).astype(np.uint8)
    large = [
        np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC))
        for image in images
    ]
    return crops(np.stack(large)), table[:, 64]


# Characters that a person may take for a digit are left out, counted from 1 within each alphabet.
LOOKALIKES = {
    "Balinese": {5, 14},
    "Early_Aramaic": {2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 20},
    "Greek": {2, 4, 6, 7, 9, 14, 15, 18, 21},
    "Korean": {21, 22, 24, 27, 33, 37},
    "Latin": {2, 4, 7, 9, 12, 15, 17, 19, 26},
}


def omniglot(alphabets: list[str]) -> np.ndarray:
    """Characters of other scripts, each with a thin and two thicker pens."""
    found = []
    with zipfile.ZipFile(there("rejects/omniglot_small1.zip")) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".png") or parts[1] not in alphabets:
                continue
            if int(parts[2].removeprefix("character")) in LOOKALIKES[parts[1]]:
                continue
            page = Image.open(io.BytesIO(archive.read(name))).convert("L")
            found += [
                255 - np.asarray(page.filter(ImageFilter.MinFilter(pen))) for pen in (3, 7, 11)
            ]
    return crops(np.stack(found))


def letters(wanted: str) -> np.ndarray:
    """Printed letters of notMNIST."""
    images = idx(there("rejects/notmnist-images-idx3-ubyte.gz"))
    names = idx(there("rejects/notmnist-labels-idx1-ubyte.gz"))
    return crops(images[np.isin(names, ["ABCDEFGHIJ".index(letter) for letter in wanted])])


def scribble(draw: np.random.Generator) -> np.ndarray:
    """A made-up non-digit: curls, zigzags, crossing lines, dots, a shape, a texture."""
    page = Image.new("L", (112, 112))
    pen, kind = ImageDraw.Draw(page), draw.integers(7)
    width = int(draw.integers(5, 17))
    if kind == 0:  # a wild curve
        t = np.linspace(0, 1, 80)
        x, y = (
            sum(
                draw.normal() / k * np.sin(2 * np.pi * k * t + draw.uniform(0, 7))
                for k in range(1, 8)
            )
            for _ in "xy"
        )
        points = np.stack([56 + 26 * x, 56 + 26 * y], axis=1)
        pen.line([tuple(point) for point in points], fill=255, width=min(width, 8), joint="curve")
    elif kind == 1:  # a zigzag of many teeth
        n = int(draw.integers(6, 14))
        x, y = (
            np.linspace(10, 100, n),
            56 + np.where(np.arange(n) % 2, 1, -1) * draw.uniform(10, 40, n),
        )
        points = [(a, b) if draw.random() < 0.9 else (b, a) for a, b in zip(x, y, strict=True)]
        pen.line(points, fill=255, width=min(width, 9), joint="curve")
    elif kind == 2:  # crossing or parallel lines: +, ×, =, #, *
        for _ in range(int(draw.integers(2, 5))):
            pen.line([tuple(draw.uniform(8, 104, 2)) for _ in "ab"], fill=255, width=width)
    elif kind == 3:  # dots
        for _ in range(int(draw.integers(2, 12))):
            x, y, r = draw.uniform(15, 97), draw.uniform(15, 97), draw.uniform(4, 14)
            pen.ellipse([x - r, y - r, x + r, y + r], fill=255)
    elif kind == 4:  # a filled shape, a frame, an arrow
        points = [
            tuple(56 + draw.uniform(20, 50) * np.array([math.cos(a), math.sin(a)]))
            for a in np.sort(draw.uniform(0, 6.28, draw.integers(3, 7)))
        ]
        pen.polygon(
            points, fill=255 if draw.random() < 0.6 else 0, outline=255, width=width // 2 + 1
        )
    elif kind == 5:  # texture: grey noise at some scale
        n = int(draw.integers(3, 28))
        return np.asarray(
            Image.fromarray(
                (draw.random((n, n)) ** draw.uniform(0.5, 3) * 255).astype(np.uint8)
            ).resize((28, 28))
        )
    else:  # a comb of short strokes
        for x in np.arange(12, 104, draw.uniform(14, 26)):
            pen.line(
                [(x, draw.uniform(8, 50)), (x + draw.normal() * 8, draw.uniform(62, 104))],
                fill=255,
                width=width // 2 + 2,
            )
    if draw.random() < 0.5:
        page = page.rotate(float(draw.uniform(0, 360)))
    return to_crop(np.asarray(page))


def neighbours(images: np.ndarray, draw: np.random.Generator, n: int) -> np.ndarray:
    """Two or three digits in one box, as a failed cut would leave them: not a digit."""
    found = []
    for _ in range(n):
        chosen = images[draw.integers(len(images), size=draw.choice([2, 2, 3]))]
        wide = np.zeros((28, 28 * len(chosen)), np.uint8)
        x = 0
        for digit in chosen:
            columns = np.nonzero(digit.max(axis=0) > 60)[0]
            part = digit[:, columns[0] : columns[-1] + 1]
            wide[:, x : x + part.shape[1]] = np.maximum(wide[:, x : x + part.shape[1]], part)
            x += max(4, part.shape[1] + int(draw.integers(-3, 3)))
        found.append(to_crop(np.kron(wide, np.ones((2, 2), np.uint8))))
    return np.stack(found)


def printed(signs: str) -> np.ndarray:
    """Letters and signs of Pillow's own typeface, light to bold."""
    found = []
    for sign in signs:
        for weight in (0, 2, 4, 6):
            page = Image.new("L", (160, 160))
            font = ImageFont.load_default(size=90)
            ImageDraw.Draw(page).text(
                (80, 80), sign, fill=255, font=font, anchor="mm", stroke_width=weight
            )
            found.append(np.asarray(page))
    return crops(np.stack(found))


# Quarter turns counterclockwise (4: mirrored) after which a digit is a digit no more, however it was written.
TURNS = {
    1: [1, 3],
    2: [1, 3],
    3: [1, 2, 3, 4],
    4: [1, 2, 3, 4],
    5: [1, 3],
    6: [1, 3],
    7: [1, 2, 3, 4],
    8: [1, 3],
    9: [1, 3, 4],
}


def turned(images: np.ndarray, labels: np.ndarray, draw: np.random.Generator, n: int) -> np.ndarray:
    """Digits on their side, upside down or mirrored: a page that lies on its side shall not be read."""
    found = []
    for i in draw.permutation(np.nonzero(labels > 0)[0])[:n]:
        turn = draw.choice(TURNS[int(labels[i])])
        found.append(images[i][:, ::-1] if turn == 4 else np.rot90(images[i], turn))
    return np.stack(found)


def nondigits(digits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What to train the reject on: scripts, printed letters, scribbles, digits turned or run together."""
    made = np.stack([scribble(rng) for _ in range(6000)])
    type_ = np.repeat(printed("ACEFHKLMNPRTUVWXYacefhkmnprtuvwx"), 8, axis=0)
    real = [omniglot(["Greek", "Korean", "Latin"]), letters("ACEF")]
    return np.concatenate(
        [*real, type_, made, neighbours(digits, rng, 3000), turned(digits, labels, rng, 6000)]
    )


def synthetic() -> dict[str, np.ndarray]:
    """Crops off synthetic pages as Legibly finds them; wrong cuts and joins, no digits; both of held-out hands too."""
    if args.cache and args.cache.exists():
        with np.load(args.cache) as file:
            return dict(file)
    draw, held_draw = (
        np.random.default_rng(11),
        np.random.default_rng(12),
    )  # the same pages for every seed
    made = dict(zip("xy", synthesis.crops(draw, args.pages, train_x, train_y), strict=True))
    made["wrong"] = synthesis.mistakes(draw, args.pages // 4, train_x, train_y)
    made["held_x"], made["held_y"] = synthesis.crops(held_draw, args.pages // 8, held_x, held_y)
    made["held_wrong"] = synthesis.mistakes(held_draw, args.pages // 20, held_x, held_y)
    if args.cache:
        np.savez_compressed(args.cache, **made)
    return made


def upright_bar(crop: np.ndarray) -> bool:
    """Whether ink is so narrow and straight that it may be a 1: no example of a non-digit, wherever it comes from."""
    rows, columns = np.nonzero((crop > 60).any(axis=1))[0], np.nonzero((crop > 60).any(axis=0))[0]
    return len(rows) > 0 and np.ptp(columns) + 1 < 0.45 * (np.ptp(rows) + 1)


started = time.time()
train_x, train_y = mnist("train")
held_x, held_y = train_x[-5000:], train_y[-5000:]
train_x, train_y = train_x[:-5000], train_y[:-5000]
sources: dict[str, tuple[np.ndarray, np.ndarray, float]] = {"mnist": (train_x, train_y, 0.50)}
for name, load, share in (
    ("opencv", opencv, 0.06),
    ("semeion", semeion, 0.04),
    ("optdigits", optdigits, 0.04),
):
    if name not in args.without:
        sources[name] = (*load(), share)
page_crops = synthetic()
if "synthetic" not in args.without:
    sources["synthetic"] = (page_crops["x"], page_crops["y"].astype(np.int64), 0.22)
if "nondigits" not in args.without:
    made = nondigits(train_x, train_y)
    if "synthetic" not in args.without:
        made = np.concatenate([made, page_crops["wrong"]])
    made = np.stack([crop for crop in made if not upright_bar(crop)])
    sources["nondigits"] = (made, np.full(len(made), REJECT), 0.15)
total_share = sum(share for _, _, share in sources.values())
print(
    {name: len(x) for name, (x, _, _) in sources.items()},
    f"loaded in {time.time() - started:.0f} s",
    flush=True,
)


# ---- Augmentation: a batch at a time; a quarter of the samples stays clean ----


def uniform(n: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(n) * (high - low) + low


def some(n: int, chance: float) -> torch.Tensor:
    return torch.nonzero(torch.rand(n) < chance).squeeze(1)


def warp(x: torch.Tensor) -> torch.Tensor:
    """Rotate, shear, scale, shift and bend: x (N, 1, 28, 28)."""
    n = len(x)
    angle, shear = uniform(n, -15, 15) * math.pi / 180, uniform(n, -0.3, 0.3)
    wide, high = 1 / uniform(n, 0.8, 1.15), 1 / uniform(n, 0.8, 1.15)
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = (torch.randn(2, n) * 0.08).clamp(-3 / 14, 3 / 14)
    theta = torch.stack(
        [
            wide * cos,
            wide * (shear * cos - sin),
            shift[0],
            high * sin,
            high * (shear * sin + cos),
            shift[1],
        ],
        1,
    )
    grid = functional.affine_grid(theta.view(n, 2, 3), [n, 1, 28, 28], align_corners=False)
    bend = functional.interpolate(
        torch.randn(n, 2, 5, 5), (28, 28), mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1) * uniform(n, 0, 0.075).view(n, 1, 1, 1)
    return functional.grid_sample(x, grid, align_corners=False)


def augment(x: torch.Tensor) -> torch.Tensor:
    """(N, 1, 28, 28) float32, 0 paper … 1 ink, to the same; in place where it can."""
    i = some(len(x), 0.75)
    y = warp(x[i])
    j = some(len(y), 0.2)  # thicker
    y[j] = torch.lerp(y[j], functional.max_pool2d(y[j], 3, 1, 1), torch.rand(len(j), 1, 1, 1))
    j = some(len(y), 0.15)  # thinner
    y[j] = torch.lerp(
        y[j], -functional.max_pool2d(-y[j], 3, 1, 1), uniform(len(j), 0, 0.7).view(-1, 1, 1, 1)
    )
    j = some(len(y), 0.15)  # out of focus
    y[j] = torch.lerp(
        y[j], functional.avg_pool2d(y[j], 3, 1, 1), uniform(len(j), 0, 1.2).view(-1, 1, 1, 1)
    ).clamp(0, 1)
    j = some(len(y), 0.1)  # few pixels
    side = int(torch.randint(9, 20, ()))
    y[j] = functional.interpolate(
        functional.interpolate(y[j], (side, side), mode="area"), (28, 28), mode="bilinear"
    )
    j = some(len(y), 0.3)  # gamma, contrast
    gamma = torch.exp(uniform(len(j), -0.8, 0.8)).view(-1, 1, 1, 1)
    y[j] = y[j].clamp(1e-4, 1) ** gamma * uniform(len(j), 0.5, 1).view(-1, 1, 1, 1)
    j = some(len(y), 0.05)  # a neighbour reaches in
    other = torch.roll(
        y[torch.randperm(len(y))[: len(j)]],
        int(torch.randint(18, 23, ())) * (1 if torch.rand(()) < 0.5 else -1),
        3,
    )
    y[j] = torch.maximum(y[j], other)
    j = some(len(y), 0.1)  # uneven paper
    slope = torch.linspace(-1, 1, 28)
    paper = uniform(len(j), -0.15, 0.15).view(-1, 1, 1, 1) * slope + uniform(
        len(j), -0.15, 0.15
    ).view(-1, 1, 1, 1) * slope.view(28, 1)
    y[j] = (y[j] + paper).clamp(0, 1)
    j = some(len(y), 0.2)  # noise
    y[j] = (y[j] + torch.randn_like(y[j]) * uniform(len(j), 0, 0.15).view(-1, 1, 1, 1)).clamp(0, 1)
    x[i] = y
    return x


# ---- Network ----


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def conv(into: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


class Network(nn.Module):
    """(N, 1, 28, 28) → (N, 11) logits: ten digits, then "not a digit"."""

    def __init__(self, a: int, b: int, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, a), conv(a, b, 2), Residual(b), conv(b, c, 2), Residual(c)
        )
        self.head = nn.Linear(2 * c, len(CLASSES) + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1))


network = Network(*args.widths).to(memory_format=torch.channels_last)
parameters = sum(p.numel() for p in network.parameters())
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
average = torch.optim.swa_utils.AveragedModel(  # EMA 0.999, shorter in the first steps
    network,
    avg_fn=lambda old, new, n: (
        torch.lerp(old, new, max(0.001, 9 / (9 + float(n)))) if old.is_floating_point() else new
    ),
    use_buffers=True,
)
steps = args.images // args.batch if not (args.weights and args.weights.exists()) else 0
warm = max(1, min(400, steps // 10))
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer,
    lambda s: min(
        (s + 1) / warm,
        0.5 * (1 + math.cos(math.pi * max(0, s - warm) / max(1, steps - warm))) + 0.002,
    ),
)


# ---- Training ----


def batches():
    """Endless mixed batches: each source by its share, each source in fresh random order."""
    counts = {
        name: round(args.batch * share / total_share) for name, (_, _, share) in sources.items()
    }
    counts["mnist"] += args.batch - sum(counts.values())
    pools = {
        name: (torch.from_numpy(x.copy()), torch.from_numpy(y))
        for name, (x, y, _) in sources.items()
    }
    queues = {name: torch.empty(0, dtype=torch.long) for name in pools}
    while True:
        xs, ys = [], []
        for name, (x, y) in pools.items():
            while len(queues[name]) < counts[name]:
                queues[name] = torch.cat([queues[name], torch.randperm(len(x))])
            chosen, queues[name] = queues[name][: counts[name]], queues[name][counts[name] :]
            xs.append(x[chosen])
            ys.append(y[chosen])
        yield torch.cat(xs).unsqueeze(1).float() / 255, torch.cat(ys)


def logits_of(images: np.ndarray) -> np.ndarray:
    """Logits of the averaged weights for (N, 28, 28) uint8."""
    average.eval()
    with torch.inference_mode():
        parts = [
            average(torch.from_numpy(images[i : i + 500].copy()).unsqueeze(1).float() / 255)
            for i in range(0, len(images), 500)
        ]
    return torch.cat(parts).numpy()


def right(images: np.ndarray, labels: np.ndarray) -> float:
    return float((logits_of(images)[:, :10].argmax(axis=1) == labels).mean())


usps_x, usps_y = npz("usps/usps.npz", "x_train", "y_train")
usps_x = crops(
    np.stack(
        [np.asarray(Image.fromarray(x).resize((64, 64), Image.Resampling.BICUBIC)) for x in usps_x]
    )
)
canvas_x, canvas_y = npz("canvas/canvas_glut_100.npz", "x", "y")
canvas_x = crops(255 - canvas_x)
print(f"{parameters} parameters, {steps} steps of {args.batch}", flush=True)
network.train()
clock, mean = time.time(), 0.0
for step, (x, y) in zip(range(steps), batches(), strict=False):
    x = augment(x).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        out = network(x)
    loss = functional.cross_entropy(out.float(), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()
    average.update_parameters(network)
    mean += (loss.item() - mean) / min(step + 1, 200)
    if (step + 1) % max(1, steps // 8) == 0:
        some_usps = right(usps_x[:2000], usps_y[:2000])
        checks = f"mnist held {right(held_x, held_y):.4f} usps {some_usps:.4f} canvas {right(canvas_x, canvas_y):.4f}"
        print(f"step {step + 1} loss {mean:.4f} {checks} {time.time() - clock:.0f} s", flush=True)
made_by = {
    "seconds": round(time.time() - clock),
    "images": steps * args.batch,
    "seed": args.seed,
    "without": args.without,
}
if args.weights and args.weights.exists():
    saved = torch.load(args.weights)
    made_by = saved["made_by"]
    average.module.load_state_dict(saved["weights"])
elif args.weights:
    torch.save({"weights": average.module.state_dict(), "made_by": made_by}, args.weights)


# ---- Confidence: temperature, digitness, thresholds, all from validation data ----

check = np.random.default_rng(12345)  # never the training seed
noisy = augment(torch.from_numpy(held_x.copy()).unsqueeze(1).float() / 255)
noisy_x = (noisy.squeeze(1).numpy() * 255).round().astype(np.uint8)
digit_sets = {
    "mnist held": (held_x, held_y),
    "corrupted": (noisy_x, held_y),
    "usps": (usps_x, usps_y),
    "canvas": (canvas_x, canvas_y),
    "pages": (page_crops["held_x"], page_crops["held_y"].astype(np.int64)),
}
other_sets = {
    "Balinese": omniglot(["Balinese"]),
    "notMNIST H": letters("H"),
    "signs": printed("%#@+*=~<>$£^"),
    "scribbles": np.stack([scribble(check) for _ in range(1500)]),
    "wrong cuts": np.stack([crop for crop in page_crops["held_wrong"] if not upright_bar(crop)]),
}
digit_logits = {name: (logits_of(x), y) for name, (x, y) in digit_sets.items()}
other_logits = {name: logits_of(x) for name, x in other_sets.items()}


def fit_temperature() -> float:
    """The temperature of the least mean NLL, each digit set counting alike."""

    def nll(t: float) -> float:
        scores = [
            (calibration.log_softmax(z[:, :10].astype(np.float64) / t), y)
            for z, y in digit_logits.values()
        ]
        return float(np.mean([-score[np.arange(len(y)), y].mean() for score, y in scores]))

    return min(np.geomspace(0.4, 3, 200), key=nll)


def fit_digitness() -> card.Digitness:
    """Logistic regression of digit against non-digit on (1, margin, energy), one item in twenty being none."""
    rows, targets, weights = [], [], []
    for share, target, group in (
        (0.95, 1, [z for z, _ in digit_logits.values()]),
        (0.05, 0, list(other_logits.values())),
    ):
        for z in group:
            energy = calibration.logsumexp(z[:, :10].astype(np.float64))
            rows.append(np.stack([np.ones(len(z)), energy - z[:, 10], energy], axis=1))
            targets.append(np.full(len(z), target))
            weights.append(np.full(len(z), share / len(group) / len(z)))
    a, t, w = np.concatenate(rows), np.concatenate(targets), np.concatenate(weights)

    def loss(beta: np.ndarray) -> float:
        return float(
            (w * np.logaddexp(0, np.where(t == 1, -1, 1) * (a @ beta))).sum() + 5e-7 * beta @ beta
        )

    beta = np.zeros(3)
    for _ in range(100):  # Newton with a little ridge, its steps halved until they help
        p = calibration.sigmoid(a @ beta)
        hessian = (a * (w * p * (1 - p))[:, None]).T @ a + 1e-6 * np.eye(3)
        step = np.linalg.solve(hessian, a.T @ (w * (p - t)) + 1e-6 * beta)
        while np.abs(step).max() > 1e-9 and loss(beta - step) > loss(beta):
            step = step / 2
        beta = beta - step
    return card.Digitness(*(round(float(b), 5) for b in beta))


facts = card.Card(
    name="digits", classes=tuple(CLASSES), reject="not_a_digit", layout="ink", input=card.Input(28, 28), sha256="",
    temperature=round(float(fit_temperature()), 4), digitness=fit_digitness(),
    thresholds=card.Thresholds(read=1.0, digit=0.5),
    licence="Apache-2.0 (weights); trained on MNIST (CC BY-SA 3.0), OpenCV's grid (Apache-2.0), "
    "Semeion and optdigits (CC BY 4.0), Omniglot and notMNIST (MIT)",
    source="recipes/digits/train.py", created=dt.datetime.now(dt.UTC).date().isoformat(),
)  # fmt: skip


def judged(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(top class, confidence, digitness), each (N,)."""
    probabilities, digitness = calibration.judge(facts, logits)
    return (
        probabilities.argmax(axis=1),
        calibration.confidences(probabilities, digitness),
        digitness,
    )


def calibration_error() -> float:
    """The equal-mass calibration error (15 bins) of the confidence on validation digits, the mean over the sets."""
    errors = []
    for z, y in digit_logits.values():
        top, confidence, _ = judged(z)
        parts = np.array_split(np.argsort(confidence, kind="stable"), 15)
        gaps = [len(p) * abs(float(confidence[p].mean() - (top == y)[p].mean())) for p in parts]
        errors.append(sum(gaps) / len(y))
    return float(np.mean(errors))


def fit_digit() -> float:
    """The highest digitness that at most 0.03 % of validation digits fall below, 0.5 at the most."""
    return round(
        min(
            0.5,
            float(np.mean([np.quantile(judged(z)[2], 0.0003) for z, _ in digit_logits.values()])),
        ),
        3,
    )


def fit_read() -> tuple[float, dict[str, float]]:
    """The least confidence at which validation has ≤ 0.2 % errors among `read` and ≤ 1.5 % of non-digits `read`."""
    pairs = [(judged(z), y) for z, y in digit_logits.values()]
    others = [judged(z)[1] for z in other_logits.values()]
    for limit in np.concatenate([np.arange(0.5, 0.95, 0.01), np.arange(0.95, 1, 0.0025)]):
        covered = float(np.mean([(c >= limit).mean() for (_, c, _), _ in pairs]))
        wrong = float(np.mean([((c >= limit) & (top != y)).mean() for (top, c, _), y in pairs]))
        fooled = float(np.mean([(c >= limit).mean() for c in others]))
        if wrong <= 0.002 * covered and fooled <= 0.015:
            break
    return round(float(limit), 4), {
        "coverage": round(covered, 5),
        "risk": round(wrong / max(covered, 1e-9), 5),
        "non_digits_read": round(fooled, 5),
    }


def auroc(high: np.ndarray, low: np.ndarray) -> float:
    """The chance that one of `high` exceeds one of `low`."""
    order = np.argsort(np.concatenate([high, low]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return float(
        (ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low))
    )


limit, selective = fit_read()
selective["ece"] = round(calibration_error(), 5)
facts = card.Card.from_json(
    {**facts.to_json(), "thresholds": {"read": limit, "digit": fit_digit()}}
)

# ---- Export, and the figures of the tests: told, never used to choose ----

args.out.mkdir(parents=True, exist_ok=True)
final = average.module.eval().to(memory_format=torch.contiguous_format)
torch.onnx.export(
    final, (torch.zeros(2, 1, 28, 28),), args.out / card.MODEL, input_names=["crops"], output_names=["logits"],
    dynamic_axes={"crops": {0: "n"}, "logits": {0: "n"}}, opset_version=17, dynamo=False,
)  # fmt: skip
test_x, test_y = mnist("t10k")
facts = card.Card.from_json(
    {**facts.to_json(), "sha256": hashlib.sha256((args.out / card.MODEL).read_bytes()).hexdigest()}
)
card.write_card(args.out, facts)
opened = pack.open_pack(args.out, threads=2)


def figures(images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    top, confidence, _ = judged(opened.logits(images[:, None].astype(np.float32) / 255))
    read = confidence >= limit
    return {
        "n": len(labels),
        "errors": int((top != labels).sum()),
        "accuracy": round(float((top == labels).mean()), 5),
        "coverage": round(float(read.mean()), 5),
        "risk": round(float((top != labels)[read].mean()), 5),
    }


known = judged(opened.logits(test_x[:, None].astype(np.float32) / 255))[2]
rejects = {}
for name, images in {
    **other_sets,
    "Early_Aramaic": omniglot(["Early_Aramaic"]),
    "notMNIST J": letters("J"),
}.items():
    _, confidence, digitness = judged(opened.logits(images[:, None].astype(np.float32) / 255))
    rejects[name] = {
        "n": len(images),
        "read": round(float((confidence >= limit).mean()), 5),
        "auroc": round(auroc(known, digitness), 5),
    }
metrics = {
    "parameters": parameters,
    **made_by,
    "validation": {
        **{name: figures(x, y) for name, (x, y) in digit_sets.items()},
        "pooled": selective,
    },
    "mnist_test_crops": figures(test_x, test_y),
    "non_digits": rejects,
    "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__},
}
card.write_card(args.out, card.Card.from_json({**facts.to_json(), "metrics": metrics}))
print(json.dumps({**facts.to_json(), "metrics": metrics}))
