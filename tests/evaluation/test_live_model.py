"""Running processes follow changes of the model through the store; a shadow delays nobody."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import pictures
from legibly import errors, object_keys, records
from legibly.evaluation import promotion_history as histories
from legibly.evaluation import trials
from legibly.evaluation.live_model import LiveReader
from legibly.evaluation.trial_timer import TrialTimer
from legibly.index.sql import SqlIndex, open_index
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.packs.opening import open_model
from legibly.store import Store, open_store
from legibly.vision.reading import Reader
from server import Server


@pytest.fixture(name="other")
def other_pack(tmp_path: Path) -> str:
    """The shipped pack with another date: the same answers under another version."""
    folder = Path(shutil.copytree(registry.find("digits"), tmp_path / "packs" / "other"))
    cards.write_card(folder, replace(cards.read_card(folder), created="later"))
    return str(folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/objects", environ={})


def open_reader(setting: str, *, version: str = "") -> Reader:
    return Reader(open_model(setting))


def change(store: Store, kind: Any, before: str, after: str, **facts: Any) -> None:
    """Record a change as another process would."""
    number = len(histories.changes(store)) + 1
    sides = (histories.Choice(name, records.Model(name, "")) for name in (before, after))
    first, second = sides
    histories.write(
        store,
        histories.Change(
            number=number,
            kind=kind,
            at=records.now(),
            by="test",
            before=first,
            after=second,
            **facts,
        ),
    )


def wait(holds: Callable[[], bool]) -> None:
    """Wait a few seconds until something holds."""
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)


def test_a_running_process_follows_and_goes_back(store: Store, other: str) -> None:
    """A promotion and a rollback by another process arrive within seconds; no read fails
    meanwhile.
    """
    live = LiveReader("digits", store=store, open_reader=open_reader)
    first = live.model.version
    versions: list[str] = []
    failures: list[Exception] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                versions.append(live.read(pictures.png()).reading.model.version)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    change(store, "promote", "digits", other)
    wait(lambda: live.model.version != first)
    second = live.model.version
    wait(lambda: second in versions)
    change(store, "rollback", other, "digits")
    wait(lambda: live.model.version == first)
    ended.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(versions) == {first, second}


def test_a_process_that_starts_later_reads_what_was_chosen(store: Store, other: str) -> None:
    """The store's history counts over an older setting; a setting that no change names stays."""
    change(store, "use", "digits", other)
    assert LiveReader("digits", store=store, open_reader=open_reader).setting == other
    copy = shutil.copytree(registry.find("digits"), Path(other).parent / "third")
    assert LiveReader(str(copy), store=store, open_reader=open_reader).setting == str(copy)


def test_a_pack_that_cannot_be_opened_stops_nobody(store: Store, other: str) -> None:
    """Neither the running process nor a later start: both go on with the model that they have."""
    live = LiveReader("digits", store=store, open_reader=open_reader)
    change(store, "use", "digits", "/nowhere")
    with pytest.raises(errors.NotFound):
        live.refresh()
    assert live.read(pictures.png()).reading.text == "7"
    assert LiveReader("digits", store=store, open_reader=open_reader).setting == "digits"
    change(store, "use", "/nowhere", other)
    live.refresh()
    assert live.setting == other


class Slow(Reader):
    """A challenger that takes its time."""

    def read(self, data: bytes) -> Any:
        time.sleep(0.5)
        return super().read(data)


def test_a_shadow_reads_a_share_and_drops_what_is_late(store: Store, other: str) -> None:
    """Answers come at once although the challenger takes half a second; what it cannot do is
    counted as dropped.
    """
    live = LiveReader("digits", store=store, open_reader=open_reader)
    change(store, "shadow", "digits", other, share=1.0)
    live.refresh()
    assert live.setting == "digits"
    assert live.shadow is not None
    live.read(pictures.png())
    wait(lambda: live.shadow is not None and live.shadow.to_json()["read"] == 1)
    assert live.shadow.to_json()["same_text"] == 1
    slow = trials.Shadow(Slow(live.pack), share=1.0, number=1)
    reading = live.read(pictures.png()).reading
    started = time.perf_counter()
    for _ in range(50):
        slow.offer(b"picture", reading)
    assert time.perf_counter() - started < 0.2
    assert slow.to_json()["dropped"] >= 40
    change(store, "shadow", "digits", other, share=0.0)
    live.refresh()
    assert live.shadow is None


def test_every_process_adds_to_the_counts_of_a_shadow(store: Store, other: str) -> None:
    """Counts are those of all processes, and outlive them."""
    change(store, "shadow", "digits", other, share=1.0)
    for _ in range(2):
        live = LiveReader("digits", store=store, open_reader=open_reader)
        shadow = live.shadow
        assert shadow is not None
        live.read(pictures.png())
        wait(lambda shadow=shadow: shadow.to_json()["read"] == 1)  # type: ignore[misc]
        shadow.save(store)
    later = LiveReader("digits", store=store, open_reader=open_reader).shadow
    assert later is not None
    total = later.total(store)
    assert (total["read"], total["same_text"], total["dropped"]) == (2, 2, 0)
    assert total["milliseconds"] > 0


class Failing(Reader):
    """A challenger that cannot read."""

    def read(self, data: bytes) -> Any:
        raise errors.Unavailable("the model server does not answer.")


def open_failing(setting: str, *, version: str = "") -> Reader:
    return Failing(open_model(setting)) if setting != "digits" else open_reader(setting)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqlIndex]:
    opened = open_index(f"sqlite:///{tmp_path}/index.db")
    yield opened
    opened.close()


def test_a_canary_answers_a_share(store: Store, other: str) -> None:
    """The same pictures in every process, about as many as were asked for; all are answered."""
    change(store, "canary", "digits", other, share=0.3, risk=0.01)
    live = LiveReader("digits", store=store, open_reader=open_reader)
    assert live.canary is not None
    several = [pictures.png([(90, 60), (190, 60 + y), (130, 220)]) for y in range(60)]
    drawn = [live.read(data).reading.model == live.canary.model for data in several]
    assert 5 <= sum(drawn) <= 35
    again = LiveReader("digits", store=store, open_reader=open_reader)
    assert [again.read(data).reading.model == live.canary.model for data in several] == drawn
    change(store, "canary", "digits", other, share=0.0)
    live.refresh()
    assert live.canary is None
    assert {live.read(data).reading.model for data in several} == {live.model}


def test_a_canary_that_fails_ends_and_refuses_nothing(
    store: Store, other: str, index: SqlIndex
) -> None:
    """The present model answers in its place; the end is recorded once, with its reason."""
    change(store, "canary", "digits", other, share=1.0, risk=0.01)
    several = [LiveReader("digits", store=store, open_reader=open_failing) for _ in range(2)]
    timers = [TrialTimer(live, index=index, store=store) for live in several]
    for live, timer in zip(several, timers, strict=True):
        for _ in range(3):
            assert live.read(pictures.png()).reading.model == live.model
        with pytest.raises(errors.NotAnImage):
            live.read(b"no picture")
        timer.look()
    assert [live.canary for live in several] == [None, None]
    ends = [entry for entry in histories.changes(store) if entry.by == "legibly"]
    assert [entry.share for entry in ends] == [0.0]
    assert ends[0].reason is not None
    assert "does not answer" in ends[0].reason


@pytest.mark.parametrize(
    ("wrong", "source", "ends"),
    [(6, "asked", True), (1, "asked", False), (6, "volunteered", False)],
)
def test_a_canary_that_is_wrong_too_often_ends(
    store: Store, other: str, index: SqlIndex, wrong: int, source: records.LabelSource, ends: bool
) -> None:
    """Six wrong of forty sure answers are too many for a risk of one in a hundred, one is not; what
    people volunteer says nothing of a rate.
    """
    change(store, "canary", "digits", other, share=1.0, risk=0.01)
    live = LiveReader("digits", store=store, open_reader=open_reader)
    assert live.canary is not None
    model = live.canary.model
    for number in range(40):
        at = records.now()
        image = object_keys.new_id(at)
        reading = records.Reading("read", "7", 0.99, model, at)
        key = object_keys.image(image, "image/png")
        index.add_readings([records.ReadingRecord(image, key, "image/png", 1, 1, 1, reading)])
        pair = records.Pair(
            image=image,
            predicted="7",
            actual="1" if number < wrong else "7",
            confidence=0.99,
            model=f"{model.name}@{model.version}",
            writer=None,
            source=source,
            labelled_at=at,
        )
        index.add_pairs([pair])
    TrialTimer(live, index=index, store=store).look()
    assert (live.canary is None) is ends
    last = histories.changes(store)[-1]
    assert (
        last.reason
        == "of 40 sure answers with a label 6 are wrong: more than the 0.01 that was allowed"
    ) is ends


def test_the_server_says_and_changes_its_model(tmp_path: Path, other: str) -> None:
    """Every response, /readyz and /metrics name the version; admins promote, shadow and roll back
    by HTTP.
    """
    packs = tmp_path / "legibly-data" / "packs"
    packs.mkdir(parents=True)
    shutil.move(other, packs / "other")
    with (
        Server.started(tmp_path, LEGIBLY_ACCOUNTS="off") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        models = client.get("/api/models").json()
        assert [row["name"] for row in models["models"]] == ["digits", "other"]
        assert [row["used"] for row in models["models"]] == [True, False]
        assert models["models"][0]["calibrated"] is True
        versions = {row["name"]: row["version"] for row in models["models"]}
        refused = client.post("/api/models/other/promote", json={})
        assert (refused.status_code, refused.headers["x-legibly-model"]) == (
            400,
            f"digits@{versions['digits']}",
        )
        done = client.post("/api/models/other/promote", json={"reason": "a drill"})
        assert (done.status_code, done.json()["by"]) == (200, "operator")
        assert client.get("/readyz").json()["model"]["version"] == versions["other"]
        assert f'version="{versions["other"]}"' in client.get("/metrics").text
        assert client.post("/api/models/digits/shadow", json={"share": 0.5}).status_code == 200
        assert client.get("/api/models").json()["shadow"]["share"] == 0.5
        taken = client.post("/api/models/other/canary", json={"share": 0.5})
        assert (taken.status_code, taken.json()["detail"]) == (409, "This model is already in use.")
        begun = client.post("/api/models/digits/canary", json={"share": 0.5, "risk": 0.02})
        assert begun.status_code == 200
        canary = client.get("/api/models").json()["canary"]
        assert (canary["share"], canary["risk"], canary["labelled"]) == (0.5, 0.02, 0)
        assert canary["model"]["version"] == versions["digits"]
        assert client.post("/api/models/digits/rollback", json={}).status_code == 409
        assert client.post("/api/models/other/rollback", json={}).status_code == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["model"]["version"] == versions["digits"]
        assert client.get("/api/schema/card.json").json()["properties"]["format"] == {"const": 2}
