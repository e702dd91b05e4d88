"""Nothing that was acknowledged is lost, and nothing is doubled: over crashes, restarts and a lost
database.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import pictures
from server import Server


def everything(client: httpx.Client) -> list[dict[str, Any]]:
    """Every image that the server knows."""
    images: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": 500, **({"after": cursor} if cursor else {})}
        page = client.get("/api/images", params=params).json()
        images += page["images"]
        cursor = page["next"]
        if cursor is None:
            return images


def settled(client: httpx.Client, *, seconds: float = 60) -> list[dict[str, Any]]:
    """Every image, once none is pending any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        images = everything(client)
        if all(image["state"] != "pending" for image in images):
            return images
        time.sleep(0.2)
    raise TimeoutError("images stay pending")


def test_a_crash_during_500_uploads_loses_none_and_doubles_none(tmp_path: Path) -> None:
    """kill -9 in the midst of uploads: after the next start each acknowledged image is there once,
    and is read once.
    """
    acknowledged: list[str] = []
    begun = threading.Event()

    with (
        Server.started(tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):

        def put(number: int) -> None:
            try:
                response = client.post(
                    "/api/images", files={"file": (f"{number}.png", pictures.png())}
                )
            except httpx.HTTPError:
                return  # the crash: nothing was promised
            if response.status_code == 202:
                acknowledged.append(response.json()["id"])
            if number == 150:
                begun.set()

        with ThreadPoolExecutor(8) as pool:
            uploads = [pool.submit(put, number) for number in range(500)]
            assert begun.wait(60)
            server.stop(signal.SIGKILL)
            for upload in uploads:
                upload.result()
        assert 100 < len(acknowledged) < 500, "the crash has to fall into the uploads"

        server.start()
        images = settled(client)
        ids = Counter(image["id"] for image in images)
        assert set(acknowledged) <= set(ids)
        assert set(ids.values()) == {1}
        assert {image["reading"]["text"] for image in images} == {"7"}
        written = Counter(
            json.loads(line)["image"]
            for path in (server.objects / "records" / "readings").rglob("*.jsonl")
            for line in path.read_text(encoding="utf-8").splitlines()
        )
        assert written == ids


def test_results_survive_a_restart(tmp_path: Path) -> None:
    """Images, readings, labels and the accuracy are the same after the server was stopped and
    started; an open page does not hold up the end.
    """
    with (
        Server.started(tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        image = client.post(
            "/api/images?wait=20", files={"file": pictures.png(pictures.ZERO)}
        ).json()
        client.put(f"/api/images/{image['id']}/label", json={"text": "0"})
        before = everything(client), client.get("/api/accuracy").json()
        with client.stream("GET", "/api/live") as stream:
            assert stream.status_code == 200
            server.stop()
        assert "graceful shutdown exceeded" not in server.log
        server.start()
        assert (everything(client), client.get("/api/accuracy").json()) == before


def test_a_lost_database_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    """With the database file deleted, `legibly reindex` brings back every image, reading, failure,
    label and pair.

    Lines that are no records are named and passed over.
    """
    with (
        Server.started(tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        ids = []
        for number, stroke in enumerate([pictures.SEVEN, pictures.ZERO, pictures.ONE]):
            fields = {"writer": "Ada"} if number else {"label": "7"}
            files = {"file": (f"n {number}.png", pictures.png(stroke))}
            ids.append(client.post("/api/images?wait=20", files=files, data=fields).json()["id"])
        client.put(f"/api/images/{ids[1]}/label", json={"text": "6"})
        client.put(f"/api/images/{ids[1]}/label", json={"text": "0"})
        client.put(f"/api/images/{ids[2]}/label", json={"text": "1"})
        client.put(f"/api/images/{ids[2]}/label", json={"text": None})
        client.delete(
            f"/api/images/{client.post('/api/images', files={'file': pictures.png()}).json()['id']}"
        )
        (server.objects / "images" / "broken.png").write_text("not a picture")
        (server.objects / "images" / "dropped.png").write_bytes(pictures.png())
        _until_there_are(client, 5)
        before = settled(client), client.get("/api/accuracy").json()
        server.stop()
        for path in (tmp_path / "legibly-data").glob("index.db*"):
            path.unlink()
        for kind in ("uploads", "readings", "failures", "labels", "pairs"):
            torn = server.objects / "records" / kind / "date=2026-11-22" / "torn.jsonl"
            torn.parent.mkdir(parents=True, exist_ok=True)
            torn.write_text('[1]\n\n{"image":"half')
        done = _reindex(tmp_path)
        assert json.loads(done.stdout) == {
            "images": 5,
            "readings": 4,
            "labels": 3,
            "pairs": 5,
            "skipped": 10,
        }
        assert "records/pairs/date=2026-11-22/torn.jsonl:3: malformed line" in done.stderr
        server.start()
        assert (everything(client), client.get("/api/accuracy").json()) == before


def _until_there_are(client: httpx.Client, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(everything(client)) < count:
        assert time.monotonic() < deadline, "the dropped files were not found"
        time.sleep(0.1)


def _reindex(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "legibly", "reindex", "--json"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    """With --workers 2 every image is read once, and a listener hears of all, whichever process
    read them.
    """
    heard: set[str] = set()
    with (
        Server.started(tmp_path, "--workers", "2") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        listening = threading.Event()

        def listen() -> None:
            with httpx.stream("GET", f"{server.url}/api/live", timeout=30) as stream:
                for line in stream.iter_lines():
                    listening.set()
                    if line.startswith("data: "):
                        heard.add(json.loads(line[6:])["id"])
                        if len(heard) == 40:
                            return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        assert listening.wait(20)

        def put(_: int) -> str:
            with httpx.Client(base_url=server.url, timeout=30) as own:
                return str(
                    own.post("/api/images?wait=20", files={"file": pictures.png()}).json()["id"]
                )

        with ThreadPoolExecutor(4) as pool:
            ids = set(pool.map(put, range(40)))
        assert {_posted(server.url) for _ in range(8)} == {40.0}
        thread.join(30)
        assert heard == ids == {image["id"] for image in settled(client)}


def _posted(url: str) -> float:
    """How many uploads the metrics count, of whichever process answers."""
    lines = httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
    posts = [line for line in lines if line.startswith('legibly_requests_total{method="POST"')]
    return sum(float(line.rpartition(" ")[2]) for line in posts)


def test_every_process_hears_of_a_deletion_and_can_undo_it(tmp_path: Path) -> None:
    """With two processes, streams over eight connections all hear of it, and a token that one
    process gave is taken by each.
    """
    with (
        Server.started(tmp_path, "--workers", "2") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        files = {"file": pictures.png()}
        image = client.post("/api/images?wait=20", files=files, data={"label": "7"}).json()["id"]
        listening = threading.Barrier(9)

        def listen() -> str:
            with httpx.stream("GET", f"{server.url}/api/live", timeout=30) as stream:
                lines = stream.iter_lines()
                next(lines)
                listening.wait(20)
                data = next(line for line in lines if line.startswith("data: "))
                return str(json.loads(data[6:])["id"])

        streams = [pool.submit(listen) for _ in range(8)]
        listening.wait(20)
        for turn in range(8):
            token = client.post("/history/delete", data={"ids": image}).json()["undo"]
            if turn == 0:
                assert {stream.result(20) for stream in streams} == {image}
            # A connection of its own may reach either process.
            undone = httpx.post(f"{server.url}/history/restore", data={"token": token}, timeout=30)
            (restored,) = undone.json()["images"]
            assert restored["label"]["text"] == "7"
            image = restored["id"]
        folder = server.objects / "deleted"
        assert [path.suffix for path in folder.iterdir()] == [".used"] * 8


def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """With two processes one dies; the server goes on answering, and ends as a whole."""
    with Server.started(tmp_path, "--workers", "2") as server:
        assert server.process is not None
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        before = set(children.read_text().split())
        assert len(before) == 2
        time.sleep(max(0.0, 5.5 - _age_seconds(min(before))))  # younger ones count as broken
        os.kill(int(min(before)), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(after := set(children.read_text().split())) < 2 or after == before:
            assert time.monotonic() < deadline, "no process took its place"
            time.sleep(0.05)
        assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200
        server.process.kill()
        server.process.wait(20)
        server.process = None
        _until_gone(before | after)


def _age_seconds(process: str) -> float:
    ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _until_gone(processes: set[str]) -> None:
    """Wait until none of these processes serves any more: they noticed that their parent died."""
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{process}/stat").exists() for process in processes):
        assert time.monotonic() < deadline, "a process outlives the one that started it"
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits other processes")
def test_a_full_disk_is_said_and_ends_by_itself(tmp_path: Path) -> None:
    """While nothing can be written uploads are refused with 503, `/readyz` says why, and both end
    with the next write.
    """
    headers = {"Content-Type": "image/png"}
    with (
        Server.started(tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        assert server.process is not None
        _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, most))
        refused = client.post("/api/images", content=pictures.png(), headers=headers)
        state = client.get("/readyz")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most))
        assert (refused.status_code, state.status_code) == (503, 503)
        assert state.json()["code"] == "store-not-writable"
        sent = client.post("/api/images?wait=30", content=pictures.png(), headers=headers)
        assert sent.json()["state"] == "read"
        assert client.get("/readyz").status_code == 200
        assert len(settled(client)) == 1
