"""Class mode over the real program: a code, nicknames, and what teachers see."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

import pictures
import services
from legibly import errors, records
from legibly.people import classrooms
from legibly.store import open_store
from server import Server
from web.test_accounts import PASSWORD, add_user, signed_in

PICTURE = pictures.png()


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where tess and tom teach, and ben writes."""
    folder = tmp_path_factory.mktemp("school")
    for name, role in (("tess", "reviewer"), ("tom", "reviewer"), ("ben", "writer")):
        add_user(folder, name, role)
    environ = {"LEGIBLY_ACCOUNTS": "on", "LEGIBLY_ADMIN_PASSWORD": PASSWORD}
    server = Server(folder, services.free_port(), environ=environ)
    server.start()
    yield server
    server.stop()


def opened(teacher: httpx.Client, name: str) -> tuple[str, str]:
    """The address and the code of a new class."""
    address = teacher.post("/classes", data={"name": name, "keep_days": "7"}).headers["location"]
    matches = re.search(r'<code id="code">([A-Z0-9]{6})</code>', teacher.get(address).text)
    assert matches is not None
    return address, matches[1]


def test_an_address_that_pupils_cannot_open_is_named(school: Server) -> None:
    """The code of a page on loopback leads nowhere on a pupil's phone: the page says so."""
    note = "Only this computer can open this address."
    with signed_in(school, "tess") as tess:
        address, _ = opened(tess, "5d")
        assert note in tess.get(address).text
        assert note not in tess.get(address, headers={"Host": "school.example"}).text


def test_pupils_join_write_and_are_seen_by_their_teacher_alone(school: Server) -> None:
    """A code and a nickname are enough; a pupil sees their own pictures, the teacher legibility by
    pupil and digit.
    """
    nickname = "<i>Fux</i> 🦊"
    with (
        signed_in(school, "tess") as tess,
        signed_in(school, "tom") as tom,
        signed_in(school, "ben") as ben,
    ):
        address, code = opened(tess, "3b")
        with (
            httpx.Client(base_url=school.url, timeout=30) as pupil,
            httpx.Client(base_url=school.url) as late,
        ):
            assert pupil.post("/join", data={"code": "AAAAAA", "nickname": "x"}).status_code == 400
            joined = pupil.post("/join", data={"code": f" {code.lower()} ", "nickname": nickname})
            assert (joined.status_code, joined.headers["location"]) == (
                303,
                "/handwriting/practice",
            )
            assert (
                late.post("/join", data={"code": code, "nickname": nickname.upper()}).status_code
                == 400
            )
            form = {"file": ("7.png", PICTURE, "image/png")}
            for _ in range(3):
                sent = pupil.post("/api/images?wait=20", files=form, data={"label": "7"})
                assert sent.status_code == 200
            image = sent.json()["id"]
            assert len(pupil.get("/api/images").json()["images"]) == 3
            assert pupil.get("/handwriting").status_code == 200
            assert ben.get(f"/api/images/{image}").status_code == 404
            assert [
                pupil.get(path).status_code
                for path in ("/account", "/people", "/review", "/classes", address)
            ] == [403] * 5
            page = tess.get(address).text
            assert "&lt;i&gt;Fux&lt;/i&gt; 🦊" in page
            assert re.search(r"<td>3</td>", page)
            assert tom.get(address).status_code == 404
            assert not re.search(r"\b3b\b", tom.get("/classes").text)  # an id may hold 3b
            tess.post(address, data={"what": "close"})
            assert late.post("/join", data={"code": code, "nickname": "late"}).status_code == 400
            tess.post(address, data={"what": "erase"})
            assert pupil.get("/api/images").status_code == 401
        assert tess.get(f"/api/images/{image}").status_code == 404
    left = [
        path
        for path in school.objects.rglob("*")
        if path.is_file() and "deletions" not in str(path)
    ]
    assert not [path for path in left if image in path.name or b"Fux" in path.read_bytes()]


def test_one_pupil_can_be_deleted(school: Server) -> None:
    """On request a pupil's pictures go, and the others' stay."""
    with signed_in(school, "tess") as tess:
        address, code = opened(tess, "4a")
        pupils = [httpx.Client(base_url=school.url, timeout=30) for _ in range(2)]
        try:
            for number, pupil in enumerate(pupils):
                pupil.post("/join", data={"code": code, "nickname": f"pupil {number}"})
                pupil.post(
                    "/api/images?wait=20", content=PICTURE, headers={"Content-Type": "image/png"}
                )
            button = re.search(
                r'value="([^"]+)">Delete<span class="sr"> pupil 0<', tess.get(address).text
            )
            assert button is not None
            tess.post(address, data={"what": button[1]})
            assert pupils[0].get("/api/images").status_code == 401
            assert len(pupils[1].get("/api/images").json()["images"]) == 1
        finally:
            for pupil in pupils:
                pupil.close()


def test_classes_end_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class whose days are over takes nobody in and is named for deletion; many pupils are too
    many.
    """
    book = classrooms.Classes(open_store(f"file://{tmp_path}", environ={}), stale_seconds=0)
    opened_class = book.open("3b", teacher="tess", keep_days=1)
    monkeypatch.setattr(classrooms, "MAX_PUPILS", 2)
    book.join(opened_class.code, "one")
    book.join(opened_class.code, "two")
    with pytest.raises(errors.Invalid, match="full"):
        book.join(opened_class.code, "three")
    later = records.now() + timedelta(days=2)
    monkeypatch.setattr(classrooms, "now", lambda: later)
    assert [entry.id for entry in book.expired()] == [opened_class.id]
    with pytest.raises(errors.NotFound):
        book.join(opened_class.code, "late")
    book.erase(opened_class)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_pupil_comes_back_with_a_word(school: Server) -> None:
    """By nickname and word one is the same pupil again; another word, or none, is refused. The
    teacher has each pupil's page, a table as CSV, and a QR code.
    """
    with signed_in(school, "tess") as tess:
        address, code = opened(tess, "comes back")
        form = {"code": code, "nickname": "Otter", "word": "Blue  Moon"}
        with httpx.Client(base_url=school.url, timeout=30) as first:
            assert first.post("/join", data=form).status_code == 303
            sent = first.post("/api/images?wait=20", files={"file": PICTURE}, data={"label": "7"})
            image = sent.json()["id"]
        with httpx.Client(base_url=school.url, timeout=30) as again:
            assert again.post("/join", data={**form, "word": "red"}).status_code == 400
            assert again.post("/join", data={**form, "word": ""}).status_code == 400
            assert again.post("/join", data={**form, "word": "blue moon"}).status_code == 303
            assert again.get(f"/api/images/{image}").status_code == 200
        page = tess.get(address).text
        assert 'class="qr"' in page
        pupil = re.search(rf"{address}/pupils/[0-9a-f-]+", page)
        assert pupil is not None
        assert "Otter" in tess.get(pupil[0]).text
        assert "Otter" in tess.get(f"{address}/table").text
        rows = tess.get(f"{address}/table.csv").text.splitlines()
        assert rows[1].startswith("Otter,1,")
        assert tess.get(f"{address}/pupils/nobody").status_code == 404
        for path in ("/table", "/table.csv", f"/pupils/{pupil[0].rpartition('/')[2]}"):
            with signed_in(school, "tom") as tom:
                assert tom.get(address + path).status_code == 404


def test_a_teacher_knows_nothing_of_another_teachers_pupils(school: Server) -> None:
    """Neither the API nor a page nor the stream shows them; administrators and the class's own
    teacher see them, and everybody who reviews sees what accounts upload.
    """
    with (
        signed_in(school, "tess") as tess,
        signed_in(school, "tom") as tom,
        signed_in(school, "ben") as ben,
        signed_in(school, "admin") as admin,
        httpx.Client(base_url=school.url, timeout=30) as pupil,
    ):
        _, code = opened(tess, "secret")
        before = tom.get("/api/accuracy").json()["pairs"]
        pupil.post("/join", data={"code": code, "nickname": "hidden"})
        batch = pupil.post("/api/batches", json={"name": "of a pupil"}).json()["id"]
        form = {"file": ("7.png", PICTURE, "image/png")}
        with tom.stream("GET", "/api/live") as stream:
            details = {"label": "7", "batch": batch, "writer": "Fox"}
            sent = pupil.post("/api/images?wait=20", files=form, data=details).json()["id"]
            visible = ben.post("/api/images?wait=20", files=form, data={"label": "7"}).json()["id"]
            data = next(line for line in stream.iter_lines() if line.startswith("data: "))
        assert f'"{visible}"' in data
        for client, sees in ((tom, False), (tess, True), (admin, True)):
            ids = {image["id"] for image in client.get("/api/images").json()["images"]}
            assert visible in ids
            assert (sent in ids) is sees
            assert (client.get(f"/api/images/{sent}").status_code == 200) is sees
            assert (client.get(f"/api/images/{sent}/original").status_code == 200) is sees
            assert (client.get(f"/api/batches/{batch}").status_code == 200) is sees
            assert (batch in client.get("/api/batches").text) is sees
            assert (batch in client.get("/batches").text) is sees
            assert (sent in client.get("/history/download.csv").text) is sees
            report = client.get("/api/accuracy", params={"writer": "Fox"}).json()
            assert (report["pairs"] > 0) is sees
        assert tom.get("/api/accuracy").json()["pairs"] == before + 1
