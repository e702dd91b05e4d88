"""Switching models under load: requests that fail, and what a shadow costs the answer.

    python benchmarks/switching.py [--seconds 40] [--rate 200] [--shadow-seconds 60]

First `--rate` requests a second go to a server (one in ten is a drawing that waits for its reading,
the others ask for images), while the model is switched back and forth every two seconds by another
process's change in the store. Then drawings are sent one after the other, in turns without and with
a shadow that reads a tenth of them: the 99th percentiles are compared. Every drawing is a file of
its own, since a hash of the file decides whether a shadow reads it.
"""

import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
from PIL.PngImagePlugin import PngInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import pictures
from legibly.packs import card as cards
from legibly.packs import registry
from server import Server

THREADS = 16
TURN_SECONDS = 5.0
DRAWING = pictures.drawing()
HEADERS = {"Content-Type": "image/png"}
NUMBERS = itertools.count()


def models(folder, *arguments):
    """Run `legibly models` as an operator would."""
    command = [sys.executable, "-m", "legibly", "models", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def drawing():
    """The file of a drawing, different each time by a comment."""
    comment = PngInfo()
    comment.add_text("Comment", str(next(NUMBERS)))
    return pictures.encoded(DRAWING, pnginfo=comment)


def send(client, number):
    """One request of the mix; its status and the version that read."""
    if number % 10:
        response = client.get("/api/images", params={"limit": "5"})
    else:
        response = client.post("/api/images?wait=20", content=drawing(), headers=HEADERS)
    return response.status_code, response.headers.get("x-legibly-model", "")


def switch(url, *, seconds, rate):
    """Requests by status and by version, and switches, for so many seconds."""
    statuses = Counter()
    versions = Counter()
    ended = threading.Event()
    switches = []

    def change():
        with httpx.Client(base_url=url, timeout=60) as admin:
            while not ended.wait(2):
                name = ("other", "digits")[len(switches) % 2]
                answer = admin.post(f"/api/models/{name}/promote", json={"reason": "benchmark"})
                answer.raise_for_status()
                switches.append(name)

    changing = threading.Thread(target=change)
    limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    with (
        httpx.Client(base_url=url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        changing.start()
        began = time.monotonic()
        sent = []
        while time.monotonic() < began + seconds:
            due = int((time.monotonic() - began) * rate)
            sent += [pool.submit(send, client, number) for number in range(len(sent), due)]
            time.sleep(0.01)
        for future in sent:
            try:
                status, version = future.result()
            except httpx.HTTPError as error:
                status = repr(error)
                version = ""
            statuses[status] += 1
            versions[version] += 1
        elapsed = time.monotonic() - began
    ended.set()
    changing.join()
    print(
        f"{len(sent)} requests in {elapsed:.0f} s ({len(sent) / elapsed:.0f}/s), {len(switches)} "
        f"switches: {dict(statuses)}, by version {dict(versions)}"
    )


def shadow(url, *, seconds):
    """The 99th percentile of a drawing's answer, in turns without and with a shadow."""
    times = {0.0: [], 0.1: []}
    with httpx.Client(base_url=url, timeout=60) as client:
        for turn in range(2 * max(1, int(seconds / TURN_SECONDS / 2))):
            share = (0.0, 0.1)[turn % 2]
            client.post("/api/models/other/shadow", json={"share": share}).raise_for_status()
            time.sleep(1)
            ends = time.monotonic() + TURN_SECONDS
            while time.monotonic() < ends:
                picture = drawing()
                began = time.perf_counter()
                client.post("/api/images?wait=20", content=picture, headers=HEADERS)
                times[share].append(time.perf_counter() - began)
                time.sleep(0.02)
    figures = {}
    for share, values in times.items():
        cuts = [1000 * cut for cut in statistics.quantiles(values, n=100)]
        figures[share] = cuts
        print(
            f"shadow {share:.0%}: {len(values)} drawings, p50 {cuts[49]:.1f} ms, "
            f"p99 {cuts[98]:.1f} ms"
        )
    print(f"p99 with the shadow: {figures[0.1][98] / figures[0.0][98] - 1:+.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--shadow-seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(registry.find("digits"), folder / "other")
        card = cards.read_card(folder / "other")
        cards.write_card(folder / "other", replace(card, created="later"))
        models(folder, "add", str(folder / "other"), "--name", "other")
        with Server.started(folder, LEGIBLY_RATE="0") as server:
            switch(server.url, seconds=options.seconds, rate=options.rate)
            httpx.post(f"{server.url}/api/models/digits/promote", json={"reason": "benchmark"})
            shadow(server.url, seconds=options.shadow_seconds)


if __name__ == "__main__":
    main()
