"""Signing in at a real OpenID provider: who comes in, as whom, and what is said when something is
wrong on the way.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import services
from server import Server
from web.test_accounts import PASSWORD, legibly, signed_in

pytestmark = pytest.mark.service("oidc-provider")
CODE_SECONDS = 2
TOO_OLD = "This sign-in attempt has expired, was already used, or was started in another browser."
OUT_OF_REACH = "The sign-in service is not responding."
NOT_TRUSTED = "could not be verified, so you were not signed in."


def environ_of(issuer: str) -> dict[str, str]:
    """The settings of a server whose people come from school.example."""
    return {
        "LEGIBLY_ACCOUNTS": "on",
        "LEGIBLY_ADMIN_PASSWORD": PASSWORD,
        "LEGIBLY_OIDC_ISSUER": issuer,
        "LEGIBLY_OIDC_CLIENT_ID": "legibly",
        "LEGIBLY_OIDC_CLIENT_SECRET": "a secret of tests & more",
        "LEGIBLY_OIDC_DOMAINS": "school.example",
        "LEGIBLY_OIDC_NAME": "School",
    }


@pytest.fixture(scope="module")
def school(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Callable[[], None], Callable[[], None]]]:
    """A server, and what starts and stops the provider that it asks."""
    folder = tmp_path_factory.mktemp("school")
    port = services.free_port()
    server = Server(folder, services.free_port(), environ=environ_of(f"http://127.0.0.1:{port}"))
    with contextlib.ExitStack() as running:

        def start() -> None:
            provider = services.openid(
                folder, port=port, legibly=server.url, code_seconds=CODE_SECONDS
            )
            running.enter_context(provider)

        start()
        server.start()
        yield server, start, running.close
        server.stop()


@pytest.fixture
def server(school: tuple[Server, Callable[[], None], Callable[[], None]]) -> Server:
    """The server alone."""
    return school[0]


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """A browser that follows nothing by itself."""
    with httpx.Client(base_url=server.url, timeout=30, headers={"Accept": "text/html"}) as client:
        yield client


def entrance(browser: httpx.Client, next_path: str = "/history?wrong=true") -> str:
    """Where the button of the sign-in page leads."""
    response = browser.get("/login/oidc", params={"next": next_path})
    assert response.status_code == 303, response.text
    return response.headers["location"]


def way_back(browser: httpx.Client, address: str, person: str) -> str:
    """Sign in at the provider; gives the address that it sends the browser back to."""
    response = browser.get(address)
    while True:
        if response.next_request is not None:
            if response.next_request.url.path == "/login/oidc/back":
                return str(response.next_request.url)
            response = browser.get(response.next_request.url)
            continue
        action, prompt = (
            re.search(subject, response.text)
            for subject in (r'action="([^"]+)"', r'name="prompt" value="(\w+)"')
        )
        assert action is not None, response.text
        assert prompt is not None
        response = browser.post(
            action[1], data={"prompt": prompt[1], "login": person, "password": "any"}
        )


def come_in(browser: httpx.Client, person: str) -> httpx.Response:
    """All of it."""
    return browser.get(way_back(browser, entrance(browser), person))


def message(response: httpx.Response) -> str:
    """What the sign-in page says was wrong."""
    matches = re.search(r'role="alert">([^<]+)<', response.text)
    assert matches is not None, response.text
    assert "Sign in with School" in response.text
    return matches[1].replace("&#39;", "'")


def test_somebody_comes_in_as_the_writer_that_they_are(
    server: Server, browser: httpx.Client
) -> None:
    """A first sign-in makes a writer with the provider's name, later ones find it again, and it
    stands in the trail.
    """
    request = parse_qs(urlsplit(entrance(browser)).query)
    assert request["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(request)
    browser.cookies.clear()
    done = come_in(browser, "ben")
    assert (done.status_code, done.headers["location"]) == (303, "/history?wrong=true")
    assert "legibly-way" not in "".join(browser.cookies)
    account = browser.get("/account").text
    assert "<h1>ben of school</h1>" in account
    assert "Writer" in account
    assert "Old password" not in account
    with httpx.Client(base_url=server.url, timeout=30) as again:
        come_in(again, "ben")
        assert "<h1>ben of school</h1>" in again.get("/account").text
    with signed_in(server, "admin") as admin:
        people = admin.get("/people").text
        assert (
            people.count('scope="row">ben of school<br><span class="quiet small">http://127.0.0.1')
            == 1
        )
        assert "account made" in people


def test_signing_out_ends_the_session_and_offers_the_provider(
    server: Server, browser: httpx.Client
) -> None:
    """The sign-in page then says that one is still known there, and leads to where that ends."""
    come_in(browser, "cleo")
    out = browser.post("/logout")
    assert out.headers["location"] == "/login?left=oidc"
    page = browser.get("/login?left=oidc").text
    assert "still signed in at School" in page
    assert browser.get("/api/images", headers={"Accept": "*/*"}).status_code == 401
    there = browser.get("/login/oidc/exit").headers["location"]
    assert urlsplit(there).path == "/session/end"
    assert parse_qs(urlsplit(there).query)["post_logout_redirect_uri"] == [f"{server.url}/login"]
    assert browser.get(there).status_code == 200


def test_strangers_and_disabled_people_stay_outside(server: Server, browser: httpx.Client) -> None:
    """Addresses of other domains, accounts that were disabled, and people whom the provider refuses
    are told so.
    """
    assert "is not allowed to sign in here" in message(refused := come_in(browser, "mallory"))
    assert refused.status_code == 403
    with httpx.Client(base_url=server.url, timeout=30) as zoe:
        come_in(zoe, "zoe")
        with signed_in(server, "admin") as admin:
            row = re.search(
                r">zoe of school<br>.*?action=\"(/people/[^\"]+)\"",
                admin.get("/people").text,
                re.DOTALL,
            )
            assert row is not None
            admin.post(row[1], data={"what": "disable"})
        time.sleep(2.1)  # the server reads the store every two seconds
        assert zoe.get("/api/images").status_code == 401
        assert "disabled" in message(come_in(zoe, "zoe"))
    address = entrance(browser)
    state = parse_qs(urlsplit(address).query)["state"][0]
    denied = browser.get("/login/oidc/back", params={"state": state, "error": "access_denied"})
    assert message(denied) == "The sign-in service refused to sign you in."


def test_answers_that_no_sign_in_here_asked_for_are_refused(
    server: Server, browser: httpx.Client
) -> None:
    """A state of nobody, of another browser or used before, and an answer of another provider,
    bring nobody in.
    """
    back = way_back(browser, entrance(browser), "ben")
    with httpx.Client(base_url=server.url, timeout=30) as victim:
        assert TOO_OLD in message(victim.get(back))
        entrance(victim)
        assert TOO_OLD in message(victim.get(back))
        assert victim.get("/api/images").status_code == 401
    forged = httpx.URL(back).copy_set_param("state", "x" * 43)
    assert TOO_OLD in message(browser.get(forged))
    foreign = httpx.URL(way_back(browser, entrance(browser), "ben")).copy_set_param(
        "iss", "https://evil.example"
    )
    assert NOT_TRUSTED in message(browser.get(foreign))
    assert browser.get(back).status_code == 303
    assert TOO_OLD in message(browser.get(back))


def test_behind_a_proxy_that_speaks_tls_everything_is_secure(browser: httpx.Client) -> None:
    """The way back is https, and its cookie is one that browsers take over TLS from this host
    alone, and forget.
    """
    browser.headers["X-Forwarded-Proto"] = "https"
    out = browser.get("/login/oidc")
    query = parse_qs(urlsplit(out.headers["location"]).query)
    assert query["redirect_uri"][0].startswith("https://")
    back = browser.get(
        "/login/oidc/back", params={"state": query["state"][0], "error": "access_denied"}
    )
    for supplied in (out.headers["set-cookie"], back.headers["set-cookie"]):
        assert supplied.startswith("__Host-legibly-way-")
        assert {"secure", "path=/", "httponly", "samesite=lax"} <= {
            part.strip().lower() for part in supplied.split(";")
        }


def test_a_wrong_nonce_and_a_code_that_expired_bring_nobody_in(browser: httpx.Client) -> None:
    """An ID token of another sign-in is not trusted; a code that waited too long means to begin
    once more.
    """
    other = httpx.URL(entrance(browser)).copy_set_param("nonce", "of-another-sign-in")
    wrong = browser.get(way_back(browser, str(other), "ben"))
    assert (wrong.status_code, NOT_TRUSTED in message(wrong)) == (403, True)
    back = way_back(browser, entrance(browser), "ben")
    time.sleep(CODE_SECONDS + 1)
    late = browser.get(back)
    assert (late.status_code, TOO_OLD in message(late)) == (400, True)
    swapped = httpx.URL(way_back(browser, entrance(browser), "ben")).copy_set_param(
        "code", "made-up"
    )
    assert TOO_OLD in message(browser.get(swapped))
    assert browser.get("/api/images", headers={"Accept": "*/*"}).status_code == 401


def test_a_provider_that_is_away_or_has_new_keys(
    school: tuple[Server, Callable[[], None], Callable[[], None]], browser: httpx.Client
) -> None:
    """Away: a page that says so, before and after the way there, and passwords go on working. New
    keys: all is well.
    """
    server, start, stop = school
    come_in(browser, "ben")
    back = way_back(browser, entrance(browser), "ben")
    stop()
    away = browser.get(back)
    assert (away.status_code, OUT_OF_REACH in message(away)) == (503, True)
    with signed_in(server, "admin") as admin:
        assert admin.get("/history").status_code == 200
    start()
    assert come_in(browser, "ben").status_code == 303
    assert "a secret of tests" not in server.log


def test_a_provider_that_was_never_there(tmp_path: Path) -> None:
    """The server starts all the same, and the first click says that nobody answers."""
    issuer = f"http://127.0.0.1:{services.free_port()}"
    with Server.started(tmp_path, **environ_of(issuer)) as server:
        away = httpx.get(f"{server.url}/login/oidc")
        assert (away.status_code, OUT_OF_REACH in message(away)) == (503, True)


@pytest.mark.parametrize(
    ("name", "value", "claims"),
    [
        ("LEGIBLY_OIDC_ISSUER", "http://login.example", "needs an https:// address"),
        ("LEGIBLY_OIDC_DOMAINS", "", "oidc_domains: who may come in"),
    ],
)
def test_settings_that_would_let_in_anybody_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, claims: str
) -> None:
    """A provider that others on the way could play, and none said who may come in: one line each,
    and no server.
    """
    for variable, required in {**environ_of("https://login.example"), name: value}.items():
        monkeypatch.setenv(variable, required)
    done = legibly(tmp_path, "serve", "--port", str(services.free_port()))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert claims in done.stderr
