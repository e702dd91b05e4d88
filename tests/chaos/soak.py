"""Mixed traffic for a while, for `make soak`: memory, file handles and latency have to stay flat.

Prints a line a tenth of the time; exits with 1 where memory grew by more than 3 % or handles by
more than 20 after the first fifth, or where an upload was not read exactly once.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

import pictures
import services
from server import Server

MAX_GROWTH = 0.03
MAX_HANDLES = 20


def processes(server: Server) -> list[Path]:
    """The server's process and its children, by the process group."""
    group = server.process.pid if server.process else 0
    matches = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            matches.append(folder)
    return matches


def usage(server: Server) -> tuple[float, int]:
    """Resident megabytes and open handles of the server with its children."""
    pages = 0
    handles = 0
    for folder in processes(server):
        try:
            pages += int((folder / "statm").read_text().split()[1])
            handles += len(list((folder / "fd").iterdir()))
        except OSError:
            continue
    return pages * 4096 / 1e6, handles


def step(client: httpx.Client, chance: random.Random, ids: list[str]) -> float:
    """One request of the mix; returns its seconds, and adds the id of an upload."""
    begun = time.monotonic()
    action = chance.random()
    if action < 0.5 or not ids:
        headers = {"Content-Type": "image/png"}
        response = client.post("/api/images", content=pictures.png(), headers=headers)
        ids.append(response.json()["id"])
    elif action < 0.7:
        response = client.get(f"/api/images/{chance.choice(ids)}")
    elif action < 0.8:
        response = client.get(f"/api/images/{chance.choice(ids)}/original")
    elif action < 0.9:
        response = client.get("/api/images", params={"limit": "20"})
    else:
        body = {"text": chance.choice(["7", "1"])}
        response = client.put(f"/api/images/{chance.choice(ids)}/label", json=body)
    response.raise_for_status()
    return time.monotonic() - begun


def run(*, minutes: float, rate: float, seed: int, folder: Path) -> bool:
    """Send `rate` requests a second; returns whether everything stayed flat."""
    chance = random.Random(seed)
    ids: list[str] = []
    samples: list[tuple[float, int]] = []
    with (
        Server.started(folder, LEGIBLY_RATE="0") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        begun = time.monotonic()
        for part in range(1, 11):
            seconds: list[float] = []
            while time.monotonic() < begun + part * minutes * 6:
                seconds.append(step(client, chance, ids))
                time.sleep(max(0.0, 1 / rate - seconds[-1]))
            samples.append(usage(server))
            late = statistics.quantiles(seconds, n=100)[98]
            memory, handles = samples[-1]
            print(
                f"{part * 10:3} %: {len(ids)} uploads, {memory:.0f} MB, {handles} handles, "
                f"p50 {1000 * statistics.median(seconds):.0f} ms, p99 {1000 * late:.0f} ms",
                flush=True,
            )
        services.wait_for(lambda: _is_done(client, len(ids)), subject="reading", seconds=120)
    growth = samples[-1][0] / samples[1][0] - 1
    handles = samples[-1][1] - samples[1][1]
    print(f"memory {100 * growth:+.1f} %, handles {handles:+}, {len(ids)} uploads read once")
    return growth <= MAX_GROWTH and handles <= MAX_HANDLES


def _is_done(client: httpx.Client, uploads: int) -> bool:
    return bool(client.get("/readyz").json()["images"] == {"read": uploads})


def main() -> None:
    """Soak a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        is_flat = run(
            minutes=options.minutes, rate=options.rate, seed=options.seed, folder=Path(folder)
        )
    sys.exit(not is_flat)


if __name__ == "__main__":
    main()
