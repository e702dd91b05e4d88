"""axe-core's rules over every page, in light and dark, on a phone and a desktop; and the pages at
other widths.
"""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import services
from e2e.conftest import AXE, Server, call, context_of
from e2e.writing import answers, write

pytestmark = pytest.mark.service("chromium")
PATHS = [
    "/",
    "/history",
    "/batches",
    "/accuracy",
    "/models",
    "/handwriting",
    "/handwriting/practice",
    "/review",
    "/forms",
    "/about",
    "/docs",
    "/nowhere",
    "/image",
]


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    if not AXE.is_file():
        services.missing("axe-core", "npm ci")
    return Path(AXE).read_text(encoding="utf-8")


def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds wrong, each with the element."""
    page.add_script_tag(content=axe) if page.evaluate("typeof axe") == "undefined" else None
    matches: Any = page.evaluate(
        """axe.run(document, {
          runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
          rules: { "label-content-name-mismatch": { enabled: true } },
        })"""
    )
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in matches["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_no_page_breaks_a_rule(
    server: Server, browser: Browser, axe: str, size: str, scheme: str
) -> None:
    """WCAG 2.2 AA as far as axe-core can tell, on each page with something in it."""
    context = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(server.url)
    write(page, "7")
    answers(page, "7")
    page.keyboard.press("Enter")
    expect(page.locator("#accuracy-words")).to_be_visible()
    write(page, "0")
    answers(page, "0")
    identity = call(server, "/api/images")["images"][0]["id"]
    matches = [f"with an answer: {fault}" for fault in violations(page, axe)]
    for path in PATHS:
        page.goto(server.url + path.replace("/image", f"/images/{identity}"))
        page.wait_for_load_state("load")
        matches += [f"{path}: {fault}" for fault in violations(page, axe)]
    context.close()
    assert sorted(set(matches)) == []


@pytest.mark.parametrize("width", [320, 360, 3840])
def test_no_page_scrolls_sideways(server: Server, browser: Browser, width: int) -> None:
    """From 320 px, which is also 400 % zoom, to 4 K."""
    context = context_of(browser)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(server.url)
    write(page, "7")
    answers(page, "7")
    wide = []
    for path in ("", *(path for path in PATHS if path not in ("/", "/image"))):
        if path:
            page.goto(server.url + path)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)
    context.close()
    assert wide == []
