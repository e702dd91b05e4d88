"""Signing in, one's account and the people page in a real browser; axe-core's rules over them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import services
from e2e.conftest import AXE, Server, add_person, context_of, serving
from e2e.test_accessibility import violations
from e2e.writing import answers, write

pytestmark = pytest.mark.service("chromium")
PASSWORD = "four unrelated words"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts, that ada looks after."""
    folder = tmp_path_factory.mktemp("guarded")
    add_person(folder, "ada", role="admin", password=PASSWORD)
    with serving(folder, LEGIBLY_ACCOUNTS="on") as server:
        yield server


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_signing_in_working_and_leaving(
    guarded: Server, browser: Browser, size: str, scheme: str
) -> None:
    """The sign-in page says what was wrong, leads back, and every flow of an account works by its
    buttons.
    """
    context = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    page = context.new_page()
    faults = []
    axe = Path(AXE).read_text(encoding="utf-8") if AXE.is_file() else None
    page.goto(f"{guarded.url}/accuracy")
    expect(page).to_have_url(f"{guarded.url}/login?next=%2Faccuracy")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    faults += violations(page, axe) if axe else []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{guarded.url}/accuracy")
    page.goto(guarded.url)
    write(page, "7")
    answers(page, "7")
    page.get_by_role("link", name="ada").click()
    page.get_by_label("Name").fill(f"script of {size}")
    page.get_by_role("button", name="Create a token").click()
    expect(page.locator("#secret")).to_contain_text("lgb_")
    page.get_by_role("button", name=f"Revoke script of {size}").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("main")).to_contain_text("The token is revoked.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name=f"Revoke script of {size}")).to_be_visible()
    faults += violations(page, axe) if axe else []
    page.get_by_role("link", name="People").click()
    page.get_by_label("Name", exact=True).fill(f"ben of {size}")
    page.get_by_role("button", name="Add").click()
    first = page.locator("#secret").inner_text()
    row = page.get_by_role("row", name=f"ben of {size}").first
    row.get_by_role("combobox").select_option("erase")
    row.get_by_role("button").click()
    page.get_by_role("button", name="Yes").click()
    expect(row).to_contain_text("deleted on")
    faults += violations(page, axe) if axe else []
    page.get_by_role("button", name="Undo").click()
    expect(row).not_to_contain_text("deleted on")
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
    expect(page.get_by_role("heading")).to_have_text("Your data has been deleted")
    context.close()
    assert faults == []


@pytest.mark.service("oidc-provider")
@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
def test_signing_in_at_an_openid_provider(
    tmp_path: Path, browser: Browser, size: str, scheme: str
) -> None:
    """The button leads to a real provider, back into the app as a writer, out again, and says when
    nobody answers.
    """
    port = services.free_port()
    here = services.free_port()
    legibly = f"http://127.0.0.1:{here}"
    settings = {
        "ISSUER": f"http://127.0.0.1:{port}",
        "CLIENT_ID": "legibly",
        "DOMAINS": "school.example",
    }
    settings |= {"CLIENT_SECRET": "a secret of tests & more", "NAME": "School"}
    environ = {f"LEGIBLY_OIDC_{name}": value for name, value in settings.items()}
    context = context_of(browser, size=size, scheme=scheme, bypass_csp=True)
    context.route(
        lambda url: "127.0.0.1" not in url, lambda route: route.abort()
    )  # the provider's page wants a font
    page = context.new_page()
    faults = []
    axe = Path(AXE).read_text(encoding="utf-8") if AXE.is_file() else None
    with serving(
        tmp_path, port=here, LEGIBLY_ACCOUNTS="on", LEGIBLY_ADMIN_PASSWORD=PASSWORD, **environ
    ):
        with services.openid(tmp_path, port=port, legibly=legibly):
            page.goto(f"{legibly}/handwriting")
            faults += violations(page, axe) if axe else []
            page.get_by_role("link", name="Sign in with School").click()
            page.locator("input[name=login]").fill("ben")
            page.locator("input[name=password]").fill("any")
            page.locator("button[type=submit]").click()
            page.locator("button[type=submit]").click()
            expect(page).to_have_url(f"{legibly}/handwriting")
            page.get_by_role("link", name="ben of school").click()
            expect(page.get_by_text("Writer: you see your own pictures.")).to_be_visible()
            faults += violations(page, axe) if axe else []
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_text("still signed in at School")).to_be_visible()
            faults += violations(page, axe) if axe else []
            page.get_by_role("link", name="Sign in with School").click()
            expect(page).to_have_url(f"{legibly}/")
            page.goto(f"{legibly}/account")
            page.get_by_label("Your name").fill("ben of school")
            page.get_by_role("button", name="Delete everything").click()
            expect(page.get_by_role("heading")).to_have_text("Your data has been deleted")
            page.goto(f"{legibly}/login")
        context.clear_cookies()
        page.goto(f"{legibly}/login/oidc/back?state=x&code=y")
        expect(page.get_by_role("alert")).to_contain_text("Please start again")
        faults += violations(page, axe) if axe else []
    context.close()
    assert faults == []
