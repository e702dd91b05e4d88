"""Faults under load, for `make chaos`: what was acknowledged is there, once, and is read.

Uploads go on from several threads, each with an idempotency key and sent again until it is
acknowledged. Meanwhile the server is killed, its database locked, deleted or put back to an older
state, its store taken away. After each fault the program has to recover alone.
"""

import argparse
import contextlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import pictures
import services
from server import Server

RECOVERY_SECONDS = 60.0
_THREADS = 3


@dataclass
class Load:
    """Uploads from several threads until `stop`."""

    url: str
    seed: int
    ids: dict[str, str] = field(default_factory=dict)
    ending: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self.threads = [
            threading.Thread(target=self._upload, args=(number,)) for number in range(_THREADS)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """End when each upload under way is acknowledged."""
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _upload(self, thread: int) -> None:
        number = 0
        while not self.ending.is_set():
            key = f"{self.seed}-{thread}-{number}"
            self.ids[key] = self._until_acknowledged(key)
            number += 1
            time.sleep(0.02)

    def _until_acknowledged(self, key: str) -> str:
        headers = {"Content-Type": "image/png", "Idempotency-Key": key}
        while True:
            with contextlib.suppress(httpx.HTTPError):
                response = httpx.post(
                    f"{self.url}/api/images", content=pictures.png(), headers=headers, timeout=40
                )
                if response.status_code in (200, 202):
                    return str(response.json()["id"])
            time.sleep(0.1)


def kill(server: Server, chance: random.Random) -> None:
    """End the server without warning, and start it again."""
    server.stop(signal.SIGKILL)
    time.sleep(chance.random())
    server.start()


def lock_database(server: Server, chance: random.Random) -> None:
    """Another program holds the database for some seconds."""
    path = server.folder / "legibly-data" / "index.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(chance.uniform(1, 5))
        connection.execute("ROLLBACK")


def delete_database(server: Server, _chance: random.Random) -> None:
    """The server is killed and its database deleted."""
    server.stop(signal.SIGKILL)
    for path in (server.folder / "legibly-data").glob("index.db*"):
        path.unlink()
    server.start()


def restore_database(server: Server, chance: random.Random) -> None:
    """The database is put back to the state of some seconds before."""
    data = server.folder / "legibly-data"
    server.stop(signal.SIGKILL)
    copies = [shutil.copy(path, server.folder) for path in data.glob("index.db*")]
    server.start()
    time.sleep(chance.uniform(1, 3))
    server.stop(signal.SIGKILL)
    for path in data.glob("index.db*"):
        path.unlink()
    for copy in copies:
        shutil.move(copy, data)
    server.start()


def remove_store(server: Server, chance: random.Random) -> None:
    """The folder of the objects is away for some seconds, as a volume that is not mounted."""
    away = server.objects.with_name("away")
    server.objects.rename(away)
    time.sleep(chance.uniform(1, 3))
    if server.objects.exists():
        raise AssertionError(f"written beside the store: {list(server.objects.rglob('*'))}")
    away.rename(server.objects)


FAULTS: dict[str, Callable[[Server, random.Random], None]] = {
    "kill": kill,
    "lock": lock_database,
    "delete": delete_database,
    "restore": restore_database,
    "store": remove_store,
}


def unfinished(server: Server, ids: set[str]) -> str:
    """What is not yet as it should be; empty where each upload is there, once, and read."""
    images: list[dict[str, str]] = []
    after: str | None = ""
    while after is not None:
        params = {"limit": "500"} | ({"after": after} if after else {})
        page = httpx.get(f"{server.url}/api/images", params=params, timeout=20).json()
        images += page["images"]
        after = page["next"]
    listed_ids = [image["id"] for image in images]
    lost = ids - set(listed_ids)
    extra = set(listed_ids) - ids
    unread = [image["id"] for image in images if image["state"] != "read"]
    if lost or extra or unread or len(listed_ids) != len(set(listed_ids)):
        return f"{len(lost)} lost, {len(extra)} doubled, {len(unread)} not read"
    return ""


def run(names: list[str], *, rounds: int, seed: int, folder: Path) -> bool:
    """Play faults; prints one line each; returns whether all were survived."""
    chance = random.Random(seed)
    is_fine = True
    server = Server(folder, services.free_port(), environ={"LEGIBLY_RATE": "0"})
    server.start()
    known: set[str] = set()
    try:
        for number in range(rounds):
            name = names[number % len(names)]
            load = Load(server.url, seed * 1000 + number)
            load.start()
            time.sleep(chance.uniform(0.5, 2))
            FAULTS[name](server, chance)
            time.sleep(chance.uniform(0.2, 1))
            load.stop()
            known |= set(load.ids.values())
            doubled = len(load.ids) - len(set(load.ids.values()))
            begun = time.monotonic()
            fault = "?"
            while fault and time.monotonic() < begun + RECOVERY_SECONDS:
                with contextlib.suppress(httpx.HTTPError):
                    fault = unfinished(server, known)
                time.sleep(0.2)
            seconds = time.monotonic() - begun
            outcome = fault or f"recovered within {seconds:.1f} s"
            print(f"{number:3} {name:8} {len(load.ids):5} uploads: {outcome}", flush=True)
            is_fine = is_fine and not fault and not doubled
        print(f"{len(known)} acknowledged uploads over {rounds} faults")
    finally:
        server.stop(signal.SIGKILL)
    return is_fine


def main() -> None:
    """Play faults in a folder of their own; exits with 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--fault", action="append", choices=sorted(FAULTS))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    names = options.fault or list(FAULTS)
    with tempfile.TemporaryDirectory() as folder:
        fine = run(names, rounds=options.rounds, seed=options.seed, folder=Path(folder))
    sys.exit(not fine)


if __name__ == "__main__":
    main()
