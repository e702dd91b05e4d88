"""The store as it really is: strange names, half-written files, copies, torn records."""

import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

import pictures
import services
from legibly import object_keys, text_rules
from legibly.errors import Invalid, Unavailable
from legibly.index.port import Filter
from legibly.index.sql import SqlIndex, open_index
from legibly.ingest.record_follower import RecordFollower
from legibly.ingest.sweep import Sweeper, sweep
from legibly.ingest.worker import Worker
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service, UploadDetails
from legibly.records import Image, now
from legibly.reindex import reindex
from legibly.settings import Settings
from legibly.store import Store, open_store
from legibly.vision.reading import Reader


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The shipped pack."""
    return Reader(open_pack(registry.find("digits")))


@pytest.fixture
def service(tmp_path: Path, reader: Reader) -> Iterator[Service]:
    """A service over a folder store and a database file."""
    index = open_index(f"sqlite:///{tmp_path}/index.db")
    store = open_store(f"file://{tmp_path}/objects", environ={})
    yield Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**7)
    index.close()


def drop(folder: Path, name: str | bytes, data: bytes = b"", *, age_seconds: float = 5) -> Path:
    """Write a file below `images/`, as old as told."""
    directory = folder / "objects" / "images"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / os.fsdecode(name)
    path.write_bytes(data or pictures.png())
    moment = time.time() - age_seconds
    os.utime(path, (moment, moment))
    return path


def test_names_that_cannot_be_keys_stop_nothing(tmp_path: Path, service: Service) -> None:
    """Tab, newline, Latin-1, links to a folder or a file: each is skipped and named, the rest is
    taken in.
    """
    outside = tmp_path / "outside.png"
    outside.write_bytes(pictures.png())
    for name in ("a\tb.png", "a\nb.png", b"\xe4.png"):
        drop(tmp_path, name)
    (tmp_path / "objects" / "images" / "loop").symlink_to(tmp_path / "objects")
    (tmp_path / "objects" / "images" / "linked.png").symlink_to(outside)
    drop(tmp_path, "zz good #3?.png")
    assert sweep(service) == 1
    assert len(service.store.skipped) == 5
    [image] = service.index.page(_all(), limit=9)
    assert service.classify(image).state == "read"


def test_an_id_of_the_far_future_is_another_name(tmp_path: Path, service: Service) -> None:
    """A file named by a UUID of the year 10889 is a picture like any other."""
    far = "ffffffff-ffff-7000-8000-000000000000"
    (tmp_path / "objects/images/2026-01-01").mkdir(parents=True)
    drop(tmp_path, f"2026-01-01/{far}.png")
    assert not object_keys.is_id(far)
    assert sweep(service) == 1


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "._seven.png", "desktop.ini"])
def test_files_of_systems_are_no_pictures(tmp_path: Path, service: Service, name: str) -> None:
    """What a file manager leaves behind is ignored by sweep and events alike."""
    drop(tmp_path, name)
    assert sweep(service) == 0
    assert not object_keys.is_picture(f"images/{name}")


def test_folder_markers_are_no_pictures(service: Service) -> None:
    """An empty object that stands for a folder is neither adopted nor indexed again."""
    service.store.create("images/folder", b"")
    assert reindex(service.store, service.index) == 0
    assert sweep(service) == 0


def test_a_half_written_picture_waits_for_its_end(tmp_path: Path, service: Service) -> None:
    """A file whose end is missing is adopted when it is complete, once, and is no failure."""
    data = pictures.png()
    drop(tmp_path, "slow.png", data[: len(data) // 2], age_seconds=9)
    assert sweep(service) == 0
    drop(tmp_path, "slow.png", data, age_seconds=2)
    assert sweep(service) == 1
    assert sweep(service) == 0


def test_a_picture_without_an_end_is_reported_in_the_end(tmp_path: Path, service: Service) -> None:
    """After two minutes nobody is writing any more."""
    drop(tmp_path, "torn.png", pictures.png()[:90], age_seconds=500)
    assert sweep(service) == 1


def test_a_copied_store_keeps_readings_and_labels(tmp_path: Path, service: Service) -> None:
    """`cp -r` changes every file's time; reindexing the copy gives the same image, read once."""
    path = drop(tmp_path, "seven.png")
    sweep(service)
    [image] = service.index.page(_all(), limit=9)
    service.classify(image)
    service.label(image.id, "7")
    os.utime(path)
    os.utime(path, (time.time() - 2, time.time() - 2))
    assert reindex(service.store, service.index) == 1
    [again] = service.index.page(_all(), limit=9)
    assert again.id == image.id
    assert again.reading is not None
    assert again.label is not None
    assert sweep(service) == 0


def test_torn_upload_records_stop_no_sweep(service: Service) -> None:
    """Half a JSON beside a picture costs that picture its name, and no other anything."""
    image = object_keys.new_id(datetime.now(UTC) - timedelta(seconds=5))
    service.store.create(object_keys.upload(image), b'{"image": "')
    service.store.create(object_keys.image(image, "image/png"), pictures.png())
    service.store.create(f"{object_keys.READINGS}date=2026-01-01/x.jsonl", b"[[[\n3\nnull\n")
    torn = f"{object_keys.PAIRS}date=2026-01-01/x.parquet"
    service.store.create(torn, b"PAR1")
    skipped: list[str] = []
    assert reindex(service.store, service.index, skipped=skipped.append) == 1
    assert len(skipped) >= 5
    assert torn in skipped


def test_an_empty_reading_record_is_replaced(service: Service) -> None:
    """It keeps its image neither from being read nor from coming back with its reading."""
    image = service.receive(pictures.png())
    version = service.reader.model.version
    service.store.create(object_keys.reading(image.id, version), b"")
    assert service.classify(image).state == "read"
    assert reindex(service.store, service.index) == 1
    assert service.index.get(image.id).state == "read"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\x1b[2J", "a" * 201])
def test_text_from_outside_is_checked_where_it_enters(service: Service, text: str) -> None:
    """NUL, half characters, controls and long texts are Invalid, and nothing is stored."""
    for details in (UploadDetails(name=text), UploadDetails(writer=text)):
        with pytest.raises(Invalid):
            service.receive(pictures.png(), details)
        with pytest.raises(Invalid):
            service.announce(details, media_type="image/png", size=9)
    assert list(service.store.list("records/")) == []
    assert text_rules.check("\uff17", "name") == "7"
    assert "\0" not in (text_rules.clean(text) or "")


class _AwayIndex:
    """An index whose database is locked when an image is added."""

    def __init__(self, index: SqlIndex) -> None:
        self._index = index

    def add(self, images: list[Image], **_: float) -> int:
        raise Unavailable("the database is locked.")

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)


def test_an_upload_that_is_unavailable_is_not_stored(service: Service, reader: Reader) -> None:
    """Sent again after a 503, a picture is there once."""
    away = _AwayIndex(service.index)  # type: ignore[arg-type]
    broken = Service(
        store=service.store,
        index=away,  # type: ignore[arg-type]
        reader=reader,
        max_bytes=10**6,
        max_pixels=10**7,
    )
    with pytest.raises(Unavailable):
        broken.receive(pictures.png(), UploadDetails(name="a", label="7"))
    service.receive(pictures.png(), UploadDetails(name="a", label="7"))
    assert len(list(service.store.list(object_keys.IMAGES))) == 1
    assert len(list(service.store.list(object_keys.LABELS))) == 1


def test_bytes_are_those_of_the_stored_file(service: Service) -> None:
    """The count is the same before and after reindexing, though metadata was taken out."""
    text = PngInfo()
    text.add_text("Author", "Ada")
    data = pictures.encoded(PIL.Image.new("L", (50, 50), 255), "PNG", pnginfo=text)
    image = service.receive(data)
    [stat] = service.store.list(object_keys.IMAGES)
    assert image.bytes == stat.size < len(data)


def test_a_rebuild_that_fails_leaves_the_index_as_it_was(service: Service) -> None:
    """A store that goes away in the middle costs nothing; what changes meanwhile is kept."""
    before = [service.receive(pictures.png()), service.receive(pictures.png())]
    with pytest.raises(Unavailable), service.index.rebuilding():
        raise Unavailable("the store is away.")
    assert len(images(service)) == 2
    sequence = service.index.sequence()
    with service.index.rebuilding() as fresh:
        fresh.add(before)
        service.remove([before[0].id])
        later = service.receive(pictures.png(), UploadDetails(label="7"))
        service.classify(later)
    assert [image.id for image in images(service)] == [before[1].id, later.id]
    read = service.index.get(later.id)
    assert read.label is not None
    assert read.reading is not None
    assert len(list(service.index.pairs())) == 1
    assert service.index.sequence() > sequence
    database = service.index.engine.url.database  # type: ignore[attr-defined]
    assert not Path(f"{database}.rebuild").exists()


def test_a_corrupt_database_is_put_aside(tmp_path: Path) -> None:
    """`reindex` renames a file that is no database any more, and starts with an empty one."""
    path = tmp_path / "index.db"
    path.write_bytes(b"no database at all" * 1000)
    index = open_index(f"sqlite:///{path}", renew=True)
    assert index.counts() == {}
    index.close()
    [aside] = tmp_path.glob("index.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    connection.close()


def test_variables_of_kubernetes_are_no_settings() -> None:
    """A service called legibly sets variables with our prefix, which are not ours."""
    environ = {
        "LEGIBLY_SERVICE_HOST": "10.0.0.1",
        "LEGIBLY_SERVICE_PORT": "8000",
        "LEGIBLY_SERVICE_PORT_HTTP": "8000",
        "LEGIBLY_PORT": "tcp://10.0.0.1:8000",
        "LEGIBLY_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "LEGIBLY_PORT_8000_TCP_ADDR": "10.0.0.1",
    }
    assert Settings.load(environ=environ) == Settings.load(environ={})
    with pytest.raises(Invalid):
        Settings.load(environ={"LEGIBLY_STOER": "x"})


def _all() -> Filter:
    return Filter()


def plain_picture(number: int) -> bytes:
    """A picture unlike those of other numbers."""
    return pictures.encoded(PIL.Image.new("L", (50, 50), 255 - number))


def images(service: Service) -> list[Image]:
    """Every image, oldest first."""
    return service.index.page(Filter(sort="oldest"), limit=99)


def test_each_image_of_an_overwritten_key_keeps_its_own_picture(
    tmp_path: Path, service: Service
) -> None:
    """Three pictures at one key are three images, before and after reindexing."""
    sent = [plain_picture(number) for number in (1, 2, 3)]
    for data, age in zip(sent, (20, 14, 8), strict=True):
        drop(tmp_path, "snapshot.png", data, age_seconds=age)
        assert sweep(service) == 1
    before = images(service)
    assert [service.store.read(image.key) for image in before] == sent
    assert {image.name for image in before} == {"snapshot.png"}
    reindex(service.store, service.index)
    assert [(image.id, image.key, image.bytes) for image in images(service)] == [
        (image.id, image.key, image.bytes) for image in before
    ]
    assert sweep(service) == 0


def test_deleting_one_image_leaves_the_pictures_of_others(tmp_path: Path, service: Service) -> None:
    """An earlier image of a key goes alone; the last one takes the file with it."""
    path = drop(tmp_path, "snapshot.png", plain_picture(1), age_seconds=20)
    sweep(service)
    drop(tmp_path, "snapshot.png", plain_picture(2), age_seconds=9)
    sweep(service)
    first, second = images(service)
    service.remove([first.id])
    assert path.exists()
    assert service.store.read(images(service)[0].key) == plain_picture(2)
    service.remove([second.id])
    assert not path.exists()
    assert list(service.store.list(object_keys.ADOPTED)) == []
    assert list(service.store.list(object_keys.ADOPTIONS)) == []
    assert sweep(service) == 0


def test_a_picture_that_was_only_touched_is_no_new_image(tmp_path: Path, service: Service) -> None:
    """The time of change says nothing of a picture; one that comes again after deletion is new."""
    drop(tmp_path, "a.png", age_seconds=20)
    sweep(service)
    drop(tmp_path, "a.png", age_seconds=9)
    assert sweep(service) == 0
    [image] = images(service)
    service.remove([image.id])
    assert sweep(service) == 0
    drop(tmp_path, "a.png", age_seconds=5)
    assert sweep(service) == 1


def test_two_servers_on_one_store_adopt_a_picture_once(tmp_path: Path, service: Service) -> None:
    """A second index calls it by the same id and shows the same copy."""
    drop(tmp_path, "a.png", age_seconds=20)
    sweep(service)
    drop(tmp_path, "a.png", age_seconds=9)
    index = open_index(f"sqlite:///{tmp_path}/second.db")
    second = Service(
        store=service.store, index=index, reader=service.reader, max_bytes=10**6, max_pixels=10**7
    )
    assert sweep(second) == 1
    assert images(second) == images(service)
    index.close()


def test_two_servers_on_one_store_learn_of_labels_and_deletions(
    tmp_path: Path, service: Service
) -> None:
    """What one server is told reaches the index of the other at its next sweep, with its pair."""
    first, second = (service.receive(pictures.png()) for _ in range(2))
    service.classify(first)
    database = tmp_path / "second.db"
    index = open_index(f"sqlite:///{database}")
    other = Service(
        store=service.store, index=index, reader=service.reader, max_bytes=10**6, max_pixels=10**7
    )
    follower = RecordFollower(other)
    service.label(first.id, "7", by="ann")
    time.sleep(1.1)  # a picture settles for a second
    assert sweep(other) == 2
    assert follower.follow() == 1
    other.classify(index.get(first.id))
    service.label(first.id, "1", by="bob")
    service.remove([second.id])
    assert follower.follow() == 2
    assert [label.text for label in index.labels([first.id])[first.id]] == ["7", "1"]
    assert [pair.actual for pair in index.pairs()] == ["7", "1"]
    assert index.present([first.id, second.id]) == {first.id}
    assert follower.follow() == 0
    index.close()


def test_a_database_of_yesterday_gets_its_labels_back(tmp_path: Path, service: Service) -> None:
    """Labels and deletions that a restored index lacks are taken in at the first sweep."""
    first, second = (service.receive(pictures.png()) for _ in range(2))
    with (
        sqlite3.connect(tmp_path / "index.db") as present,
        sqlite3.connect(tmp_path / "old.db") as backup,
    ):
        present.backup(backup)
    service.label(first.id, "7", by="ann")
    service.remove([second.id])
    index = open_index(f"sqlite:///{tmp_path}/old.db")
    restored = Service(
        store=service.store, index=index, reader=service.reader, max_bytes=10**6, max_pixels=10**7
    )
    Sweeper(restored, seconds=0.001).sweep_if_due()
    assert [image.label.text for image in images(restored) if image.label] == ["7"]
    assert index.present([first.id, second.id]) == {first.id}
    index.close()


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("2026-01-02", "2026-01-02", 1),
        ("2026-01-02T13:00:00+02:00", None, 1),
        ("2026-01-02T14:00:00 02:00", None, 1),
        ("2026-01-02T14:00:01+02:00", None, 0),
        (None, "2026-01-02T12:00:00Z", 1),
        (None, "2026-01-02T11:59:59Z", 0),
        (None, "2026-01-02T07:00:00-05:00", 1),
    ],
)
def test_date_filters_know_time_zones(
    service: Service, since: str | None, until: str | None, count: int
) -> None:
    """A moment is the same moment with whatever offset it is written."""
    image = object_keys.new_id(datetime(2026, 1, 2, 12, tzinfo=UTC))
    service.store.create(object_keys.image(image, "image/png"), pictures.png())
    service.adopt(list(service.store.list(object_keys.IMAGES)))
    assert len(service.index.page(Filter(since=since, until=until), limit=9)) == count


@pytest.mark.parametrize("text", ["", "2026-13-01", "yesterday", "2026-01-01T25:00", "\0", 4 * "9"])
def test_a_filter_that_is_no_date_is_refused(service: Service, text: str) -> None:
    """It neither matches everything nor nothing silently."""
    with pytest.raises(Invalid, match="is not a date"):
        service.index.page(Filter(since=text), limit=1)


def test_recent_pictures_of_a_bucket_are_looked_for_alone(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process lists all keys, a picture of the last hour is taken in, and no older
    key, no name of another program and no later day.
    """

    class Remote(Store):
        is_local = False  # as of a bucket

    index = open_index(f"sqlite:///{tmp_path}/index.db")
    store = Remote(open_store("memory://", environ={})._backend, url="memory://")
    bucket = Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**7)
    ids = [object_keys.new_id(now() - timedelta(hours=hours)) for hours in (0, 2, -72)]
    for image in ids:
        store.create(object_keys.image(image, "image/png"), pictures.png())
    store.create("images/scan.png", pictures.png())
    assert index.take_turn("sweep", seconds=1000)
    monkeypatch.setattr("legibly.ingest.sweep.SETTLE", timedelta(0))
    assert Sweeper(bucket, seconds=100).sweep_if_due() == 1
    assert index.known(ids) == {ids[0]}
    assert sweep(bucket) == 3
    index.close()


def test_a_worker_says_why_its_sweeps_fail(tmp_path: Path, service: Service) -> None:
    """With the store's folder gone there is a problem to report, and none once it is back."""
    service.store.create("images/.keep", b"x")
    worker = Worker(
        service,
        threads=1,
        attempts=1,
        sweeper=Sweeper(service, seconds=0.1),
        on_change=lambda _images: None,
    )
    worker.start()
    objects = tmp_path / "objects"
    objects.rename(tmp_path / "elsewhere")
    services.wait_for(lambda: "gone" in worker.problem, subject="the problem", seconds=20)
    (tmp_path / "elsewhere").rename(objects)
    services.wait_for(lambda: not worker.problem, subject="recovery", seconds=20)
    worker.stop()
