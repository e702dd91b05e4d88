"""Class mode in a real browser: a teacher opens a class, pupils join and write; axe-core over every
page.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.conftest import AXE, Faults, Server, add_person, context_of, serving
from e2e.test_accessibility import violations
from e2e.writing import practise

pytestmark = pytest.mark.service("chromium")
PASSWORD = "four unrelated words"
NAME = "3b, a class whose name is long enough to need a second line"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where tess teaches."""
    folder = tmp_path_factory.mktemp("school")
    add_person(folder, "tess", role="reviewer", password=PASSWORD)
    with serving(folder, LEGIBLY_ACCOUNTS="on", LEGIBLY_ADMIN_PASSWORD=PASSWORD) as server:
        yield server


def faults_of(page: Page) -> list[str]:
    """What axe-core finds, and whether the page scrolls sideways."""
    matches = violations(page, Path(AXE).read_text(encoding="utf-8")) if AXE.is_file() else []
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [f"{page.url}: {fault}" for fault in [*matches, *(["scrolls sideways"] if wide else [])]]


def writes(page: Page, count: int) -> None:
    """Practise: write what is asked for, of the digits that this test can write."""
    for done in range(1, count + 1):
        practise(page, count=done)


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
def test_a_class_from_its_opening_to_its_end(
    school: Server, browser: Browser, size: str, scheme: str
) -> None:
    """Every step by its buttons; no page breaks a rule; a nickname with markup is text; deleting
    ends it for all.
    """
    teachers = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    pupils = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    teacher = teachers.new_page()
    pupil = pupils.new_page()
    faults = []
    console = Faults()
    console.watch(teacher)
    console.watch(pupil)
    teacher.goto(f"{school.url}/login?next=/classes")
    teacher.get_by_label("Name").fill("tess")
    teacher.get_by_label("Password").fill(PASSWORD)
    teacher.get_by_role("button", name="Sign in").click()
    expect(teacher.locator("main")).to_contain_text("No classes yet.")
    faults += faults_of(teacher)
    teacher.get_by_label("Name").fill(NAME)
    teacher.get_by_role("button", name="Open").click()
    expect(teacher.locator("main")).to_contain_text("Nobody has joined yet.")
    faults += faults_of(teacher)
    code = teacher.locator("#code").inner_text()

    pupil.goto(f"{school.url}/join")
    pupil.get_by_label("Code").fill("AAAAAA")
    pupil.get_by_label("Nickname").fill("<i>Fux</i> 🦊")
    pupil.get_by_role("button", name="Join").click()
    expect(pupil.get_by_role("alert")).to_contain_text("no open class with this code")
    faults += faults_of(pupil)
    pupil.get_by_label("Code").fill(f" {code.lower()} ")
    pupil.get_by_role("button", name="Join").click()
    expect(pupil.locator("#ask b")).to_be_visible()
    writes(pupil, 4)
    faults += faults_of(pupil)
    pupil.get_by_role("link", name="See the report").click()
    expect(pupil.locator("main")).to_contain_text("Your digits are")
    faults += faults_of(pupil)

    expect(teacher.get_by_role("rowheader", name="<i>Fux</i> 🦊")).to_be_visible()
    faults += faults_of(teacher)
    teacher.get_by_role("link", name="<i>Fux</i> 🦊").click()
    expect(teacher.locator(".lead").first).to_contain_text("The digits of <i>Fux</i> 🦊 are")
    expect(teacher.locator(".shots .shot")).to_have_count(4)
    faults += faults_of(teacher)
    teacher.go_back()
    teacher.get_by_role("button", name="Stop letting pupils join").click()
    expect(teacher.get_by_role("button", name="Let pupils join again")).to_be_visible()
    teacher.goto(f"{school.url}/classes")
    expect(teacher.locator("main")).to_contain_text("closed")
    faults += faults_of(teacher)
    teacher.get_by_role("link", name=NAME).click()
    teacher.locator("summary", has_text="Delete the class").click()
    teacher.get_by_role("button", name="Delete the class and all its pictures").click()
    expect(teacher.locator("main")).to_contain_text("No classes yet.")
    pupil.goto(f"{school.url}/handwriting")
    expect(pupil).to_have_url(f"{school.url}/login?next=%2Fhandwriting")
    for context in (teachers, pupils):
        context.close()
    assert faults == []
    assert [text for text in console if "400" not in text] == []
