"""The accuracy page: filters, files, and what everybody sees first."""

import csv
import io

import httpx
import pytest

import pictures


@pytest.fixture
def pairs(client: httpx.Client) -> None:
    """Three labelled images: two of Ada, of which one is wrong, one of Ben."""
    for writer, label in (("ada", "7"), ("ada", "1"), ("ben", "7")):
        data = {"writer": writer, "label": label}
        answer = client.post(
            "/api/images?wait=20", files={"file": ("a.png", pictures.png())}, data=data
        )
        assert answer.status_code == 200


@pytest.mark.usefixtures("pairs")
def test_accuracy_by_writer_leads_to_the_writer(client: httpx.Client) -> None:
    """Each writer has a row, whose name opens the page of that writer alone."""
    page = client.get("/accuracy").text
    assert page.index('href="/accuracy?writer=ada"') < page.index('href="/accuracy?writer=ben"')
    assert "By batch" not in page
    assert "By writer" not in client.get("/accuracy?writer=ben").text


@pytest.mark.usefixtures("pairs")
def test_filters_hold_for_the_page_its_files_and_the_api(client: httpx.Client) -> None:
    """The same selection everywhere; a wrong day is refused, an unknown file is not there."""
    everything = client.get("/api/accuracy").json()["pairs"]
    of_ada = client.get("/api/accuracy", params={"writer": "ada"}).json()
    assert (of_ada["pairs"], everything) == (2 * everything // 3, everything)
    assert client.get("/accuracy/report.json?writer=ada").json() == of_ada
    text = client.get("/accuracy/report.csv?writer=ada").content.decode("utf-8-sig")
    rows = {(row["section"], row["name"]): row for row in csv.DictReader(io.StringIO(text))}
    assert rows["total", "accuracy"]["pairs"] == str(of_ada["pairs"])
    assert rows["confused", "1 read as 7"]["pairs"] == str(everything // 3)
    assert "<table" in client.get("/accuracy/report.html?writer=ada").text
    assert client.get("/accuracy?since=yesterday").status_code == 400
    assert client.get("/api/accuracy?since=yesterday").status_code == 400
    assert client.get("/accuracy/report.exe").status_code == 404


@pytest.mark.usefixtures("pairs")
def test_the_page_shows_misread_pictures_and_mixups(client: httpx.Client) -> None:
    """The pictures themselves and what was taken for what; a filter that matches nothing says
    so.
    """
    page = client.get("/accuracy?writer=ada").text
    assert "Most frequent mix-ups" in page
    assert "/history?actual=1&amp;predicted=7" in page
    assert page.count('class="shot wrong"') >= 1
    assert "Nothing matches this filter." in client.get("/accuracy?writer=nobody").text
    for language in ("en", "de"):
        client.cookies.set("legibly-language", language)
        assert client.get("/accuracy").status_code == 200
