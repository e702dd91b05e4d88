"""The queue of many pictures in a real browser: reloads, crashes, torn lines, ended sessions, two
tabs.
"""

import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from e2e.conftest import Server, call, context_of, serving
from e2e.test_classify import png
from e2e.writing import answers, write
from server import Server as Process

pytestmark = pytest.mark.service("chromium")
PASSWORD = "four unrelated words"


def files(count: int) -> list[Any]:
    """Pictures of a 1, each of another shade or size."""
    return [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": png(n % 100, side=60 + n % 50)}
        for n in range(count)
    ]


def sign_in(page: Page, url: str, name: str) -> None:
    """Sign in, and be on the classify page."""
    page.goto(f"{url}/login?next=/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#pad")).to_be_visible()


def test_two_hundred_files_are_sent_and_read(server: Server, desktop: Page) -> None:
    """Many files go in a queue with progress; all are read, bad ones are named, and a reload shows
    them.
    """
    desktop.goto(server.url)
    bad = {"name": "<b>not a picture</b>.png", "mimeType": "image/png", "buffer": b"hello"}
    desktop.locator("#files").set_input_files([*files(199), bad])
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 199 of 200 sent, 199 read", timeout=60_000
    )
    expect(desktop.locator("#queue li")).to_contain_text("<b>not a picture</b>.png")
    desktop.reload()
    expect(desktop.locator("#recent li")).to_have_count(24)
    assert len(call(server, "/api/images?limit=500")["images"]) == 199


def test_a_queue_survives_a_reload_and_a_restart_of_the_server(
    browser: Browser, tmp_path: Path
) -> None:
    """Files chosen while the server is away are sent after a reload, once it is back; none is
    lost.
    """
    context = context_of(browser)
    page = context.new_page()
    with serving(tmp_path) as first:
        page.goto(first.url)
        expect(page.locator("#recent-empty")).to_be_visible()
        port = int(first.url.rpartition(":")[2])
    page.locator("#files").set_input_files(files(12))
    expect(page.locator("#queue p")).to_have_text("0 of 12 sent, 0 read")
    with serving(tmp_path, port=port) as second:
        page.reload()
        expect(page.locator("#queue p")).to_contain_text(
            "All done", timeout=30_000
        )  # of those that were left
        names = {image["name"] for image in call(second, "/api/images")["images"]}
        assert names == {f"{n}.png" for n in range(12)}
        context.close()


def test_a_crash_while_two_hundred_files_upload_loses_and_doubles_none(
    browser: Browser, tmp_path: Path
) -> None:
    """The server is killed in the midst of it: the page says so, and with the next one each is
    there once.
    """
    context = context_of(browser)
    page = context.new_page()
    with Process.started(tmp_path) as crashing:
        server = Server(crashing.url, tmp_path)
        page.goto(server.url)
        page.locator("#files").set_input_files(files(200))
        expect(page.locator("#queue p")).to_have_text(
            re.compile(r"^([4-9]\d|1\d\d) of 200 sent"), timeout=30_000
        )
        crashing.stop(signal.SIGKILL)
        expect(page.locator("#queue .away")).to_contain_text("Nothing is lost")
        crashing.start()
        expect(page.locator("#queue p")).to_have_text(
            "All done: 200 of 200 sent, 200 read", timeout=90_000
        )
        expect(page.locator("#queue .away")).to_be_hidden()
        names = [image["name"] for image in call(server, "/api/images?limit=500")["images"]]
        assert sorted(names) == sorted(f"{n}.png" for n in range(200))
        context.close()


def test_a_lost_acknowledgement_doubles_nothing(server: Server, browser: Browser) -> None:
    """What came without the browser hearing of it is sent again, by this page or the next, and is
    one picture.
    """
    torn: list[str] = []
    context = context_of(browser)
    page = context.new_page()

    def tear(route: Route) -> None:
        if route.request.method != "POST" or len(torn) >= 6:
            return route.continue_()
        torn.append(route.fetch().json()["id"])
        return route.abort("connectionreset")

    page.route("**/api/images*", tear)
    page.goto(server.url)
    page.locator("#automatic").uncheck()
    page.locator("#files").set_input_files(files(8))
    page.wait_for_timeout(300)
    page.reload()
    expect(page.locator("#queue p")).to_contain_text("All done", timeout=30_000)
    write(page, "7")
    page.keyboard.press("Enter")
    answers(page, "7")
    images = call(server, "/api/images")["images"]
    assert len(torn) >= 6
    assert sorted(image["name"] for image in images) == [
        *(f"{n}.png" for n in range(8)),
        "drawing.png",
    ]
    assert {image["id"] for image in images} >= set(torn)
    context.close()


def test_a_session_that_ended_keeps_the_pictures(browser: Browser, tmp_path: Path) -> None:
    """Whoever has to sign in again finds them sent after that; somebody else at this browser does
    not send them.
    """
    for name in ("ada", "ben"):
        command = [sys.executable, "-m", "legibly", "users", "add", name, "--password-stdin"]
        subprocess.run(command, cwd=tmp_path, input=f"{PASSWORD}\n", text=True, check=True)
    context = context_of(browser)
    page = context.new_page()
    with Process.started(
        tmp_path, LEGIBLY_ACCOUNTS="on", LEGIBLY_ADMIN_PASSWORD=PASSWORD
    ) as server:
        sign_in(page, server.url, "ada")
        expect(page.locator("#recent-empty")).to_be_visible()  # all that the page asks for is there
        context.clear_cookies()
        page.locator("#files").set_input_files(files(5))
        page.wait_for_url("**/login?*")
        sign_in(page, server.url, "ben")
        expect(page.locator("#recent-empty")).to_be_visible()
        expect(page.locator("#queue")).to_be_hidden()
        context.clear_cookies()
        sign_in(page, server.url, "ada")
        expect(page.locator("#queue p")).to_have_text(
            "All done: 5 of 5 sent, 5 read", timeout=30_000
        )
    context.close()


def test_of_two_tabs_one_sends(server: Server, browser: Browser) -> None:
    """What an open tab queued, no other sends; when it is closed in the midst of it, the other goes
    on by itself. A page never says "All done" of files that it has not looked for yet.
    """
    context = context_of(browser)
    entry = context.new_page()
    other = context.new_page()
    entry.route(
        "**/api/images",
        lambda route: route.abort() if route.request.method == "POST" else route.continue_(),
    )
    entry.goto(server.url)
    entry.locator("#files").set_input_files(files(6))
    expect(entry.locator("#queue p")).to_have_text("0 of 6 sent, 0 read")
    other.goto(server.url)
    expect(other.locator("#recent-empty")).to_be_visible()
    expect(other.locator("#queue")).to_be_hidden()
    expect(other.locator("#queue p")).to_have_text("")
    entry.close()
    expect(other.locator("#queue p")).to_have_text("All done: 6 of 6 sent, 6 read", timeout=30_000)
    assert len(call(server, "/api/images")["images"]) == 6
    context.close()


def test_the_pictures_of_a_folder_are_sent(server: Server, desktop: Page, tmp_path: Path) -> None:
    """Those in folders within it too; whatever is no picture by name or type is not meant."""
    inner = tmp_path / "scans" / "inner"
    inner.mkdir(parents=True)
    for number in range(3):
        (inner.parent / f"{number}.png").write_bytes(png(number))
    (inner / "deep ü.png").write_bytes(png(9))
    (inner / "notes.txt").write_text("not meant", encoding="utf-8")
    desktop.goto(server.url)
    desktop.locator("#folder").set_input_files(inner.parent)
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 4 of 4 sent, 4 read", timeout=30_000
    )
    names = {image["name"] for image in call(server, "/api/images")["images"]}
    assert names == {"0.png", "1.png", "2.png", "deep ü.png"}


def test_a_slow_line_carries_all(server: Server, desktop: Page) -> None:
    """At 30 kilobytes a second the page tells how far it is, and goes on being of use."""
    noise = random.Random(3).randbytes(40_000)
    big: list[Any] = [{**file, "buffer": file["buffer"] + noise} for file in files(5)]
    desktop.goto(server.url)
    line = {
        "offline": False,
        "latency": 50,
        "downloadThroughput": 200_000,
        "uploadThroughput": 30_000,
    }
    session = desktop.context.new_cdp_session(desktop)
    session.send("Network.emulateNetworkConditions", line)
    desktop.locator("#files").set_input_files(big)
    expect(desktop.locator("#queue p")).to_contain_text("of 5 sent")
    write(desktop, "7")
    answers(desktop, "7")
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 5 of 5 sent, 5 read", timeout=60_000
    )
