"""Accounts over the real program: who comes in, what they see, and what is refused."""

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

import pictures
import services
from legibly import object_keys, records
from legibly.people import accounts
from legibly.store import open_store
from legibly.web.api import images, s3_webhook
from legibly.web.pages import rendering, routes
from legibly.web.security import sessions
from server import Server
from web.test_forms import scan, sheet

PASSWORD = "four unrelated words"


def legibly(folder: Path, *words: str, password: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "legibly", *words]
    return subprocess.run(
        command, cwd=folder, input=password, capture_output=True, text=True, timeout=60, check=False
    )


def add_user(folder: Path, name: str, role: str) -> None:
    """An account with the password of these tests."""
    words = ("users", "add", name, "--role", role, "--password-stdin")
    done = legibly(folder, *words, password=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts: ada looks after it, ben and cleo write, rita reviews."""
    folder = tmp_path_factory.mktemp("guarded")
    for name, role in (
        ("ada", "admin"),
        ("ben", "writer"),
        ("cleo", "writer"),
        ("rita", "reviewer"),
    ):
        add_user(folder, name, role)
    server = Server(
        folder, services.free_port(), environ={"LEGIBLY_ACCOUNTS": "on", "LEGIBLY_RATE": "2000"}
    )
    server.start()
    yield server
    server.stop()


@contextlib.contextmanager
def signed_in(server: Server, name: str) -> Iterator[httpx.Client]:
    """A browser of somebody who signed in."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        form = {"name": name, "password": PASSWORD, "next": "/history"}
        response = client.post("/login", data=form)
        while (
            response.status_code == 429
        ):  # the tests before used up this address's tries: wait, as one is told to
            time.sleep(int(response.headers["Retry-After"]))
            response = client.post("/login", data=form)
        assert (response.status_code, response.headers.get("location")) == (303, "/history"), (
            response.text[:300]
        )
        yield client


def upload(client: httpx.Client, picture: bytes) -> str:
    """Upload a picture and return its id."""
    response = client.post(
        "/api/images?wait=20", content=picture, headers={"Content-Type": "image/png"}
    )
    assert response.status_code in (200, 202), response.text
    return str(response.json()["id"])


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A white picture with a bar."""
    from e2e.test_classify import png

    return png(0)


def test_serving_beyond_this_machine_needs_an_administrator(tmp_path: Path) -> None:
    """Without one, `serve --host 0.0.0.0` says what to do and does not start; a password in the
    settings makes one.
    """
    done = legibly(tmp_path, "serve", "--host", "0.0.0.0", "--port", str(services.free_port()))
    assert done.returncode == 1
    assert "legibly users add" in done.stderr
    port = services.free_port()
    environ = {**os.environ, "LEGIBLY_ADMIN_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "legibly", "serve", "--host", "0.0.0.0", "--port", str(port)]
    with services.running(command, log=tmp_path / "log", env=environ, cwd=tmp_path):
        services.wait_for(
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"), subject="serve"
        )
        assert httpx.get(f"http://127.0.0.1:{port}/api/images").status_code == 401
    assert "admin\tadmin" in legibly(tmp_path, "users", "list").stdout


def test_who_has_a_gate_elsewhere_has_to_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switched off, accounts keep `serve` on this machine; `elsewhere` opens it, with a warning."""
    port = services.free_port()
    beyond = ["serve", "--host", "0.0.0.0", "--port", str(port)]
    monkeypatch.setenv("LEGIBLY_ACCOUNTS", "off")
    refused = legibly(tmp_path, *beyond)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "LEGIBLY_ACCOUNTS=elsewhere" in refused.stderr
    environ = {**os.environ, "LEGIBLY_ACCOUNTS": "elsewhere"}
    log = tmp_path / "log"
    with services.running(
        [sys.executable, "-m", "legibly", *beyond], log=log, env=environ, cwd=tmp_path
    ):
        services.wait_for(
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"), subject="serve"
        )
        assert (
            httpx.get(
                f"http://127.0.0.1:{port}/api/images", headers={"Host": "any.example"}
            ).status_code
            == 200
        )
    assert "Warning: sign-in is off" in log.read_text(encoding="utf-8")


def test_nobody_comes_in_unnamed(guarded: Server) -> None:
    """Pages lead to the sign-in page and back; the API says 401; only health, static files and
    signing in are open.
    """
    with httpx.Client(base_url=guarded.url) as client:
        page = client.get("/history?wrong=true", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/login?next=%2Fhistory%3Fwrong%3Dtrue",
        )
        paths = [
            "/api/images",
            "/api/accuracy",
            "/api/live",
            "/metrics",
            "/openapi.json",
            "/history/download.zip",
        ]
        assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 401)
        assert (
            client.post(
                "/api/images", content=b"x", headers={"Content-Type": "image/png"}
            ).status_code
            == 401
        )
        assert {client.get(path).status_code for path in ("/healthz", "/login")} == {200}


def test_writers_see_their_own_images_only(guarded: Server, picture: bytes) -> None:
    """Another writer gets 404 for an image at every address of it, and it stands in none of their
    lists.
    """
    with (
        signed_in(guarded, "ben") as ben,
        signed_in(guarded, "cleo") as cleo,
        signed_in(guarded, "rita") as rita,
    ):
        mine = upload(ben, picture)
        assert ben.get(f"/api/images/{mine}").status_code == 200
        tails = ["", "/original", "/items/0/input.png", "/items/0/explanation.png"]
        paths = [f"/api/images/{mine}{tail}" for tail in tails]
        paths += [f"/images/{mine}", f"/images/{mine}/picture", f"/images/{mine}/items/0/picture"]
        assert {cleo.get(path).status_code for path in paths} == {404}
        assert cleo.put(f"/api/images/{mine}/label", json={"text": "7"}).status_code == 404
        assert cleo.delete(f"/api/images/{mine}").status_code == 404
        assert mine not in cleo.get("/api/images").text
        assert mine not in cleo.post("/history/download.json", data={"ids": mine}).text
        cleo.post("/history/delete", data={"ids": mine})
        assert ben.get(f"/api/images/{mine}").status_code == 200
        assert ben.put(f"/api/images/{mine}/label", json={"text": "1"}).status_code == 200
        assert cleo.get("/api/accuracy").json()["pairs"] == 0
        assert ben.get("/api/accuracy").json()["pairs"] == 1
        assert rita.get(f"/api/images/{mine}").status_code == 200
        for path in ("/api/review", "/metrics"):
            assert (ben.get(path).status_code, rita.get(path).status_code) == (403, 200)
        _check_forms(ben, cleo, rita)


def _check_forms(ben: httpx.Client, cleo: httpx.Client, rita: httpx.Client) -> None:
    """A form is everybody's, a scan's values are of their sender and of reviewers."""
    empty = {"file": ("empty.png", pictures.encoded(sheet()))}
    form = ben.post("/api/forms", files=empty).json()
    assert ben.put("/api/forms/meters", json=form).status_code == 201
    read = cleo.post("/api/forms/meters/read", files={"file": ("a.png", scan())}).json()
    assert read["pages"][0]["fields"]["field_2"]["text"] == "7"
    pages = [each.get("/api/forms/meters/values").json()["pages"] for each in (ben, cleo, rita)]
    assert list(map(len, pages)) == [0, 1, 1]
    assert ben.delete("/api/forms/meters").status_code == 403
    assert rita.delete("/api/forms/meters").status_code == 204


def test_only_administrators_look_after_people(guarded: Server) -> None:
    """Others get 403; an administrator makes an account whose first password is shown once and
    works.
    """
    with signed_in(guarded, "rita") as rita, signed_in(guarded, "ada") as ada:
        assert rita.get("/people").status_code == 403
        assert rita.post("/people", data={"name": "eve", "role": "admin"}).status_code == 403
        shown = ada.post("/people", data={"name": "<b>dora</b>", "role": "writer"}).text
        secret = re.search(r'id="secret">([^<]+)<', shown)
        assert secret is not None
        assert "<b>dora" not in shown
        with httpx.Client(base_url=guarded.url) as dora:
            done = dora.post(
                "/login",
                data={"name": "<B>Dora</b>", "password": secret[1], "next": "//evil.example"},
            )
            assert (done.status_code, done.headers["location"]) == (303, "/")
            assert dora.get("/history").status_code == 200
        assert (
            ada.post("/people", data={"name": "<b>DORA</b>", "role": "writer"}).status_code == 400
        )
        people = ada.get("/people").text
        assert "account made" in people
        choices = re.findall(r'<select name="what" required.*?</select>', people, re.DOTALL)
        assert all('<option value="">' in choice for choice in choices), "none is preset"
        assert all(choice.count(">make ") == 2 for choice in choices), "but the present role"


def test_a_mistyped_password_is_typed_again(guarded: Server) -> None:
    """After a refusal the name is still there, and the password has the focus."""
    with httpx.Client(base_url=guarded.url) as client:
        refused = client.post("/login", data={"name": "ada", "password": "wrong"}).text
        first = client.get("/login").text
    assert re.search(r'<input[^>]*name="name"[^>]*value="ada"', refused)
    assert re.findall(r'<input[^>]*name="(\w+)"[^>]*autofocus', refused) == ["password"]
    assert re.findall(r'<input[^>]*name="(\w+)"[^>]*autofocus', first) == ["name"]


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_other_sites_cannot_act_for_somebody(
    guarded: Server, picture: bytes, header: dict[str, str]
) -> None:
    """A form or a script of another site is refused although the browser sends the cookie along."""
    with signed_in(guarded, "ben") as ben:
        kind = {"Content-Type": "image/png"}
        assert (
            ben.post("/api/images", content=picture, headers={**kind, **header}).status_code == 403
        )
        assert ben.post("/logout", headers=header).status_code == 403
        assert ben.get("/history").status_code == 200


def test_forms_of_other_sites_are_refused_at_every_address(guarded: Server) -> None:
    """No route that changes something listens to another site, whoever's cookie comes along."""
    addresses = [
        (method, re.sub(r"\{\w+\}", object_keys.new_id(records.now()), route.path))
        for route in [
            *routes.router(rendering.Pages()).routes,
            *images.router.routes,
            *s3_webhook.router.routes,
        ]
        if isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"GET", "HEAD", "OPTIONS"}
    ]
    assert len(addresses) > 10
    with signed_in(guarded, "ada") as ada:
        for method, address in addresses:
            done = ada.request(method, address, headers={"Origin": "https://evil.example"})
            assert (address, done.status_code) == (address, 403)
        assert ada.get("/people").text.count('scope="row"') >= 4


def test_sessions_end_by_themselves(guarded: Server) -> None:
    """A cookie whose time is over brings nobody in, nor one of an account that is gone, or sealed
    for other ends.
    """
    book = accounts.Accounts(open_store(f"file://{guarded.objects}", environ={}))
    book.refresh()
    key = book.signing_key()
    ben = book.find_by_name("ben")
    good = sessions.Session.of(ben, hours=1)
    cookies = {
        "right": (good.seal(key), 200),
        "over": (replace(good, until=int(time.time()) - 1).seal(key), 401),
        "of nobody": (replace(good, account=object_keys.new_id(records.now())).seal(key), 401),
        "of an older password": (replace(good, epoch=ben.epoch - 1).seal(key), 401),
        "by another key": (good.seal(bytes(32)), 401),
        "sealed as something else": (
            sessions.seal("way", [good.id, ben.id, ben.epoch, good.until], key),
            401,
        ),
        "of a pupil of no class": (sessions.Session.for_pupil("pupil:a:b", hours=1).seal(key), 401),
    }
    for name, (value, status) in cookies.items():
        answer = httpx.get(
            f"{guarded.url}/api/images", headers={"Cookie": f"legibly-session={value}"}
        )
        assert (name, answer.status_code) == (name, status)
    over = {"Cookie": f"legibly-session={cookies['over'][0]}", "Accept": "text/html"}
    assert (
        httpx.get(f"{guarded.url}/history", headers=over).headers["location"].startswith("/login")
    )


def test_ids_of_others_open_nothing(guarded: Server) -> None:
    """Another's token cannot be revoked, nor another account changed, by whoever knows or makes up
    its id.
    """
    with (
        signed_in(guarded, "ben") as ben,
        signed_in(guarded, "cleo") as cleo,
        signed_in(guarded, "rita") as rita,
    ):
        ben.post("/account/tokens", data={"name": "mine", "scopes": ["read"], "days": "1"})
        token = re.search(r"/account/tokens/([^/]+)/revoke", ben.get("/account").text)
        assert token is not None
        cleo.post(f"/account/tokens/{token[1]}/revoke")
        assert token[1] in ben.get("/account").text
        mine = ben.get("/account/data.json").json()["account"]["id"]
        for other in (cleo, rita):
            for subject in ("admin", "erase", "password", "disable"):
                assert other.post(f"/people/{mine}", data={"what": subject}).status_code == 403
        with signed_in(guarded, "ada") as ada:
            for invented in (object_keys.new_id(records.now()), "..%2f..%2fsecret"):
                assert ada.post(f"/people/{invented}", data={"what": "erase"}).status_code == 404
        assert ben.get("/account").status_code == 200


def test_names_of_files_and_people_are_text_wherever_they_stand(
    guarded: Server, picture: bytes
) -> None:
    """HTML in a file's name, a writer's and an account's is shown as it was typed, on pages and in
    downloads.
    """
    evil = "<img src=x onerror=alert(1)>.png"
    with signed_in(guarded, "ben") as ben, signed_in(guarded, "ada") as ada:
        form = {"file": (evil, picture, "image/png")}
        sent = ben.post(
            "/api/images?wait=20", files=form, data={"writer": "<script>alert(2)</script>"}
        )
        assert sent.json()["name"] == evil
        image = sent.json()["id"]
        ada.post("/people", data={"name": "<u>eve</u>", "role": "writer"})
        for browser, path in (
            (ben, f"/images/{image}"),
            (ben, "/history"),
            (ben, "/handwriting"),
            (ada, "/people"),
        ):
            text = browser.get(path).text
            assert not [
                markup for markup in ("<img src=x", "<script>alert", "<u>eve") if markup in text
            ]
        assert "&lt;img src=x" in ben.get(f"/images/{image}").text
        downloads = {path: ben.get(f"/history/download.{path}") for path in ("csv", "json")}
        assert not [
            path for path, answer in downloads.items() if "html" in answer.headers["content-type"]
        ]
        assert all(
            answer.headers["content-disposition"].startswith("attachment")
            for answer in downloads.values()
        )


def test_cookies_cannot_be_forged_copied_after_signing_out_or_used_after_a_new_password(
    guarded: Server,
) -> None:
    """The cookie is signed, not to be read by scripts, and ends with the session, on the server
    too.
    """
    with signed_in(guarded, "cleo") as cleo:
        name, value = next(iter(cleo.cookies.items()))
        with httpx.Client(base_url=guarded.url) as thief:
            body, _, signature = value.partition(".")
            for forged in (body, f"{body}.", f"{body}x.{signature}", f".{signature}", "é", "a.b.c"):
                header = {"Cookie": f"{name}={forged}".encode()}
                assert thief.get("/api/images", headers=header).status_code == 401  # type: ignore[arg-type]
            header = {"Cookie": f"{name}={value}".encode()}
            assert thief.get("/api/images", headers=header).status_code == 200  # type: ignore[arg-type]
            assert cleo.post("/logout").status_code == 303
            assert thief.get("/api/images", headers=header).status_code == 401  # type: ignore[arg-type]
    with signed_in(guarded, "cleo") as entry, signed_in(guarded, "cleo") as other:
        changed = entry.post("/account/password", data={"old": PASSWORD, "new": PASSWORD + " more"})
        assert changed.status_code == 200
        cookie = changed.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert entry.get("/api/images").status_code == 200
        assert other.get("/api/images").status_code == 401
        entry.post("/account/password", data={"old": PASSWORD + " more", "new": PASSWORD})


def test_tokens_allow_their_scopes_until_they_are_revoked(guarded: Server, picture: bytes) -> None:
    """A token's secret is shown once; it does what its scopes say, never touches accounts, and ends
    when revoked.
    """
    with signed_in(guarded, "ben") as ben:
        shown = ben.post(
            "/account/tokens", data={"name": "script", "scopes": ["read"], "days": "1"}
        ).text
        secret = re.search(r'id="secret">([^<]+)<', shown)
        assert secret is not None
        assert secret[1] not in ben.get("/account").text
        with httpx.Client(
            base_url=guarded.url, headers={"Authorization": f"Bearer {secret[1]}"}
        ) as script:
            assert script.get("/api/images").status_code == 200
            kind = {"Content-Type": "image/png"}
            assert script.post("/api/images", content=picture, headers=kind).status_code == 403
            assert script.get("/account").status_code == 403
            assert script.post("/account/erase", data={"password": PASSWORD}).status_code == 403
            revoke = re.search(r"/account/tokens/([^/]+)/revoke", ben.get("/account").text)
            assert revoke is not None
            ben.post(f"/account/tokens/{revoke[1]}/revoke")
            assert script.get("/api/images").status_code == 401


def test_a_thousand_sign_ins_a_minute_are_no_guesses(guarded: Server) -> None:
    """After a few tries 429 says when to come back, for the right password too; who is in works on
    meanwhile.
    """
    with (
        signed_in(guarded, "rita") as rita,
        httpx.Client(base_url=guarded.url, timeout=30) as guesser,
    ):
        answers = [
            guesser.post("/login", data={"name": "nobody", "password": f"x{n}"})
            for n in range(1000)
        ]
        counts = Counter(answer.status_code for answer in answers)
        assert set(counts) == {401, 429}
        assert counts[401] <= 10
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (
            guesser.post("/login", data={"name": "nobody", "password": PASSWORD}).status_code == 429
        )
        assert rita.get("/history").status_code == 200


def test_leaving_deletes_everything_of_a_person(guarded: Server, picture: bytes) -> None:
    """Account, pictures and records go from store and index; others' stay; nothing of the name is
    left.
    """
    done = legibly(
        guarded.folder, "users", "add", "zoe", "--password-stdin", password=PASSWORD + "\n"
    )
    assert done.returncode == 0
    services.wait_for(
        lambda: "zoe" in legibly(guarded.folder, "users", "list").stdout, subject="the account"
    )
    time.sleep(2.1)  # the server reads the store every two seconds
    with signed_in(guarded, "zoe") as zoe, signed_in(guarded, "ben") as ben:
        others = upload(ben, picture)
        mine = upload(zoe, picture)
        zoe.put(f"/api/images/{mine}/label", json={"text": "1"})
        data = zoe.get("/account/data.json").json()
        assert [image["id"] for image in data["images"]] == [mine]
        assert zoe.post("/account/erase", data={"password": "wrong"}).status_code == 403
        assert zoe.post("/account/erase", data={"password": PASSWORD}).status_code == 200
        assert zoe.get("/api/images").status_code == 401
        assert ben.get(f"/api/images/{others}").status_code == 200
    left = [
        path
        for path in guarded.objects.rglob("*")
        if path.is_file() and "deletions" not in str(path)
    ]
    assert not [path for path in left if mine in path.name or (b"zoe" in path.read_bytes())]


def test_the_command_line_looks_after_people_and_tokens(tmp_path: Path) -> None:
    """Every verb of `users` and `tokens`; mistakes are one line."""
    assert "Password of ada: " in legibly(tmp_path, "users", "add", "ada", "--role", "admin").stdout
    assert "taken" in legibly(tmp_path, "users", "add", "ADA").stderr
    short = legibly(tmp_path, "users", "add", "ben", "--password-stdin", password="short\n")
    assert (short.returncode, short.stderr.count("\n")) == (1, 1)
    legibly(tmp_path, "users", "add", "ben")
    legibly(tmp_path, "users", "role", "ben", "reviewer")
    legibly(tmp_path, "users", "disable", "ben")
    assert legibly(tmp_path, "users", "list").stdout == "ada\tadmin\nben\treviewer, disabled\n"
    secret = legibly(tmp_path, "tokens", "add", "ada", "--scope", "read").stdout
    assert secret.startswith("lgb_")
    listed = legibly(tmp_path, "tokens", "list", "ada").stdout
    assert secret.strip() not in listed
    assert not [
        path
        for path in tmp_path.rglob("*.json")
        if secret.strip() in path.read_text(encoding="utf-8")
    ]
    legibly(tmp_path, "tokens", "revoke", "ada", listed.partition("\t")[0])
    assert legibly(tmp_path, "tokens", "list", "ada").stdout == ""
    legibly(tmp_path, "users", "remove", "ben", "--yes")
    assert legibly(tmp_path, "users", "list").stdout == "ada\tadmin\n"
    assert "no such account" in legibly(tmp_path, "users", "remove", "ben", "--yes").stderr
    book = accounts.Accounts(open_store(f"file://{tmp_path}/legibly-data/objects", environ={}))
    done = [
        "account made",
        "account made",
        "account: reviewer",
        "account: disable",
        "token made",
        "token revoked",
    ]
    assert [line["what"] for line in reversed(book.audit_log.newest(limit=99))] == [
        *done,
        "account erased",
    ]


def test_only_known_host_names_are_answered_on_a_machine_of_ones_own(tmp_path: Path) -> None:
    """A name that somebody pointed at 127.0.0.1 opens nothing (DNS rebinding); LEGIBLY_HOSTS adds
    names.
    """
    server = Server(tmp_path, services.free_port(), environ={"LEGIBLY_HOSTS": "legibly.example"})
    server.start()
    try:
        with httpx.Client(base_url=server.url) as client:
            answers = {
                host: client.get("/api/images", headers={"Host": host}).status_code
                for host in (
                    "evil.example",
                    "localhost:1234",
                    "[::1]:80",
                    "legibly.example",
                    "LEGIBLY.example:443",
                    "",
                )
            }
        expected = {
            "evil.example": 403,
            "localhost:1234": 200,
            "[::1]:80": 200,
            "legibly.example": 200,
        }
        assert answers == {**expected, "LEGIBLY.example:443": 200, "": 403}
    finally:
        server.stop()


def test_deleting_what_others_own_leaves_an_audit_line(guarded: Server) -> None:
    """An administrator's deletion of a writer's image is in the audit log, their own is not."""
    with signed_in(guarded, "ben") as ben, signed_in(guarded, "ada") as ada:
        image = upload(ben, pictures.png())
        own = upload(ada, pictures.png())
        for image_id in (image, own):
            assert ada.delete(f"/api/images/{image_id}").status_code == 204
    book = accounts.Accounts(open_store(f"file://{guarded.objects}", environ={}))
    lines = [line for line in book.audit_log.newest(limit=99) if line["what"] == "image deleted"]
    assert image in {line["on"] for line in lines}
    assert own not in {line["on"] for line in lines}
