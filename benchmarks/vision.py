"""How long one picture takes on one core, from bytes to reading, and how much memory a very big
one.

    python benchmarks/vision.py [--json] [--rounds 40]

Times are the least and the median of several rounds in one thread, so that a busy machine shows in
the second only; memory is the peak of a process of its own that reads one picture.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image, ImageDraw

from legibly.images import decode
from legibly.packs import pack, registry
from legibly.vision.reading import Reader

SEVEN = [(60, 60), (200, 60), (120, 230)]


def canvas() -> Image.Image:
    """A 7 as the web app's canvas sends it: 280 × 280."""
    picture = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(picture).line(SEVEN, fill=20, width=18, joint="curve")
    return picture


def photo(width: int, height: int) -> Image.Image:
    """The 7 on a sheet under a lamp, with a camera's noise."""
    rng = np.random.default_rng(0)
    cover = 1 - np.asarray(canvas().resize((width * 3 // 4, height * 3 // 4)), np.float32) / 255
    ink = np.zeros((height, width), np.float32)
    ink[height // 8 : height // 8 + cover.shape[0], width // 8 : width // 8 + cover.shape[1]] = (
        cover
    )
    lamp = np.linspace(0.9, 0.6, width, dtype=np.float32)[None]
    grey = lamp * (1 - 0.75 * ink)
    values = grey[..., None] * np.array([1.0, 0.97, 0.9], np.float32)
    values += rng.normal(0, 0.01, grey.shape).astype(np.float32)[..., None]
    return Image.fromarray((255 * values.clip(0, 1)).astype(np.uint8))


def page(width: int, height: int) -> Image.Image:
    """Eight rows of eight small sevens."""
    picture = Image.new("L", (width, height), 240)
    small = canvas().resize((height // 9, height // 9))
    for row in range(8):
        for column in range(8):
            picture.paste(
                small, (width // 12 + column * width // 9, height // 20 + row * height // 9)
            )
    return picture.convert("RGB")


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def big(kind: str) -> bytes:
    """A 50-megapixel picture: 8,000 × 6,250."""
    picture = canvas().convert("RGB").resize((8000, 6250))
    return encoded(picture, kind, **({"compress_level": 1} if kind == "PNG" else {}))


def timed(call: object, rounds: int) -> dict[str, float]:
    call()
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - began))
    return {"least_ms": round(min(spent), 3), "median_ms": round(statistics.median(spent), 3)}


def peak(kind: str) -> float:
    """The peak of a fresh process that reads a 50-megapixel picture given on its standard input,
    megabytes.
    """
    done = subprocess.run(
        [sys.executable, __file__, "--read-stdin"], input=big(kind), capture_output=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--read-stdin", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    reader = Reader(pack.open_pack(registry.find("digits")))
    if args.read_stdin:
        reader.read(sys.stdin.buffer.read())
        # The high-water mark of this program alone: getrusage's would begin at the parent's.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return
    small = encoded(canvas(), "PNG")
    matches: dict[str, object] = {
        "probe canvas PNG": timed(lambda: decode.probe(small, max_pixels=10**6), 10 * args.rounds),
        "canvas PNG": timed(lambda: reader.read(small), 10 * args.rounds),
    }
    cases = {
        "1-megapixel JPEG": encoded(photo(1200, 900), "JPEG", quality=90),
        "1-megapixel PNG": encoded(photo(1200, 900), "PNG"),
        "12-megapixel JPEG": encoded(photo(4000, 3000), "JPEG", quality=90),
        "12-megapixel JPEG, 64 digits": encoded(page(4000, 3000), "JPEG", quality=90),
    }
    for name, data in cases.items():
        matches[name] = timed(lambda data=data: reader.read(data), args.rounds)
    matches["50-megapixel peak MB"] = {
        kind: round(peak(kind), 1) for kind in ("PNG", "JPEG", "WEBP", "TIFF")
    }
    if args.json:
        print(json.dumps(matches))
        return
    for name, figures in matches.items():
        print(f"{name:<30} {figures}")


if __name__ == "__main__":
    main()
