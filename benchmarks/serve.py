"""What one machine does: start-up, latency through the durable path, throughput at 16 clients,
memory.

    python benchmarks/serve.py [--images 3000] [--json]

Starts `legibly serve` in an empty folder as a user would, uploads drawn digits over HTTP with
`?wait`, so that each answer has its picture, its reading record and its index row on disk, and
checks that no image is lost or doubled.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image, ImageDraw

LEGIBLY = [sys.executable, "-m", "legibly"]
POINTS = [(60, 60), (200, 60), (120, 230)]


def canvas() -> bytes:
    """A 7 as the web app's canvas sends it: 280×280, dark on white, PNG."""
    picture = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(picture).line(POINTS, fill=20, width=18, joint="curve")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


async def upload(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, picture: bytes
) -> dict[str, object]:
    """One upload over a connection that stays open; raw, so that the client costs the machine
    little.
    """
    head = "POST /api/images?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    head += f"Content-Length: {len(picture)}\r\n\r\n"
    writer.write(head.encode() + picture)
    status = await reader.readline()
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    image: dict[str, object] = json.loads(await reader.readexactly(length))
    if b" 200 " not in status:
        raise RuntimeError(f"{status!r}: {image}")
    return image


async def load(port: int, *, clients: int, images: int) -> tuple[list[str], list[float], float]:
    """Upload from so many clients at once; gives ids, milliseconds of each, and the seconds of
    all.
    """
    picture = canvas()
    ids = []
    milliseconds = []
    left = iter(range(images))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            began = time.perf_counter()
            image = await upload(reader, writer, picture)
            milliseconds.append((time.perf_counter() - began) * 1000)
            ids.append(str(image["id"]))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return ids, milliseconds, time.perf_counter() - began


def started(folder: Path, port: int, workers: int) -> tuple[subprocess.Popen[bytes], float]:
    """A server, and how many seconds it took until it was ready."""
    began = time.perf_counter()
    command = [*LEGIBLY, "serve", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
            return process, time.perf_counter() - began
        except OSError:
            time.sleep(0.01)


def megabytes(pid: int) -> float:
    """Resident memory of a process and its children, pages that they share counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for entry in [str(pid), *children]:
        with contextlib.suppress(OSError):  # it ended since
            lines = Path(f"/proc/{entry}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def measure(images: int, workers: int) -> dict[str, float]:
    """All figures of one run."""
    figures: dict[str, float] = {"workers": workers, "cores": os.cpu_count() or 0}
    helps = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([*LEGIBLY, "--help"], stdout=subprocess.DEVNULL, check=True)
        helps.append(time.perf_counter() - began)
    figures["help_seconds"] = statistics.median(helps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = 18231
        process, figures["ready_seconds"] = started(folder, port, workers)
        try:
            ids, _, _ = asyncio.run(load(port, clients=1, images=20))
            entry, milliseconds, _ = asyncio.run(load(port, clients=1, images=300))
            figures["one_client_p50_ms"] = statistics.median(milliseconds)
            figures["one_client_p99_ms"] = statistics.quantiles(milliseconds, n=100)[98]
            ids += entry
            many, milliseconds, seconds = asyncio.run(load(port, clients=16, images=images))
            ids += many
            figures["sixteen_clients_images_per_second"] = images / seconds
            figures["sixteen_clients_p50_ms"] = statistics.median(milliseconds)
            figures["uploads"] = len(ids)
            figures["memory_mb"] = megabytes(process.pid)
            files = (folder / "legibly-data/objects/records/readings").rglob("*.jsonl")
            written = [line for path in files for line in path.read_text("utf-8").splitlines()]
            figures["lost_or_doubled"] = abs(len(set(ids)) - len(ids)) + abs(
                len(written) - len(ids)
            )
        finally:
            process.terminate()
            process.wait()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runs = [measure(arguments.images, workers) for workers in arguments.workers]
    if arguments.json:
        print(json.dumps(runs))
        return
    for figures in runs:
        for name, value in figures.items():
            print(f"{name:36} {value:10.2f}")
        print()


if __name__ == "__main__":
    main()
