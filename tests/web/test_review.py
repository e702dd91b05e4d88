"""Review over the real program: two people who have to agree, and Label Studio's annotators; on
either database.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import pictures
import services
from legibly.people import accounts
from legibly.store import open_store
from server import Server
from web.test_accounts import PASSWORD, legibly, signed_in

PEOPLE: dict[str, accounts.Role] = {
    "ada": "admin",
    "rita": "reviewer",
    "rob": "reviewer",
    "tom": "reviewer",
    "ben": "writer",
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Server]:
    """A server where two people have to agree: rita, rob and tom review, ada looks after it, ben
    writes.
    """
    folder = tmp_path_factory.mktemp("office")
    book = accounts.Accounts(open_store(f"file://{folder}/legibly-data/objects", environ={}))
    for name, role in PEOPLE.items():
        book.add(name, role=role, password=PASSWORD)
    environ = {"LEGIBLY_ACCOUNTS": "on", "LEGIBLY_REVIEW_PEOPLE": "2", "LEGIBLY_ASK_RATE": "1"}
    if database:
        environ["LEGIBLY_DATABASE"] = database
    with Server.started(folder, **environ) as server:
        yield server


@pytest.fixture(scope="module")
def people(office: Server) -> Iterator[dict[str, httpx.Client]]:
    """Everybody at a browser of their own."""
    with contextlib.ExitStack() as open_:
        yield {name: open_.enter_context(signed_in(office, name)) for name in PEOPLE}


def upload(client: httpx.Client) -> str:
    """A picture that is read; gives its id."""
    done = client.post(
        "/api/images?wait=20", content=pictures.png(), headers={"Content-Type": "image/png"}
    )
    assert done.status_code == 200, done.text
    return str(done.json()["id"])


def queue(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """What somebody is asked to look at, by image."""
    return {entry["image"]["id"]: entry for entry in client.get("/api/review").json()["queue"]}


def judge(client: httpx.Client, image: str, text: str | None) -> dict[str, Any]:
    """Say what a picture shows."""
    done = client.put(f"/api/review/{image}", json={"text": text})
    assert done.status_code == 200, done.text
    return dict(done.json())


def test_a_picture_leaves_when_two_people_gave_the_same_text(
    people: dict[str, httpx.Client],
) -> None:
    """The first leaves it to others, who are not told what was said; the second who agrees ends it
    for everybody.
    """
    image = upload(people["ben"])
    assert queue(people["rita"])[image]["reason"] in ("asked", "unsure")
    judge(people["rita"], image, "7")
    assert image not in queue(people["rita"])
    entry = queue(people["rob"])[image]
    assert (entry["reason"], entry["said"], entry["image"]["label"]) == ("second", [], None)
    judge(people["rob"], image, "7")
    assert not any(image in queue(client) for name, client in people.items() if name != "ben")


def test_where_two_differ_a_third_or_an_administrator_decides(
    office: Server, people: dict[str, httpx.Client]
) -> None:
    """The queue says who said what; the newest text counts meanwhile; each word stays a record that
    reindex finds.
    """
    image = upload(people["ben"])
    judge(people["rita"], image, "7")
    assert judge(people["rob"], image, "1")["label"]["text"] == "1"
    entry = queue(people["tom"])[image]
    assert entry["reason"] == "disputed"
    assert entry["said"] == [{"text": "7", "name": "rita"}, {"text": "1", "name": "rob"}]
    assert image in queue(people["ada"])
    assert image not in queue(people["rita"]) | queue(people["rob"])
    done = reindexed(office)
    assert "labels" in done
    assert queue(people["tom"])[image]["said"] == entry["said"]
    judge(people["ada"], image, "9")
    assert queue(people["tom"])[image]["reason"] == "disputed"
    assert judge(people["tom"], image, "7")["label"]["text"] == "7"
    assert not any(image in queue(people[name]) for name in ("ada", "rita", "rob", "tom"))
    folder = office.objects / "records" / "labels"
    records = [json.loads(path.read_bytes()) for path in sorted(folder.rglob(f"{image}.*"))]
    assert [record["text"] for record in records] == ["7", "1", "9", "7"]
    assert not [record for record in records if "rita" in record["by"]]


def reindexed(office: Server) -> str:
    """Rebuild the index beside the running server; what the command says."""
    database = office.environ.get("LEGIBLY_DATABASE")
    flags = ["--database", database] if database else []
    command = [sys.executable, "-m", "legibly", "reindex", *flags]
    done = subprocess.run(
        command, cwd=office.folder, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout + done.stderr


def test_who_takes_their_word_back_is_asked_again(people: dict[str, httpx.Client]) -> None:
    """What stood before counts again, with whom and how it was given; others' words stay."""
    image = upload(people["ben"])
    people["ben"].put(f"/api/images/{image}/label", json={"text": "4"})
    judge(people["rita"], image, "7")
    judge(people["rob"], image, "7")
    assert judge(people["rob"], image, None)["label"]["text"] == "7"
    assert queue(people["rob"])[image]["reason"] == "second"
    label = judge(people["rita"], image, None)["label"]
    assert label["text"] == "4"
    assert judge(people["rita"], image, None)["label"]["text"] == "4"


def test_label_studios_annotators_stay_apart(people: dict[str, httpx.Client]) -> None:
    """Two annotators who agree end a review, one alone does not; what we exported comes back as
    nothing new.
    """
    first, second, third = (upload(people["ben"]) for _ in range(3))
    people["ben"].put(f"/api/images/{third}/label", json={"text": "3"})
    judge(people["rita"], third, "8")
    tasks = {task["data"]["legibly_id"]: task for task in exported(people["tom"])}
    statement = [annotation["result"][0] for annotation in tasks[third]["annotations"]]
    assert [result["value"]["text"] for result in statement] == [["3"], ["8"]]
    assert len({result["meta"]["text"][0] for result in statement}) == 2
    for annotation in tasks[third][
        "annotations"
    ]:  # as Label Studio exports what was imported: by the importer
        annotation["completed_by"] = {"id": 1, "email": "boss@school.example"}
    tasks[first]["annotations"] = [
        annotated("7", 1, "01"),
        annotated("7", {"id": 2, "email": "b@school.example"}, "02"),
    ]
    tasks[second]["annotations"] = [annotated("7", 2, "03"), annotated("4", 2, "01")]
    assert taken(people["tom"], exported(people["tom"]))["labelled"] == 0
    tasks = {image: tasks[image] for image in (first, second, third)}
    assert taken(people["ada"], list(tasks.values())) == {
        "labelled": 3,
        "same": 2,
        "unknown": 0,
        "refused": 0,
    }
    assert taken(people["ada"], list(tasks.values())) == {
        "labelled": 0,
        "same": 5,
        "unknown": 0,
        "refused": 0,
    }
    waiting = queue(people["rob"])
    assert first not in waiting
    assert [waiting[image]["reason"] for image in (second, third)] == ["second", "second"]
    judge(people["rob"], second, "1")
    assert queue(people["tom"])[second]["said"] == [
        {"text": "7", "name": "Label Studio"},
        {"text": "1", "name": "rob"},
    ]
    assert "school.example" not in people["ada"].get("/review/label-studio.json").text


def test_a_reviewers_file_brings_no_second_person(people: dict[str, httpx.Client]) -> None:
    """Whoever imports annotators' names, and is no administrator, has said it alone."""
    image = upload(people["ben"])
    task = next(task for task in exported(people["tom"]) if task["data"]["legibly_id"] == image)
    task["annotations"] = [annotated("7", 1, "01"), annotated("7", 2, "02")]
    assert taken(people["tom"], [task])["refused"] == 0
    assert queue(people["rob"])[image]["reason"] == "second"
    assert image not in queue(people["tom"])


def annotated(text: str, by: object, second: str) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    result = {
        "type": "textarea",
        "from_name": "text",
        "to_name": "image",
        "value": {"text": [text]},
    }
    return {"result": [result], "completed_by": by, "updated_at": f"2026-01-01T00:00:{second}Z"}


def exported(client: httpx.Client) -> list[dict[str, Any]]:
    """All tasks."""
    return list(client.get("/review/label-studio.json").json())


def taken(client: httpx.Client, tasks: list[dict[str, Any]]) -> dict[str, int]:
    """Import an export."""
    done = client.post("/review/label-studio", files={"file": ("export.json", json.dumps(tasks))})
    assert done.status_code == 200, done.text
    return dict(done.json())


def test_two_people_need_accounts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without accounts nobody can tell whether two people agree, so the server does not start."""
    monkeypatch.setenv("LEGIBLY_REVIEW_PEOPLE", "2")
    done = legibly(tmp_path, "serve", "--port", str(services.free_port()))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "LEGIBLY_ACCOUNTS=on" in done.stderr
