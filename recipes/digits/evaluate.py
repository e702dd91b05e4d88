"""Measure a digits pack on every test of README.md: pictures go the whole path, from bytes to reading.

    python recipes/digits/evaluate.py --data DATA [--pack PACK] [--only usps photos …] [--shrink]

Prints one JSON object a test, then the figures over all of them. Nothing here is used to choose anything.
"""

import argparse
import csv
import gzip
import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import synthesis
from PIL import Image, ImageOps

from legibly.packs import pack, registry
from legibly.statistics import metrics
from legibly.vision import reading

STRESS = (
    "plain", "shadow", "blur", "tilt", "rules", "squares", "low light", "jpeg", "small", "touching", "rows", "slant",
)  # fmt: skip
DIGIT_LIKE = {  # of Omniglot's alphabets, as train.py has it
    "Early_Aramaic": {2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 20},
    "Balinese": {5, 14},
}
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--pack", default="digits")
parser.add_argument(
    "--only", nargs="*", default=None, help="names, or beginnings of names, of tests"
)
parser.add_argument("--each", type=int, default=100, help="stress pictures a kind")
parser.add_argument(
    "--seed",
    type=int,
    default=7,
    help="of the stress pictures; another one makes development pictures",
)
parser.add_argument(
    "--shrink",
    action="store_true",
    help="no ink is found: grey, dark on light inverted, shrunk to 28 × 28",
)
args = parser.parse_args()
model = pack.open_pack(registry.find(args.pack))
reader = reading.Reader(model)
LIMIT = model.card.thresholds.read


def idx(name: str) -> np.ndarray:
    raw = gzip.decompress((args.data / name).read_bytes())
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(
        np.frombuffer(raw, ">i4", raw[3], 4)
    )


def png(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def mnist() -> Iterator[tuple[bytes, str]]:
    for image, label in zip(
        idx("mnist/t10k-images-idx3-ubyte.gz"), idx("mnist/t10k-labels-idx1-ubyte.gz"), strict=True
    ):
        yield png(image), str(label)


def usps() -> Iterator[tuple[bytes, str]]:
    with np.load(args.data / "usps/usps.npz") as file:
        for image, label in zip(file["x_test"], file["y_test"], strict=True):
            yield png(image), str(label)


def photos(several: bool) -> Iterator[tuple[bytes, str]]:
    with (args.data / "photos/labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (len(row["label"]) > 1) == several:
                yield (args.data / "photos" / row["file"]).read_bytes(), row["label"]


def stress(kind: str) -> Iterator[tuple[bytes, str]]:
    glyphs, labels = synthesis.held_out(args.data)
    rng = np.random.default_rng([args.seed, [*synthesis.KINDS, *synthesis.UNTRAINED].index(kind)])
    for data, truth in synthesis.pages(rng, args.each, glyphs, labels, kind=kind):
        yield data, truth.text


def script(alphabet: str, like: bool) -> Iterator[tuple[bytes, str]]:
    """Handwritten letters of a script left out of training; `like` picks those that a person may take for digits."""
    with zipfile.ZipFile(args.data / "rejects/omniglot_small1.zip") as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".png") or parts[1] != alphabet:
                continue
            if (int(parts[2].removeprefix("character")) in DIGIT_LIKE[alphabet]) == like:
                yield png(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))), ""


def printed(letter: str) -> Iterator[tuple[bytes, str]]:
    chosen = idx("rejects/notmnist-labels-idx1-ubyte.gz") == "ABCDEFGHIJ".index(letter)
    for image in idx("rejects/notmnist-images-idx3-ubyte.gz")[chosen]:
        yield png(image), ""


def shrunk(data: bytes) -> tuple[str, str, float]:
    """What most tutorials do: grey, inverted if the paper is light, resized."""
    grey = (
        ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        .convert("L")
        .resize((28, 28), Image.Resampling.BOX)
    )
    crop = np.asarray(grey, np.float32) / 255
    crop = 1 - crop if np.median(crop) > 0.5 else crop
    probabilities, digitness = model.judge(model.logits(crop[None, None]))
    verdict = model.verdicts(probabilities, digitness)[0]
    label = "" if verdict == model.card.reject else model.card.classes[int(probabilities.argmax())]
    return label, verdict, float(model.confidences(probabilities, digitness)[0])


def whole(data: bytes) -> tuple[str, str, float]:
    seen = reader.read(data).reading
    return seen.text, seen.verdict, seen.confidence


def distance(one: str, other: str) -> int:
    """Edit distance between two texts."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def ece(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Calibration error over bins of equal mass."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return float(
        sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts if len(p))
        / len(confidence)
    )


def run(name: str, pictures: Iterator[tuple[bytes, str]]) -> list[tuple[str, str, str, float]]:
    started = time.perf_counter()
    read = shrunk if args.shrink else whole
    rows = [(truth, *read(data)) for data, truth in pictures]
    seconds = time.perf_counter() - started
    truths, texts, verdicts, confidences = zip(*rows, strict=True)
    right = np.array([a == b for a, b in zip(truths, texts, strict=True)])
    told = {"test": name, "n": len(rows), "verdicts": dict(Counter(verdicts))}
    sure = np.array([verdict == "read" for verdict in verdicts])
    if any(truths):
        interval = metrics.share(int(right.sum()), len(rows))
        digits = [
            ("".join(filter(str.isdigit, a)), "".join(filter(str.isdigit, b)))
            for a, b in zip(truths, texts, strict=True)
        ]
        wrong = sum(distance(a, b) for a, b in digits)
        told |= {"errors": int((~right).sum()), "exact": round(float(right.mean()), 5)}
        told |= {"interval": [round(interval.low, 5), round(interval.high, 5)]}
        told |= {
            "digits_right": round(1 - wrong / sum(len(a) for a, _ in digits), 5),
            "coverage": round(float(sure.mean()), 5),
        }
        told |= {
            "errors_read": int((~right & sure).sum()),
            "ece": round(ece(np.array(confidences), right), 5),
        }
    else:
        told |= {"called_read": round(float(sure.mean()), 5)}
    print(json.dumps({**told, "milliseconds": round(1000 * seconds / len(rows), 2)}), flush=True)
    return rows


def score(row: tuple[str, str, str, float]) -> float:
    """How much of a digit: the confidence of an answer; below 0 for a rejection, the surer the lower."""
    return row[3] if row[2] in ("read", "unsure") else -row[3]


def auroc(high: np.ndarray, low: np.ndarray) -> float:
    less = np.searchsorted(np.sort(low), high, "left")
    same = np.searchsorted(np.sort(low), high, "right") - less
    return float((less + same / 2).mean() / len(low))


tests = {
    "mnist test": mnist(),
    "usps test": usps(),
    "photos single": photos(False),
    "photos several": photos(True),
}
tests |= {f"stress {kind}": stress(kind) for kind in STRESS}
others = {
    "letters unseen script": script("Early_Aramaic", False),
    "letters like digits": script("Early_Aramaic", True),
}
others |= {"printed J": printed("J")}
others |= {"validation Balinese": script("Balinese", False), "validation printed H": printed("H")}
if args.only is not None:
    tests = {
        name: rows for name, rows in tests.items() if any(name.startswith(one) for one in args.only)
    }
    others = {
        name: rows
        for name, rows in others.items()
        if any(name.startswith(one) for one in args.only)
    }
print(
    json.dumps(
        {
            "pack": f"{model.model.name}@{model.model.version}",
            "read_from": LIMIT,
            "shrink": args.shrink,
        }
    )
)
if args.only is None or "crops" in args.only:
    images, labels = idx("mnist/t10k-images-idx3-ubyte.gz"), idx("mnist/t10k-labels-idx1-ubyte.gz")
    wrong = int(
        (
            model.logits(images[:, None].astype(np.float32) / 255)[:, :10].argmax(axis=1) != labels
        ).sum()
    )
    print(
        json.dumps(
            {
                "test": "mnist test crops",
                "n": len(labels),
                "errors": wrong,
                "exact": 1 - wrong / len(labels),
            }
        )
    )
done = {name: run(name, pictures) for name, pictures in tests.items()}
rejected = {name: run(name, pictures) for name, pictures in others.items()}
pooled = [row for name, rows in done.items() if not name.startswith("stress") for row in rows]
if pooled:
    sure = [row for row in pooled if row[2] == "read"]
    wrong = sum(row[0] != row[1] for row in sure)
    told = {"n": len(pooled), "coverage": round(len(sure) / len(pooled), 5), "errors_read": wrong}
    print(json.dumps({"pooled": {**told, "risk": round(wrong / max(1, len(sure)), 5)}}))
foreign = [
    row for name, rows in done.items() if name.startswith(("usps", "photos")) for row in rows
]
if foreign:
    right = np.array([row[0] == row[1] for row in foreign])
    print(
        json.dumps(
            {
                "ece photos and usps": round(ece(np.array([row[3] for row in foreign]), right), 5),
                "n": len(foreign),
            }
        )
    )
digits = np.array([score(row) for row in done.get("mnist test", [])])
for name, rows in rejected.items():
    if len(digits):
        print(
            json.dumps(
                {
                    "auroc": round(auroc(digits, np.array([score(row) for row in rows])), 5),
                    "against": name,
                }
            )
        )
