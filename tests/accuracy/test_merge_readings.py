"""Merging the files of readings loses none and doubles none, wherever it ends."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from legibly import object_keys
from legibly.accuracy.compaction import readings
from legibly.accuracy.compaction.readings import Merged
from legibly.records import Model, Reading, ReadingRecord, now
from legibly.store import Store, open_store
from legibly.store.record_files import line

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRACE = timedelta(hours=1)
COUNT = 37


class Killed(BaseException):
    """The process ends here."""


class ChangedStore(Store):
    """A store in memory that acts before each of its changes."""

    left = -1
    deleted = ""

    def create(self, key: str, data: bytes, *, media_type: str | None = None) -> bool:
        self._change()
        done = super().create(key, data, media_type=media_type)
        if self.deleted and object_keys.mark(self.deleted) in object_keys.marks(key):
            super().create(object_keys.deletion(self.deleted), b"{}")
            super().remove([object_keys.reading(self.deleted, "a" * 12)])
        return done

    def remove(self, keys: object) -> None:
        for key in keys:  # type: ignore[attr-defined]
            self._change()
            super().remove([key])

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def filled() -> tuple[ChangedStore, list[ReadingRecord]]:
    """Readings of one day by two versions, a file each, and one file that is torn."""
    store = ChangedStore(open_store("memory://", environ={})._backend, url="memory://")
    records = []
    for number in range(COUNT):
        taken_at = AT + timedelta(seconds=number)
        image = object_keys.new_id(taken_at)
        model = Model("digits", ("a" if number % 3 else "b") * 12)
        statement = Reading("read", "7", 0.9, model, taken_at)
        key = object_keys.image(image, "image/png")
        record = ReadingRecord(image, key, "image/png", 7, 28, 29, statement)
        store.create(object_keys.reading(image, model.version), line(record.to_json()))
        records.append(record)
    store.create(object_keys.reading(object_keys.new_id(AT), "a" * 12), b'{"image":')
    return store, records


def files(store: Store) -> list[str]:
    return [stat.key for stat in store.list(object_keys.READINGS)]


def stored(store: Store) -> set[str]:
    """All readings of a store as texts."""
    lines = [text for key in files(store) for text in store.read(key).splitlines()]
    return {
        ReadingRecord.from_json(json.loads(text)).json_text() for text in lines if text[-1:] == b"}"
    }


def run(store: Store, *, hours: float, grace: timedelta = GRACE) -> Merged:
    return readings.merge(store, now=now() + timedelta(hours=hours), grace=grace)


def test_files_of_one_reading_become_files_of_several() -> None:
    """First both are there, for jobs that read; a later run removes what was merged; a torn file
    stays, and fresh ones wait.
    """
    store, records = filled()
    everything = {record.json_text() for record in records}
    assert run(store, hours=0) == Merged()
    assert run(store, hours=2) == Merged(readings=COUNT)
    assert stored(store) == everything
    assert run(store, hours=0.5) == Merged()
    assert run(store, hours=2) == Merged(files_removed=COUNT)
    assert stored(store) == everything
    assert len(files(store)) == 1 + 2 + 1  # 24 and 13 readings, 15 in a file at most
    assert run(store, hours=2) == Merged()


def test_a_run_that_is_killed_anywhere_loses_nothing() -> None:
    """After each change that it makes; the next run goes on."""
    for changes in range(0, COUNT + 3, 4):
        store, records = filled()
        store.left = changes
        with pytest.raises(Killed):
            run(store, hours=2, grace=timedelta(0))
        store.left = -1
        everything = {record.json_text() for record in records}
        assert stored(store) == everything
        run(store, hours=2, grace=timedelta(0))
        assert stored(store) == everything
        assert len(files(store)) <= 8


def test_an_image_that_is_deleted_meanwhile_comes_into_no_shared_file() -> None:
    """Whether it was deleted before the run, or while its file was written."""
    store, records = filled()
    before = records[1]
    during = records[2]
    store.create(object_keys.deletion(before.image), b"{}")
    store.deleted = during.image
    run(store, hours=2)
    shared = [key for key in files(store) if object_keys.marks(key)]
    text = b"".join(store.read(key) for key in shared).decode()
    assert len(text.splitlines()) == COUNT - 2
    assert before.image not in text
    assert during.image not in text
