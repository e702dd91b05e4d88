"""The worker: tries again what may pass, gives up on what cannot, and outlives everything."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import pictures
from legibly import object_keys
from legibly.errors import Unavailable
from legibly.index.sql import SqlIndex, open_index
from legibly.ingest.sweep import Sweeper, sweep
from legibly.ingest.worker import Worker
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service, UploadDetails
from legibly.records import Image
from legibly.store import open_store
from legibly.vision.reading import Reader, Result


class Unsteady:
    """A reader that fails a number of times before it reads."""

    def __init__(self, reader: Reader, *, failures: int, error: Callable[[], Exception]) -> None:
        self._reader = reader
        self._failures = failures
        self._error = error
        self.model = reader.model
        self.calls = 0

    def read(self, data: bytes) -> Result:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error()
        return self._reader.read(data)


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The shipped pack."""
    return Reader(open_pack(registry.find("digits")))


class Bench:
    """A service with its worker, over memory and a database file."""

    def __init__(self, folder: Path, reader: Any, *, attempts: int = 5) -> None:
        self.index: SqlIndex = open_index(f"sqlite:///{folder}/index.db")
        store = open_store("memory://", environ={})
        self.service = Service(
            store=store, index=self.index, reader=reader, max_bytes=10**6, max_pixels=10**7
        )
        self.changed: list[Image] = []
        sweeper = Sweeper(self.service, seconds=0.2)
        self.worker = Worker(
            self.service, threads=2, attempts=attempts, sweeper=sweeper, on_change=self._on_change
        )

    def _on_change(self, images: Sequence[Image]) -> None:
        self.changed += images

    def until(self, image: str, state: str, *, seconds: float = 30) -> Image:
        deadline = time.monotonic() + seconds
        while (matches := self.index.get(image)).state != state:
            assert time.monotonic() < deadline, f"{image} is still {matches.state}"
            time.sleep(0.02)
        return matches

    def __enter__(self) -> "Bench":
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        self.index.close()


def test_what_passes_is_tried_again(tmp_path: Path, reader: Reader) -> None:
    """A model that is away for two tries delays the reading, and loses nothing."""
    unsteady = Unsteady(reader, failures=2, error=lambda: Unavailable("the model is away."))
    with Bench(tmp_path, unsteady) as bench:
        image = bench.service.receive(pictures.png())
        bench.worker.submit(image, pictures.png())
        assert bench.until(image.id, "read").reading is not None
    assert unsteady.calls == 3
    assert [entry.id for entry in bench.changed] == [image.id]


def test_after_the_last_try_it_fails_with_its_reason(tmp_path: Path, reader: Reader) -> None:
    """An error of unknown kind is tried as often as set, then told; the worker goes on with other
    images.
    """
    unsteady = Unsteady(reader, failures=2, error=lambda: ZeroDivisionError("oops"))
    with Bench(tmp_path, unsteady, attempts=2) as bench:
        image = bench.service.receive(pictures.png())
        bench.worker.submit(image, pictures.png())
        failed = bench.until(image.id, "failed")
        assert failed.error is not None
        assert "ZeroDivisionError" in failed.error
        assert "2 times" in failed.error
        assert len(list(bench.service.store.list(object_keys.FAILURES))) == 1
        following = bench.service.receive(pictures.png())
        bench.worker.submit(following)
        bench.until(following.id, "read")


def test_what_a_crash_left_is_picked_up(tmp_path: Path, reader: Reader) -> None:
    """A pending image whose receiver is gone is read as soon as its lease is over."""
    with Bench(tmp_path, reader) as bench:
        image = bench.service.receive(pictures.png())
        bench.index.release()
        bench.until(image.id, "read")


def test_a_picture_deleted_before_its_turn_is_no_failure(tmp_path: Path, reader: Reader) -> None:
    """Nothing is left to read, and nothing is said to have gone wrong."""
    with Bench(tmp_path, reader) as bench:
        image = bench.service.receive(pictures.png())
        bench.service.store.remove([image.key])
        bench.worker.submit(image)
        deadline = time.monotonic() + 20
        while bench.index.counts() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert bench.index.counts() == {}
    assert bench.changed == []


def test_sweeping_twice_finds_each_picture_once(tmp_path: Path, reader: Reader) -> None:
    """Pictures of any name are taken in once; records are left alone."""
    bench = Bench(tmp_path, reader)
    store = bench.service.store
    for key in ("images/a b+c.png", "images/deep/er/数字.jpg", "records/x.png"):
        store.create(key, pictures.png())
    time.sleep(1.1)  # what is younger might still be half copied
    assert sweep(bench.service) == 2
    assert sweep(bench.service) == 0
    bench.index.close()


def test_classifying_twice_writes_one_record(tmp_path: Path, reader: Reader) -> None:
    """The same image and model version end in one record, and the second time in the first time's
    reading.
    """
    bench = Bench(tmp_path, reader)
    image = bench.service.receive(pictures.png(), UploadDetails(label="7"))
    first = bench.service.classify(image, pictures.png())
    second = bench.service.classify(image)
    assert first.reading == second.reading
    assert len(list(bench.service.store.list(object_keys.READINGS))) == 1
    assert len(list(bench.index.pairs())) == 1
    bench.index.close()


class Slow:
    """A reader that takes a moment, and counts."""

    def __init__(self, reader: Reader, *, seconds: float) -> None:
        self._reader = reader
        self._seconds = seconds
        self.model = reader.model
        self.calls = 0

    def read(self, data: bytes) -> Result:
        self.calls += 1
        time.sleep(self._seconds)
        return self._reader.read(data)


def test_a_picture_under_way_is_not_claimed_again(tmp_path: Path, reader: Reader) -> None:
    """A lease that ends while its picture is read starts no second reading in the same process."""
    slow = Slow(reader, seconds=2)
    with Bench(tmp_path, slow) as bench:
        image = bench.service.receive(pictures.png())
        bench.worker.submit(image, pictures.png())
        for _ in range(12):
            bench.index.release()
            time.sleep(0.1)
        bench.until(image.id, "read")
    assert slow.calls == 1


def test_an_image_that_ended_every_process_is_not_read_again(
    tmp_path: Path, reader: Reader
) -> None:
    """Attempts are counted before they begin, so that a poison picture ends no process for ever."""
    slow = Slow(reader, seconds=0)
    bench = Bench(tmp_path, slow, attempts=2)
    image = bench.service.receive(pictures.png())
    for _ in range(2):  # processes that claimed it and died
        bench.index.release()
        bench.index.claim(limit=1, lease_seconds=30)
    bench.index.release()
    with bench:
        error = bench.until(image.id, "failed").error
    assert error == "reading it did not finish in 2 attempts."
    assert slow.calls == 0


PICTURE = pictures.png()


class Waiting:
    """A reader that waits at big pictures until it is let go."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.model = reader.model
        self.released = threading.Event()

    def read(self, data: bytes) -> Result:
        if len(data) > len(PICTURE):
            self.released.wait(20)
        return self._reader.read(data)


def test_big_pictures_do_not_hold_up_small_ones(tmp_path: Path, reader: Reader) -> None:
    """More big pictures than threads are under way, and a small one is read all the same."""
    waiting = Waiting(reader)
    big = pictures.encoded(pictures.drawing(size=1500))
    with Bench(tmp_path, waiting) as bench:
        for _ in range(4):
            bench.worker.submit(bench.service.receive(big), big)
        small = bench.service.receive(PICTURE)
        bench.worker.submit(small, PICTURE)
        bench.until(small.id, "read")
        assert bench.index.counts()["pending"] == 4
        waiting.released.set()
        deadline = time.monotonic() + 30
        while bench.index.counts().get("pending"):
            assert time.monotonic() < deadline, "the big ones were not read"
            time.sleep(0.05)
