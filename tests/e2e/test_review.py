"""Review in a real browser, by keyboard alone; Label Studio's JSON there and back."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import services
from e2e.conftest import AXE, Server, call, context_of, serving
from e2e.test_accessibility import violations
from e2e.test_accounts import PASSWORD
from e2e.test_history import upload
from e2e.writing import answers, write
from legibly.people import accounts
from legibly.store import open_store

pytestmark = pytest.mark.service("chromium")


def test_what_is_contradicted_comes_first_and_leaves_after_a_key(
    server: Server, page: Page
) -> None:
    """Labels that sure answers contradict are shown with the reason; Enter and L settle them, U
    brings one back.
    """
    upload(server, 2)
    upload(server, 2, label="7")
    page.goto(f"{server.url}/review")
    expect(page.locator("#reason")).to_have_text("The answer is sure, but the label says 7.")
    page.keyboard.press("l")
    expect(page.locator("#left")).not_to_have_text("4 to review")
    page.keyboard.press("u")
    page.keyboard.press("Enter")
    expect(page.locator("#reason")).to_have_text("The answer is sure, but the label says 7.")
    page.keyboard.press("l")
    expect(page.locator("#reason")).not_to_have_text("The answer is sure, but the label says 7.")
    services.wait_for(
        lambda: "disagreement" not in reasons(server),
        subject="the last judgement's way to the server",
    )
    assert labels(server) == ["1", "7"]
    page.reload()
    expect(page.locator("#empty, #reason").locator("visible=true").first).to_be_visible()
    expect(page.locator("#reason")).not_to_contain_text("the label says")


def test_whoever_leaves_in_haste_loses_no_judgement(server: Server, desktop: Page) -> None:
    """Three keys over a slow line, and the page is left at once: all three answers are kept."""
    upload(server, 3, label="7")
    desktop.goto(f"{server.url}/review")
    expect(desktop.locator("#left")).to_have_text("3 to review")
    line = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1}
    desktop.context.new_cdp_session(desktop).send("Network.emulateNetworkConditions", line)
    for _ in range(3):
        desktop.keyboard.press("Enter")
    desktop.goto("about:blank")
    services.wait_for(
        lambda: labels(server) == ["1", "1", "1"], subject="the judgements' way to the server"
    )


def test_skipped_pictures_come_back_last_with_a_true_count(server: Server, desktop: Page) -> None:
    """Skip two of four and reload: the other two come first, then those; it never runs dry."""
    upload(server, 4, label="7")
    desktop.goto(f"{server.url}/review")
    expect(desktop.locator("#left")).to_have_text("4 to review")
    first = desktop.locator("#card").get_attribute("data-id")
    desktop.keyboard.press("s")
    desktop.keyboard.press("s")
    expect(desktop.locator("#left")).to_have_text("4 to review")
    desktop.reload()
    expect(desktop.locator("#left")).to_have_text("4 to review")
    assert desktop.locator("#card").get_attribute("data-id") != first
    desktop.keyboard.press("l")
    expect(desktop.locator("#left")).to_have_text("3 to review")
    desktop.keyboard.press("l")
    expect(desktop.locator("#left")).to_have_text("2 to review")
    expect(desktop.locator("#card")).to_have_attribute("data-id", first or "")
    for _ in range(3):
        desktop.keyboard.press("s")
        expect(desktop.locator("#card")).to_be_visible()
        expect(desktop.locator("#empty")).to_be_hidden()


def test_what_comes_to_an_empty_queue_is_shown(server: Server, desktop: Page) -> None:
    """Nobody has to reload: a picture that is to be looked at appears by itself."""
    desktop.goto(f"{server.url}/review")
    expect(desktop.locator("#empty")).to_be_visible()
    image = upload(server, 1, label="7")[0]
    expect(desktop.locator("#card")).to_have_attribute("data-id", image["id"])
    expect(desktop.locator("#left")).to_have_text("1 to review")


def reasons(server: Server) -> list[str]:
    """Why the pictures of the review's queue are in it."""
    return [entry["reason"] for entry in call(server, "/api/review")["queue"]]


def labels(server: Server) -> list[str]:
    """The labels that the server has, in order."""
    return sorted(
        image["label"]["text"] for image in call(server, "/api/images?labelled=true")["images"]
    )


def test_label_studio_tasks_come_back_as_labels(
    server: Server, desktop: Page, tmp_path: Path
) -> None:
    """Exported tasks carry boxes and predictions; annotated and imported, they label our
    pictures.
    """
    first, second = upload(server, 2)
    desktop.goto(f"{server.url}/review")
    desktop.get_by_text("Label Studio and CSV", exact=True).click()
    with desktop.expect_download() as waiting:
        desktop.get_by_role("link", name="Export tasks").click()
    waiting.value.save_as(tmp_path / "tasks.json")
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["legibly_id"] for task in tasks] == [second["id"], first["id"]]
    box = tasks[0]["predictions"][0]["result"][0]
    assert box["value"]["rectanglelabels"] == ["1"]
    assert 0 < box["value"]["x"] < 100
    tasks[0]["annotations"] = [
        {"result": [{"type": "textarea", "value": {"text": ["7"]}}], "updated_at": "2026-01-02"},
        {"result": [{"type": "textarea", "value": {"text": ["4"]}}], "updated_at": "2026-01-01"},
    ]
    tasks[1]["annotations"] = [
        {"result": [{"type": "textarea", "value": {"text": ["9"]}}], "was_cancelled": True}
    ]
    tasks.append({"data": {"image": "http://elsewhere/picture.png"}, "annotations": []})
    (tmp_path / "back.json").write_text(json.dumps(tasks), encoding="utf-8")
    desktop.locator("#import").set_input_files(tmp_path / "back.json")
    expect(desktop.locator("#imported")).to_have_text(
        "1 labelled, 0 unchanged, 0 unknown, 0 refused"
    )
    assert call(server, f"/api/images/{second['id']}")["label"]["text"] == "7"
    assert call(server, f"/api/images/{first['id']}")["label"] is None


@pytest.mark.service("postgres")
def test_two_people_agree_by_keyboard_on_postgresql(
    tmp_path: Path, browser: Browser, postgres: str
) -> None:
    """The second is asked without being told, the third is told who said what, then nothing is
    left.
    """
    book = accounts.Accounts(open_store(f"file://{tmp_path}/objects", environ={}))
    for name in ("rita", "rob", "tom"):
        book.add(name, role="reviewer", password=PASSWORD)
    people = {"LEGIBLY_ACCOUNTS": "on", "LEGIBLY_REVIEW_PEOPLE": "2", "LEGIBLY_ASK_RATE": "1"}
    people["LEGIBLY_ADMIN_PASSWORD"] = PASSWORD
    faults = []
    pages = {}
    with serving(
        tmp_path, port=None, LEGIBLY_DATABASE=services.new_database(postgres), **people
    ) as server:
        for name, size, scheme in (
            ("rita", "desktop", "light"),
            ("rob", "phone", "dark"),
            ("tom", "desktop", "dark"),
        ):
            page = pages[name] = context_of(
                browser, size=size, scheme=scheme, bypass_csp=True
            ).new_page()
            page.goto(f"{server.url}/login")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
        write(pages["rita"], "7")
        answers(pages["rita"], "7")
        reason = {name: page.locator("#reason") for name, page in pages.items()}
        for name, key, message in (
            ("rita", "Enter", "random sample"),
            ("rob", "1", "One person has labelled it already. What do you see?"),
            ("tom", "7", "People disagree: 7 (rita), 1 (rob). What do you see?"),
        ):
            pages[name].goto(f"{server.url}/review")
            expect(reason[name]).to_contain_text(message)
            faults += (
                violations(pages[name], AXE.read_text(encoding="utf-8")) if AXE.is_file() else []
            )
            with pages[name].expect_response(lambda response: "/api/review/" in response.url):
                pages[name].keyboard.press(key)
            expect(pages[name].locator("#empty")).to_be_visible()
        for page in pages.values():
            page.goto(f"{server.url}/review")
            expect(page.locator("#empty")).to_be_visible()
            page.context.close()
    assert faults == []
