"""Signing in, one's account and the people page in a real browser; axe-core's rules over them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.conftest import AXE, Server, context_of, serving
from e2e.test_accessibility import violations
from e2e.writing import answers, write

pytestmark = pytest.mark.service("chromium")
PASSWORD = "four unrelated words"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts, that ada looks after."""
    folder = tmp_path_factory.mktemp("guarded")
    command = [sys.executable, "-m", "legibly", "users", "--store", f"file://{folder}/objects"]
    add = [*command, "add", "ada", "--role", "admin", "--password-stdin"]
    subprocess.run(add, input=PASSWORD, text=True, check=True, timeout=60, cwd=folder)
    with serving(folder, LEGIBLY_ACCOUNTS="on") as server:
        yield server


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_signing_in_working_and_leaving(guarded: Server, browser: Browser, size: str, scheme: str) -> None:
    """The sign-in page says what was wrong, leads back, and every flow of an account works by its buttons."""
    context = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    page, faults = context.new_page(), []
    axe = Path(AXE).read_text(encoding="utf-8") if AXE.is_file() else None
    page.goto(f"{guarded.url}/accuracy")
    expect(page).to_have_url(f"{guarded.url}/login?next=%2Faccuracy")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit together")
    faults += violations(page, axe) if axe else []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{guarded.url}/accuracy")
    page.goto(guarded.url)
    write(page, "7")
    answers(page, "7")
    page.get_by_role("link", name="ada").click()
    page.get_by_label("Name").fill("my script")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#secret")).to_contain_text("lgb_")
    faults += violations(page, axe) if axe else []
    page.get_by_role("link", name="People").click()
    page.get_by_label("Name", exact=True).fill(f"ben of {size}")
    page.get_by_role("button", name="Add").click()
    first = page.locator("#secret").inner_text()
    faults += violations(page, axe) if axe else []
    page.goto(f"{guarded.url}/account")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Name").fill(f"ben of {size}")
    page.get_by_label("Password").fill(first)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#recent-empty")).to_be_visible()
    expect(page.get_by_role("link", name="Review")).to_have_count(0)
    page.goto(f"{guarded.url}/account")
    page.get_by_label("Password", exact=True).fill(first)
    page.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_role("heading")).to_have_text("Everything of yours is deleted")
    context.close()
    assert faults == []
