"""The real server and a real browser."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import services

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream=device-count=2",
    "--use-fake-ui-for-media-stream",
]
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@dataclass(frozen=True)
class Server:
    """A running `legibly serve` over its own folder."""

    url: str
    folder: Path


@contextlib.contextmanager
def serving(folder: Path, *, port: int | None = None, **environ: str) -> Iterator[Server]:
    """`legibly serve` over `folder` until the block ends."""
    port = port or services.free_port()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LEGIBLY_", "AWS_"))
    }
    env |= {
        "LEGIBLY_STORE": f"file://{folder}/objects",
        "LEGIBLY_DATABASE": f"sqlite:///{folder}/index.db",
        **environ,
    }
    root = Path(__file__).parents[2]
    env["PYTHONPATH"] = str(root / "src")
    command = [sys.executable, "-m", "legibly", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with services.running(command, log=folder / "serve.log", env=env, cwd=folder):
        services.wait_for(
            lambda: urllib.request.urlopen(f"{url}/readyz", timeout=5),
            subject="legibly serve",
            seconds=90,
        )
        yield Server(url, folder)


def add_person(folder: Path, name: str, *, role: str, password: str) -> None:
    """An account in the store that `serving` serves from `folder`."""
    command = [sys.executable, "-m", "legibly", "users", "--store", f"file://{folder}/objects"]
    add = [*command, "add", name, "--role", role, "--password-stdin"]
    subprocess.run(add, input=password, text=True, check=True, timeout=60, cwd=folder)


@pytest.fixture(scope="session")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the session: starting one takes seconds."""
    with serving(tmp_path_factory.mktemp("served")) as started:
        yield started


@pytest.fixture
def server(lasting_server: Server) -> Server:
    """A server with no pictures in it."""
    while images := call(lasting_server, "/api/images?limit=500")["images"]:
        for image in images:
            call(lasting_server, f"/api/images/{image['id']}", method="DELETE")
    return lasting_server


def call(server: Server, path: str, *, method: str = "GET") -> Any:
    """What the API says; None where it says nothing."""
    with urllib.request.urlopen(
        urllib.request.Request(server.url + path, method=method), timeout=30
    ) as response:
        body = response.read()
    return json.loads(body) if body else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = services.chromium()
    expect.set_options(timeout=20_000)  # a machine that runs other tests beside takes its time
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Faults(list[str]):
    """What a page complained of in its console."""

    def watch(self, page: Page) -> None:
        """Note every error of a page; that a file is no picture (415) is none of the page's."""
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on(
            "console",
            lambda message: self.append(message.text) if message.type == "error" else None,
        )

    @property
    def serious(self) -> list[str]:
        """All but those."""
        return [text for text in self if "415" not in text]


def context_of(
    browser: Browser, *, size: str = "desktop", scheme: str = "light", **options: object
) -> BrowserContext:
    """A fresh context: no cookies, no storage."""
    width, height = SIZES[size]
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        has_touch=size == "phone",
        accept_downloads=True,
        locale="en-GB",
        **options,  # type: ignore[arg-type]
    )


def _close(context: BrowserContext, faults: Faults) -> None:
    """End a context whose pages must not have complained."""
    complaints = faults.serious
    # A page that is left sends what is on its sheet: the next test would find that picture.
    context.set_offline(True)
    context.close()
    assert complaints == []


@pytest.fixture(params=["phone-light", "desktop-dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page at phone size in light and one at desktop size in dark; errors in its console fail the
    test.
    """
    size, scheme = request.param.split("-")
    context = context_of(browser, size=size, scheme=scheme)
    faults = Faults()
    opened = context.new_page()
    faults.watch(opened)
    yield opened
    _close(context, faults)


@pytest.fixture
def desktop(browser: Browser) -> Iterator[Page]:
    """A page at desktop size in light; errors in its console fail the test."""
    context = context_of(browser)
    faults = Faults()
    opened = context.new_page()
    faults.watch(opened)
    yield opened
    _close(context, faults)
