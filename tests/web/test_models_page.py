"""The models page: what it tells of the shipped pack, an added one, a broken one and one that runs
elsewhere.
"""

import json
import shutil

import httpx

from legibly.packs import registry
from legibly.web.text import number_format
from packs import networks
from server import Server


def test_every_pack_is_listed_with_its_card_in_words(server: Server, client: httpx.Client) -> None:
    """The pack in use first and once; an added one by its name; a broken one says what is wrong
    with it.
    """
    packs = server.objects.parent / "packs"
    shutil.copytree(registry.shipped()[0], packs / "mine")
    broken = packs / "broken"
    broken.mkdir()
    (broken / "card.json").write_text("{}", encoding="utf-8")
    try:
        page = client.get("/models").text
        with (packs / "mine" / "model.onnx").open("ab") as file:
            file.write(b"!")
        changed = client.get("/models").text
    finally:
        shutil.rmtree(packs)
    assert "SHA-256" not in page
    assert "the SHA-256 differs" in changed, "a changed network is noticed at once"
    assert page.index('aria-label="digits"') < page.index('aria-label="broken"')
    assert 'aria-label="mine"' in page
    assert page.count("in use</span>") == 1
    assert "the card lacks" in page
    assert "if the confidence is at least 97.0" in page
    assert "0.07\u00a0%" in page, "few mistakes do not read as none"


def test_pages_of_a_classifier_of_photos_speak_of_pictures(
    server: Server, client: httpx.Client
) -> None:
    """In a project whose model reads whole pictures no page asks for digits or shows handwriting,
    and confidences without calibration make no promise.
    """
    folder = server.objects.parent / "packs" / "colours"
    networks.write_pack(folder, networks.colour_model())
    try:
        project = client.post("/api/projects", json={"name": "paint", "model": "colours"})
        assert project.status_code == 201
        cookie = {"Cookie": "legibly_project=paint"}
        page = client.get("/", headers=cookie).text
        models = client.get("/models", headers=cookie).text
    finally:
        shutil.rmtree(folder.parent)
    words = json.loads(page.split('id="words">')[1].split("</script>")[0])
    assert words["sureness"] == "{percent}, not calibrated"
    assert words["no_digit"] == "None of these"
    assert "Write a digit" not in page.split("<body")[1]
    assert '"/handwriting"' not in page
    assert "not calibrated" in models


def test_it_speaks_german(client: httpx.Client) -> None:
    """Names of trials and thresholds too."""
    page = client.get("/models", headers={"Accept-Language": "de"}).text
    assert "auf einem Bildschirm geschrieben" in page
    assert "ab einer Sicherheit von 97,0" in page


def test_small_shares_are_rounded_up() -> None:
    """A share of mistakes is never shown smaller than it is."""
    assert number_format.Figures().small(0.00062) == "0.07\u00a0%"
    assert number_format.Figures().small(0.0) == "0.00\u00a0%"
    assert number_format.Figures(point=",").small(0.0001) == "0,01\u00a0%"
    assert number_format.Figures().small(None) == "–"
