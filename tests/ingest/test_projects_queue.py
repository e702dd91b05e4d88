"""One queue tells of every project: each is read with its own model, and taken into its index."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import pictures
from legibly import errors, object_keys, projects, records
from legibly.evaluation import promotion_history as histories
from legibly.evaluation import trial_timer
from legibly.index.port import Filter
from legibly.index.sql import open_index
from legibly.ingest import stored_packs
from legibly.ingest.consumer import MemoryQueue
from legibly.ingest.project_consumer import ProjectConsumer
from legibly.ingest.project_readers import ProjectReaders
from legibly.ingest.s3_documents import Event, Message
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.packs.pack import open_pack
from legibly.pipeline import Service
from legibly.projects import Projects
from legibly.settings import Settings
from legibly.store import Store, open_store
from legibly.vision.reading import Reader, Result


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=f"file://{tmp_path}/objects")


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings.store, environ={})


@pytest.fixture
def other(tmp_path: Path, store: Store) -> records.Model:
    """A pack that lies in the store alone: the shipped one with another date."""
    folder = Path(shutil.copytree(registry.find("digits"), tmp_path / "other"))
    cards.write_card(folder, replace(cards.read_card(folder), name="other", created="later"))
    stored_packs.upload(folder, store)
    model = open_pack(folder).model
    shutil.rmtree(folder)
    return model


@pytest.fixture
def readers(settings: Settings) -> ProjectReaders:
    return ProjectReaders(settings, environ={}, watches=False)


def put(store: Store, key: str) -> Message:
    """Put a picture, and give the message of its event."""
    store.replace(key, pictures.png())
    stat = store.head(key)
    event = Event("bucket", key, "created", size=stat.size, at=stat.modified_at)
    return Message(id=key, events=(event,))


def change(own: Store, kind: histories.Kind, model: records.Model, **facts: float) -> None:
    """Record a change from the shipped pack to another one."""
    sides = {
        "before": histories.Choice("digits", records.Model("digits", "")),
        "after": histories.Choice(model.name, model),
    }
    history = histories.changes(own)
    histories.write(own, histories.following(history, kind, by="test", **sides, **facts))


def versions(own: Store) -> list[str]:
    """The model versions of the readings in a store."""
    keys = (stat.key for stat in own.list(object_keys.READINGS))
    return [json.loads(own.read(key))["model"]["version"] for key in keys]


def test_each_project_is_read_with_its_model(
    settings: Settings, store: Store, other: records.Model, readers: ProjectReaders
) -> None:
    """One delivery, two projects: the second's history names a pack that only the store has. Each
    reading lies in its project, and a project that was deleted holds nothing up.
    """
    Projects(store).create("letters")
    url = projects.store_url(replace(settings, project="letters"))
    letters = open_store(url, environ={})
    change(letters, "promote", other)
    first = put(store, "images/a.png")
    second = put(store, "projects/letters/images/a.png")
    gone = put(store, "projects/gone/images/a.png")
    both = Message(id="both", events=(*first.events, *second.events))
    assert readers.read([both, gone]) == []
    assert versions(letters) == [other.version]
    assert versions(store) == [open_pack(registry.find("digits")).model.version]


def test_a_model_that_cannot_be_opened_holds_up_its_project_alone(
    store: Store, readers: ProjectReaders
) -> None:
    """Its pictures come again, those of the other project are read."""
    Projects(store).create("letters", model="nowhere")
    broken = put(store, "projects/letters/images/a.png")
    assert readers.read([broken, put(store, "images/a.png")]) == [broken.id]
    assert len(versions(store)) == 1


def test_trials_are_taken_part_in(
    store: Store, other: records.Model, readers: ProjectReaders
) -> None:
    """A shadow's counts are in the store when the delivery is over; a canary answers its share."""
    change(store, "shadow", other, share=1.0)
    assert readers.read([put(store, "images/a.png")]) == []
    readers.tend(seconds=20)
    [counts] = store.list(object_keys.shadow_folder(1))
    assert json.loads(store.read(counts.key))["same_text"] == 1
    assert other.version not in versions(store)
    change(store, "canary", other, share=1.0, risk=0.01)
    fresh = ProjectReaders(Settings(store=store.url), environ={}, watches=False)
    assert fresh.read([put(store, "images/b.png")]) == []
    assert other.version in versions(store)


def test_a_canary_that_only_fails_is_ended(
    store: Store, other: records.Model, readers: ProjectReaders
) -> None:
    """After three failures in a row the end is recorded; every picture has its answer."""
    change(store, "canary", other, share=1.0, risk=0.01)
    assert readers.read([put(store, "images/a.png")]) == []
    [opened] = readers._opened.values()
    assert opened.live.canary is not None
    opened.live.canary._challenger = Failing(opened.live.pack)
    assert readers.read([put(store, f"images/{number}.png") for number in range(3)]) == []
    readers.tend(seconds=0)
    assert opened.live.canary is None
    last = histories.changes(store)[-1]
    assert (last.kind, last.share, last.by) == ("canary", 0.0, "legibly")
    assert trial_timer.MAX_FAILURES == 3


class Failing(Reader):
    """A challenger that cannot read."""

    def read(self, data: bytes) -> Result:
        raise errors.Unavailable("the model server does not answer.")


@pytest.fixture
def open_service(tmp_path: Path, store: Store) -> Iterator[Callable[[str], Service]]:
    """Services of projects, each with an index of its own; there is no project `gone`."""
    services: dict[str, Service] = {}

    def find(name: str) -> Service:
        if name == "gone":
            raise errors.NotFound("there is no such project.")
        if name == "away":
            raise errors.Unavailable("the database does not answer.")
        url = f"{store.url}/projects/{name}" if name else store.url
        services[name] = services.get(name) or Service(
            store=open_store(url, environ={}),
            index=open_index(f"sqlite:///{tmp_path}/{name}.db"),
            reader=Reader(open_pack(registry.find("digits"))),
            max_bytes=10**6,
            max_pixels=10**6,
        )
        return services[name]

    yield find
    for service in services.values():
        service.index.close()


def test_records_are_taken_into_the_index_of_their_project(
    store: Store, readers: ProjectReaders, open_service: Callable[[str], Service]
) -> None:
    """What the function wrote for a project appears there and nowhere else; a deleted project's
    messages are done, those of one that cannot be opened come again.
    """
    Projects(store).create("letters")
    readers.read([put(store, "images/a.png"), put(store, "projects/letters/images/b.png")])
    keys = [stat.key for stat in store.list("") if object_keys.READINGS in stat.key]
    keys += ["projects/gone/records/readings/x.jsonl", "projects/away/images/a.png"]
    messages = [Message(id=key, events=(Event("bucket", key, "created"),)) for key in keys]
    consumer = ProjectConsumer(
        open_service(""), MemoryQueue(), on_change=lambda _images: None, find_service=open_service
    )
    done = consumer.take(messages)
    assert [message.id for message in messages if message not in done] == [keys[-1]]
    for name, picture in (("", "a.png"), ("letters", "b.png")):
        [image] = open_service(name).index.page(Filter(), limit=9)
        assert (image.name, image.reading and image.reading.text) == (picture, "7")
