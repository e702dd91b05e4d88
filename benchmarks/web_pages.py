"""How quick the web app is with many pictures: bytes of the first page, gallery pages, review,
handwriting, filters.

    python benchmarks/web_pages.py [--images 100000]

Fills an index with synthetic readings (no picture files: no figure here needs one), starts the
program, and asks it over HTTP, one client, each request 30 times after 3 unmeasured ones. Prints
medians and the slowest in milliseconds.
"""

import argparse
import gzip
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from legibly import object_keys, records
from legibly.index.sql import open_index
from legibly.packs import card as cards
from legibly.packs import registry

REPEATS = 30
WARM_UP = 3
PACK = registry.find("digits")
MODEL = records.Model(
    "digits", cards.version(cards.read_card(PACK), (PACK / cards.MODEL).read_bytes())
)
CLASSES = [str(digit) for digit in range(10)]


def fill(database: str, count: int, *, pictures: Sequence[str] = ()) -> None:
    """Images that were read, one in ten unsure, one in twenty labelled, some of those wrongly read.

    Where keys of `pictures` are given, the images take turns with them.
    """
    index = open_index(database)
    draw = random.Random(7)
    begin = records.now() - timedelta(days=300)
    for start in range(0, count, 1000):
        images = [
            image(draw, begin + timedelta(seconds=n * 250))
            for n in range(start, min(count, start + 1000))
        ]
        if pictures:
            images = [
                replace(entry, key=pictures[n % len(pictures)]) for n, entry in enumerate(images)
            ]
        index.add(images)
        index.add_readings([reading(entry) for entry in images])
        pairs = [pair(entry) for entry in images if entry.label]
        index.add_pairs(pairs)
    index.close()


def image(draw: random.Random, at: datetime) -> records.Image:
    """One of them."""
    digit = draw.choice(CLASSES)
    sure = draw.random() > 0.1
    confidence = draw.uniform(0.97, 1) if sure else draw.uniform(0.3, 0.9)
    rest = (1 - confidence) / 9
    item = records.Item(
        (61, 40, 150, 201), digit, confidence, dict.fromkeys(CLASSES, rest) | {digit: confidence}
    )
    reading = records.Reading("read" if sure else "unsure", digit, confidence, MODEL, at, (item,))
    truth = digit if draw.random() < confidence else draw.choice(CLASSES)
    label = records.Label(truth, at + timedelta(seconds=9)) if draw.random() < 0.05 else None
    identity = object_keys.new_id(at)
    key = object_keys.image(identity, "image/png")
    return records.Image(
        identity, key, at, "image/png", 2600, "read", 280, 280, label=label, reading=reading
    )


def reading(image: records.Image) -> records.ReadingRecord:
    """Its reading's record."""
    if image.reading is None:
        raise ValueError(image.id)
    return records.ReadingRecord(
        image.id, image.key, image.media_type, image.bytes, 280, 280, image.reading
    )


def wait_for(url: str) -> None:
    """Until a server answers there."""
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)


def pair(image: records.Image) -> records.Pair:
    """Its pair."""
    reading = image.reading
    label = image.label
    if reading is None or label is None:
        raise ValueError(image.id)
    model = f"{MODEL.name}@{MODEL.version}"
    return records.Pair(
        image.id, reading.text, label.text, reading.confidence, model, None, label.source, label.at
    )


def measure(url: str) -> tuple[float, float, int]:
    """Median and slowest in milliseconds, and the bytes as they travel."""
    times = []
    size = 0
    for attempt in range(WARM_UP + REPEATS):
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        begin = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as response:
            size = len(response.read())
        if attempt >= WARM_UP:
            times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times), max(times), size


def first_paint(url: str) -> int:
    """Bytes of HTML, CSS and JavaScript of the first page, compressed."""
    with urllib.request.urlopen(url, timeout=60) as response:
        page = response.read().decode()
    names = sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js))"', page)))
    bodies = [urllib.request.urlopen(url + name, timeout=60).read() for name in names]
    return sum(len(gzip.compress(body, 9)) for body in [page.encode(), *bodies])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/index.db"
        fill(database, count)
        environ = {
            **os.environ,
            "LEGIBLY_STORE": f"file://{folder}/objects",
            "LEGIBLY_DATABASE": database,
        }
        command = [sys.executable, "-m", "legibly", "serve", "--port", "18431"]
        server = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            url = "http://127.0.0.1:18431"
            wait_for(f"{url}/readyz")
            report(url, count)
        finally:
            server.terminate()
            server.wait()


def report(url: str, count: int) -> None:
    """Print the table."""
    print(
        f"{count:,} images; first paint of / {first_paint(url):,} bytes of HTML, CSS and"
        " JavaScript, gzipped"
    )
    middle = object_keys.new_id(records.now() - timedelta(days=150))
    paths = {
        "classify page": "/",
        "gallery, newest 60": "/api/images?limit=60",
        "gallery, 60 from the middle": f"/api/images?limit=60&after={middle}",
        "gallery, wrong only": "/api/images?limit=60&wrong=true",
        "gallery, one answer": "/api/images?limit=60&text=7",
        "gallery, unsure": "/api/images?limit=60&verdict=unsure",
        "gallery, nothing found": "/api/images?limit=60&text=90210",
        "review queue of 50": "/api/review?limit=50",
        "accuracy page": "/accuracy",
        "handwriting page": "/handwriting",
    }
    print(f"{'':32}{'median ms':>10}{'slowest ms':>12}{'bytes':>10}")
    for name, path in paths.items():
        median, slowest, size = measure(url + path)
        print(f"{name:32}{median:10.1f}{slowest:12.1f}{size:10,}")


if __name__ == "__main__":
    main()
