"""Faults under load, for `make chaos`: what was acknowledged is there, once, and is read.

Uploads go on from several threads, each with an idempotency key and sent again until it is
acknowledged. Meanwhile the server is killed, its database locked, deleted or put back to an older
state, its store taken away, its disk full, its clock changed, its model torn. With `--services` the
server has SeaweedFS and PostgreSQL instead, behind proxies that fail. After each fault the program
has to recover alone, and while it lasts `/readyz` has to say what is wrong.
"""

import argparse
import contextlib
import random
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

import pictures
import services
from chaos import events, readiness
from chaos.database import Database
from chaos.proxy import Mode, Proxy
from legibly.packs import card as cards
from legibly.packs import registry
from server import Server

Fault = Callable[[Server, random.Random], set[str] | None]
"""Plays a fault; returns the names of pictures that it put into the store, if it did."""
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


def fill_disk(server: Server, chance: random.Random) -> None:
    """No file can be written for some seconds."""
    if server.process is None:
        raise AssertionError("the server does not run")
    _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, most))
    time.sleep(chance.uniform(1, 4))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most))


def change_clock(server: Server, chance: random.Random) -> None:
    """The clock jumps up to a day ahead or back, and then to the right time again."""
    clock = server.folder / "clock"
    if not clock.exists():
        return  # there is no compiler here
    for seconds in (chance.choice([-86_400, -600, 600, 86_400]), 0):
        with clock.open("r+b") as file:
            file.write(struct.pack("<q", seconds))
        time.sleep(chance.uniform(1, 3))


def tear_model(server: Server, _chance: random.Random) -> None:
    """The network of the added pack that reads is cut off while the server is down."""
    server.stop(signal.SIGKILL)
    network = server.folder / "legibly-data" / "packs" / "other" / "model.onnx"
    network.write_bytes(network.read_bytes()[:10_000])
    server.start()


def restart_worker(server: Server, chance: random.Random) -> None:
    """The server is stopped and started in order."""
    server.stop()
    time.sleep(chance.random())
    server.start()


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "lock": lock_database,
    "delete": delete_database,
    "restore": restore_database,
    "store": remove_store,
    "full": fill_disk,
    "clock": change_clock,
    "model": tear_model,
    "stop": restart_worker,
}


def network_faults(store: Proxy, database: Proxy, crashing: Database) -> dict[str, Fault]:
    """Faults of a store and a database on other machines."""

    def failing(proxy: Proxy, mode: Mode) -> Fault:
        def fail(_server: Server, chance: random.Random) -> None:
            proxy.set(mode)
            time.sleep(chance.uniform(2, 6))
            proxy.set("fine")

        return fail

    modes: tuple[Mode, ...] = ("error", "slow", "cut", "gone")
    faults = {f"store {mode}": failing(store, mode) for mode in modes}
    faults |= {f"database {mode}": failing(database, mode) for mode in modes[1:]}
    faults |= {"events": events.play, "kill": kill}
    return faults | {"database kill": lambda _server, chance: crashing.kill(chance)}


def unfinished(server: Server, ids: set[str], put: set[str]) -> str:
    """What is not yet as it should be; empty where each upload, and each picture that was put into
    the store by one of these names, is there, once, and read.
    """
    images: list[dict[str, str]] = []
    after: str | None = ""
    while after is not None:
        params = {"limit": "500"} | ({"after": after} if after else {})
        page = httpx.get(f"{server.url}/api/images", params=params, timeout=20).json()
        images += page["images"]
        after = page["next"]
    names = [image["name"] for image in images if _is_of_event(image)]
    listed_ids = [image["id"] for image in images if not _is_of_event(image)]
    lost = ids - set(listed_ids)
    extra = set(listed_ids) - ids
    unread = [image["id"] for image in images if image["state"] != "read"]
    twice = len(listed_ids) - len(set(listed_ids)) + len(names) - len(set(names))
    absent = len(put - set(names))
    if lost or extra or unread or twice or absent:
        number = len(lost) + absent
        return f"{number} lost, {len(extra) + twice} doubled, {len(unread)} not read"
    return ""


def _is_of_event(image: dict[str, str]) -> bool:
    return (image["name"] or "").startswith(events.PREFIX)


def run(server: Server, faults: dict[str, Fault], *, rounds: int, seed: int) -> bool:
    """Play faults on a running server; prints one line each; returns whether all were survived."""
    chance = random.Random(seed)
    is_fine = True
    slowest = 0.0
    known: set[str] = set()
    put: set[str] = set()
    names = list(faults)
    for number in range(rounds):
        name = names[number % len(names)]
        load = Load(server.url, seed * 1000 + number)
        load.start()
        time.sleep(chance.uniform(0.5, 2))
        with readiness.sampled(server.url) as answers:
            put |= faults[name](server, chance) or set()
            time.sleep(chance.uniform(0.2, 1))
        load.stop()
        known |= set(load.ids.values())
        doubled = len(load.ids) - len(set(load.ids.values()))
        begun = time.monotonic()
        fault = "?"
        while fault and time.monotonic() < begun + RECOVERY_SECONDS:
            with contextlib.suppress(httpx.HTTPError, KeyError):
                fault = unfinished(server, known, put)
            time.sleep(0.2)
        seconds = time.monotonic() - begun
        slowest = max(slowest, seconds)
        outcome = fault or f"recovered within {seconds:.1f} s"
        states = ", ".join(f"{answer} {count}" for answer, count in answers.most_common())
        print(f"{number:3} {name:14} {len(load.ids):5} uploads: {outcome}; {states}", flush=True)
        is_fine = is_fine and not fault and not doubled
    print(f"{len(known)} acknowledged uploads, {len(put)} put into the store,", end=" ")
    print(f"{rounds} faults, slowest recovery {slowest:.1f} s")
    return is_fine


@contextlib.contextmanager
def on_folder(folder: Path) -> Iterator[Server]:
    """A server over a folder and SQLite, which reads with an added pack, its clock to be set."""
    environ = {"LEGIBLY_RATE": "0"}
    if shutil.which("cc"):
        library = folder / "clock.so"
        source = str(Path(__file__).with_name("clock.c"))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
        (folder / "clock").write_bytes(bytes(8))
        environ |= {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(folder / "clock")}
    pack = folder / "other"
    shutil.copytree(registry.find("digits"), pack)
    cards.write_card(pack, replace(cards.read_card(pack), created="for chaos"))
    for arguments in (["add", str(pack), "--name", "other"], ["use", "other"]):
        command = [sys.executable, "-m", "legibly", "models", *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    server = Server(folder, services.free_port(), environ=environ)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


@contextlib.contextmanager
def on_services(folder: Path) -> Iterator[tuple[Server, dict[str, Fault]]]:
    """A server over SeaweedFS and PostgreSQL with proxies before them, and how they fail."""
    for name in ("store", "database"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    with (
        services.seaweedfs(folder / "store") as s3,
        services.postgres(folder / "database") as url,
        contextlib.ExitStack() as stack,
    ):
        store = Proxy(int(s3.endpoint.rpartition(":")[2]))
        database = Proxy(int(urlsplit(url).port or 0))
        own = url.replace(f":{urlsplit(url).port}", f":{database.port}")
        environ = {
            **s3.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}",
            "LEGIBLY_STORE": f"s3://{s3.bucket}/chaos",
            "LEGIBLY_DATABASE": own,
            "LEGIBLY_HOOK_SECRET": events.SECRET,
            "LEGIBLY_RATE": "0",
        }
        server = Server(folder, services.free_port(), environ=environ)
        server.start()
        try:
            crashing = Database(folder / "database", stack)
            yield server, network_faults(store, database, crashing)
        finally:
            server.stop(signal.SIGKILL)


def main() -> None:
    """Play faults in a folder of their own; exits with 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--fault", action="append", help=", ".join(FAULTS))
    parser.add_argument("--services", action="store_true", help="SeaweedFS and PostgreSQL")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        if options.services:
            server, faults = stack.enter_context(on_services(folder))
        else:
            server = stack.enter_context(on_folder(folder))
            faults = FAULTS
        chosen = {name: faults[name] for name in options.fault or faults}
        is_fine = run(server, chosen, rounds=options.rounds, seed=options.seed)
    sys.exit(not is_fine)


if __name__ == "__main__":
    main()
