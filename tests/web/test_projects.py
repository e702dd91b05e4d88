"""Projects: work spaces that share a server and nothing else."""

import json
import re
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner
from PIL import Image

import pictures
from legibly.cli import accuracy
from server import Server


def _create(client: httpx.Client, name: str, **values: object) -> None:
    response = client.post("/api/projects", json={"name": name, **values})
    assert response.status_code == 201, response.text


def _upload(client: httpx.Client, prefix: str = "/api") -> dict[str, object]:
    response = client.post(
        f"{prefix}/images?wait=20", content=pictures.png(), headers={"Content-Type": "image/png"}
    )
    assert response.status_code == 200, response.text
    image: dict[str, object] = response.json()
    return image


def test_a_project_holds_its_images_apart(client: httpx.Client, server: Server) -> None:
    """An image uploaded to a project is in that project alone: API, keys and accuracy."""
    _create(client, "meters", title="Water meters")
    image = _upload(client, "/api/projects/meters")
    path = f"/api/projects/meters/images/{image['id']}"
    label = client.put(f"{path}/label", json={"text": "7"})
    assert label.status_code == 200, label.text
    assert client.get(path).json()["label"]["text"] == "7"
    assert client.get(f"/api/images/{image['id']}").status_code == 404
    assert client.get("/api/projects/meters/accuracy").json()["pairs"] == 1
    assert client.get("/api/accuracy").json()["pairs"] == 0
    folder = server.objects / "projects" / "meters"
    assert len(list((folder / "images").rglob(f"{image['id']}.*"))) == 1
    assert not list((server.objects / "images").rglob(f"{image['id']}.*"))


def test_the_default_project_has_the_plain_addresses(client: httpx.Client) -> None:
    """`/api/projects/default/…` and `/api/…` are the same images."""
    image = _upload(client)
    assert client.get(f"/api/projects/default/images/{image['id']}").json() == (
        client.get(f"/api/images/{image['id']}").json()
    )


@pytest.mark.parametrize("name", ["nothere", "%2e%2e", "Upper", "a" * 60])
def test_an_unknown_project_is_not_found(client: httpx.Client, name: str) -> None:
    """A project that does not exist answers 404 with a problem document, whatever it is called."""
    response = client.get(f"/api/projects/{name}/images")
    assert response.status_code == 404
    if name.isalpha() and name.islower():
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../x", "default", "7up", "a" * 41])
def test_a_name_that_cannot_be_one_is_refused(client: httpx.Client, name: str) -> None:
    """Names are part of addresses and keys: others are refused with what is allowed."""
    response = client.post("/api/projects", json={"name": name})
    assert response.status_code == 400
    assert "lower-case" in response.json()["detail"]


def test_the_same_name_twice_is_a_conflict(client: httpx.Client) -> None:
    """The second project of a name is refused, and the first keeps its title."""
    _create(client, "twice", title="first")
    assert client.post("/api/projects", json={"name": "twice"}).status_code == 409
    projects = {each["name"]: each for each in client.get("/api/projects").json()["projects"]}
    assert projects["twice"]["title"] == "first"


def test_pages_follow_the_project_that_a_browser_chose(server: Server) -> None:
    """After entering a project the pages and their API calls are of that project."""
    with httpx.Client(base_url=server.url, timeout=30, follow_redirects=True) as browser:
        result = browser.post("/projects", data={"name": "forms", "title": "Forms of May"})
        assert "Forms of May" in result.text
        image = _upload(browser)
        assert browser.get(f"/images/{image['id']}").status_code == 200
        browser.post("/projects/enter", data={"name": "default"})
        assert "Forms of May" not in browser.get("/").text
        assert browser.get(f"/images/{image['id']}").status_code == 404


def test_an_address_can_name_its_project(client: httpx.Client, server: Server) -> None:
    """`?project=` means that project in the API and on pages, which stay in it; Accuracy offers the
    projects; an unknown one is not found.
    """
    _create(client, "named", title="Named")
    image = _upload(client, "/api/projects/named")
    assert client.get(f"/api/images/{image['id']}?project=named").status_code == 200
    assert client.get(f"/api/images/{image['id']}").status_code == 404
    client.put(f"/api/projects/named/images/{image['id']}/label", json={"text": "7"})
    with httpx.Client(base_url=server.url, timeout=30) as browser:
        page = browser.get(f"/images/{image['id']}?project=named")
        assert page.status_code == 200
        assert browser.get(f"/images/{image['id']}").status_code == 200
        assert '<option value="named" selected>Named</option>' in browser.get("/accuracy").text
        browser.get("/history?project=default")
        assert browser.get(f"/images/{image['id']}").status_code == 404
        for path in ("/accuracy", "/api/accuracy"):
            assert browser.get(f"{path}?project=nothere").status_code == 404


def test_projects_are_compared(
    client: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page has a row a project with its pairs, and so has the report of the command line."""
    _create(client, "compared", title="Meters & more")
    image = _upload(client, "/api/projects/compared")
    client.put(f"/api/projects/compared/images/{image['id']}/label", json={"text": "7"})
    page = client.get("/accuracy/projects").text
    assert page.count("/accuracy?project=") == len(client.get("/api/projects").json()["projects"])
    row = page[page.index("Meters &amp; more") :]
    assert re.search(r"<td>\s*1\s*</td>", row)
    monkeypatch.chdir(server.folder)
    answer = CliRunner().invoke(accuracy.command, ["--projects", "--json"])
    rows = {entry["project"]: entry for entry in json.loads(answer.stdout)["projects"]}
    assert rows["compared"]["pairs"] == 1
    assert rows["compared"]["accuracy"]["high"] == 1
    assert "default" in rows


def test_a_project_that_is_gone_leaves_the_browser_in_the_default_one(server: Server) -> None:
    """A stale cookie shows the default project instead of an error on every page."""
    cookies = {"legibly_project": "long-gone"}
    assert httpx.get(f"{server.url}/", cookies=cookies).status_code == 200


def test_the_command_line_works_in_a_project(client: httpx.Client, server: Server) -> None:
    """`--project NAME` anywhere, and LEGIBLY_PROJECT, choose the pairs that a command sees."""
    _create(client, "cards")
    image = _upload(client, "/api/projects/cards")
    client.put(f"/api/projects/cards/images/{image['id']}/label", json={"text": "7"})

    def accuracy(*words: str) -> int:
        command = [sys.executable, "-m", "legibly", *words]
        done = subprocess.run(
            command, cwd=server.folder, capture_output=True, text=True, check=True
        )
        return int(json.loads(done.stdout)["pairs"])

    assert accuracy("accuracy", "--json", "--project", "cards") == 1
    assert accuracy("--project", "cards", "accuracy", "--json") == 1


def test_a_change_reaches_the_running_server(client: httpx.Client, server: Server) -> None:
    """`legibly projects set` writes a new version, which the list shows at once."""
    _create(client, "moving")
    command = [sys.executable, "-m", "legibly", "projects", "set", "moving", "--title", "Moved"]
    subprocess.run(command, cwd=server.folder, check=True, capture_output=True)
    projects = {each["name"]: each for each in client.get("/api/projects").json()["projects"]}
    assert projects["moving"]["title"] == "Moved"


def test_a_project_may_keep_separators(client: httpx.Client) -> None:
    """With `text` of numbers a minus is part of the text, and of the label in the same form."""
    _create(client, "amounts", text="numbers")
    picture = Image.new("L", (420, 300), 255)
    picture.paste(pictures.drawing(), (140, 10))
    picture.paste(20, (60, 140, 130, 156))
    data = pictures.encoded(picture)
    prefix = "/api/projects/amounts"
    headers = {"Content-Type": "image/png"}
    image = client.post(f"{prefix}/images?wait=20", content=data, headers=headers).json()
    assert (image["reading"]["text"], image["reading"]["keeps"]) == ("-7", "numbers")
    client.put(f"{prefix}/images/{image['id']}/label", json={"text": "- 7"})
    assert client.get(f"{prefix}/accuracy").json()["accuracy"]["value"] == 1.0
    plain = client.post("/api/images?wait=20", content=data, headers=headers).json()
    assert plain["reading"]["text"] == "7"
