"""Small pictures whose senders wait are written together, and nothing is promised too early."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

import pictures
import services
from legibly import object_keys, wiring
from legibly.errors import Unavailable
from legibly.index.sql import open_index
from legibly.ingest import light_lane, sweep
from legibly.ingest.light_lane import LightLane
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import NO_DETAILS, Service, UploadDetails
from legibly.records import Image, now
from legibly.reindex import reindex
from legibly.settings import Settings
from legibly.store import open_store, record_files
from legibly.vision.reading import Reader

T = TypeVar("T")
PICTURE = pictures.png()


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The shipped pack."""
    return Reader(open_pack(registry.find("digits")))


@pytest.fixture
def service(tmp_path: Path, reader: Reader) -> Service:
    """A service over a folder."""
    store = open_store(f"file://{tmp_path}/objects", environ={})
    index = open_index(f"sqlite:///{tmp_path}/index.db")
    return Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**7)


def with_lane(service: Service, work: Callable[[LightLane], Awaitable[T]]) -> T:
    """Do something with a lane of one thread."""

    async def run() -> T:
        lane = LightLane(service, threads=1, on_change=lambda _images: None, batch_seconds=5)
        lane.start()
        try:
            return await work(lane)
        finally:
            lane.stop()

    return services.run_async(run())


def read_upload(service: Service) -> light_lane._ReadUpload:
    """A picture that is stored and read, and in no record yet."""
    upload = light_lane._store(service, light_lane._read(service, PICTURE, NO_DETAILS))
    assert upload is not None
    return upload


def lines(service: Service) -> list[Any]:
    """Every line of every reading record."""
    stats = service.store.list(object_keys.READINGS)
    return [
        json.loads(text) for stat in stats for text in service.store.read(stat.key).splitlines()
    ]


async def read_many(lane: LightLane, count: int) -> list[Image]:
    """Upload so many pictures at once."""
    uploads = (
        lane.read(PICTURE, UploadDetails(name=f"{number}.png"), seconds=30)
        for number in range(count)
    )
    return [image for image in await asyncio.gather(*uploads) if image is not None]


def test_what_comes_together_shares_record_files_and_is_found_again(service: Service) -> None:
    """Forty uploads have fewer record files, one line each, and a rebuilt index is the same."""
    images = with_lane(service, lambda lane: read_many(lane, 40))
    assert {image.reading.text for image in images if image.reading} == {"7"}
    assert len({image.id for image in images}) == 40
    assert len(list(service.store.list(object_keys.READINGS))) < 40
    assert sorted(entry["image"] for entry in lines(service)) == sorted(
        image.id for image in images
    )
    before = {image.id: service.index.get(image.id) for image in images}
    assert before == {image.id: image for image in images}
    reindex(service.store, service.index)
    assert {image.id: service.index.get(image.id) for image in images} == before


def test_a_deleted_image_leaves_the_shared_file(service: Service) -> None:
    """Its line goes, and those of the other images stay."""
    images = with_lane(service, lambda lane: read_many(lane, 12))
    service.remove([images[0].id, images[5].id])
    left = {image.id for image in images} - {images[0].id, images[5].id}
    assert sorted(entry["image"] for entry in lines(service)) == sorted(left)


def test_a_reading_written_before_a_crash_is_taken_and_not_repeated(service: Service) -> None:
    """The record file was there, the index row was not: a sweep brings both together."""
    several = [read_upload(service) for _ in range(3)]
    record_files.write_readings(service.store, [upload.record for upload in several])
    stats = list(service.store.list(object_keys.IMAGES))
    assert service.adopt(stats) == 3
    assert {service.index.get(upload.image.id).state for upload in several} == {"read"}
    assert len(lines(service)) == 3
    assert sweep.sweep(service) == 0


def test_what_a_sweep_took_in_first_is_not_written_twice(service: Service) -> None:
    """The sweep's image stands, pending; the lane writes no record of it."""
    upload, other = (read_upload(service) for _ in range(2))
    service.index.add([replace(upload.image, state="pending", reading=None)])
    assert light_lane._commit(service, [upload, other]) == {other.image.id}
    assert service.index.get(upload.image.id).state == "pending"
    assert [entry["image"] for entry in lines(service)] == [other.image.id]


def test_a_write_that_fails_takes_everything_back(service: Service, tmp_path: Path) -> None:
    """The sender is told to try again, and neither picture nor row nor record stays."""
    (tmp_path / "objects" / "records").mkdir(parents=True)
    (tmp_path / "objects" / "records" / "readings").write_text("no folder")

    async def read(lane: LightLane) -> None:
        with pytest.raises(Unavailable):
            await lane.read(PICTURE, NO_DETAILS, seconds=30)

    with_lane(service, read)
    assert service.index.counts() == {}
    assert not list(service.store.list(object_keys.IMAGES))


def test_what_is_out_of_the_ordinary_goes_the_general_way(service: Service) -> None:
    """Labelled, heavy, broken or late pictures are not the lane's; nothing of them is stored."""

    async def read(lane: LightLane) -> list[Image | None]:
        return [
            await lane.read(PICTURE, UploadDetails(label="7"), seconds=30),
            await lane.read(b"GIF89a", NO_DETAILS, seconds=30),
            await lane.read(PICTURE[:-20], NO_DETAILS, seconds=30),
        ]

    assert with_lane(service, read) == [None] * 3
    assert not list(service.store.list(object_keys.IMAGES))


def test_an_upload_sent_again_under_its_name_is_the_same_image(service: Service) -> None:
    """The lane takes it once; the general way knows it then, and nothing is read again."""

    async def read(lane: LightLane) -> list[Image | None]:
        return [await lane.read(PICTURE, NO_DETAILS, seconds=30, request="a") for _ in range(2)]

    first, again = with_lane(service, read)
    assert first is not None
    assert first.state == "read"
    assert again is None
    assert service.receive(PICTURE, request="a").id == first.id
    assert [entry["image"] for entry in lines(service)] == [first.id]


def test_a_full_queue_is_refused(service: Service) -> None:
    """Beyond the limit the sender is told to come again, at once."""

    async def read() -> None:
        lane = LightLane(service, threads=0, on_change=lambda _images: None)
        lane.start()
        waiting = [
            asyncio.create_task(lane.read(PICTURE, NO_DETAILS, seconds=0.2))
            for _ in range(light_lane.MAX_QUEUED)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refusal:
            await lane.read(PICTURE, NO_DETAILS, seconds=30)
        assert refusal.value.code == "busy"
        assert await asyncio.gather(*waiting) == [None] * light_lane.MAX_QUEUED

    services.run_async(read())


def test_a_batch_of_yesterday_and_today_has_a_file_a_day(service: Service) -> None:
    """Record files lie by the date of their images."""
    upload = read_upload(service)
    earlier = object_keys.new_id(now().replace(year=2025))
    keys = record_files.write_readings(
        service.store, [upload.record, replace(upload.record, image=earlier)]
    )
    assert len(keys) == 2


def test_an_upload_that_nobody_reads_waits_once(tmp_path: Path) -> None:
    """A picture that waited in the queue in vain is stored, and acknowledged as pending when the
    time that its sender asked for is over.
    """
    store = f"file://{tmp_path}/objects"
    database = f"sqlite:///{tmp_path}/index.db"
    app = wiring.app(Settings.load(environ={}, store=store, database=database))
    state = app.state.legibly
    idle = LightLane(state.service, threads=0, on_change=lambda _images: None)
    app.state.legibly = replace(state, light=idle)

    async def send() -> httpx.Response:
        idle.start()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/api/images?wait=2", content=PICTURE)

    began = time.monotonic()
    answer = services.run_async(send())
    assert 2.0 <= time.monotonic() - began < 3.6
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
