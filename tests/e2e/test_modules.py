"""The pure modules of the pages, run by the browser that will run them."""

from typing import Any

import pytest
from playwright.sync_api import Page

from e2e.conftest import Server
from legibly.web.pages.assets import Assets

pytestmark = pytest.mark.service("chromium")


@pytest.fixture
def run(lasting_server: Server, desktop: Page) -> Any:
    """Evaluate an expression over the exports of a module."""
    desktop.goto(f"{lasting_server.url}/about")
    assets = Assets()

    def evaluate(module: str, expression: str) -> Any:
        return desktop.evaluate(f"import({assets.url(module)!r}).then((m) => {expression})")

    return evaluate


def test_tables_of_labels_are_understood(run: Any) -> None:
    """Quotes, semicolons, other names of columns, paths; COCO; no table is none."""
    quoted = r'"file,label\r\n\"a \"\"b\"\", c.png\",7\r\nd.png,\r\n"'
    assert run("labels.js", f"[...m.fromCsv({quoted})]") == [
        ['a "b", c.png', {"label": "7", "writer": None}],
        ["d.png", {"label": None, "writer": None}],
    ]
    other = r'"\ufefffile_name;text;author\na.png;1/2;Ada\n"'
    assert run("labels.js", f"m.factsOf(m.fromCsv({other}), 'scans/a.png')") == {
        "label": "1/2",
        "writer": "Ada",
    }
    assert run("labels.js", "m.fromCsv('colour,size\\nred,1\\n')") is None
    coco = """{images: [{id: 1, file_name: 'a.png'}], categories:
      [{id: 3, name: '7'}, {id: 4, name: '1'}],
      annotations: [{image_id: 1, category_id: 4, bbox: [50, 0, 9, 9]},
                    {image_id: 1, category_id: 3, bbox: [5, 0, 9, 9]}]}"""
    assert run("labels.js", f"m.fromCoco({coco}).get('a.png').label") == "71"
    assert run("labels.js", "m.fromCoco([1, 2])") is None


def test_patterns_and_folders_give_labels(run: Any) -> None:
    """Places of a pattern, signs of regular expressions as themselves, folders named by classes."""
    pattern = "m.fromPattern('{label}_{writer}_(*)')"
    assert run("labels.js", f"{pattern}('7_ada_(01).png')") == {"label": "7", "writer": "ada"}
    assert run("labels.js", f"{pattern}('7-ada.png')") == {}
    assert run("labels.js", "m.fromPattern('scan')") is None
    folders = "m.areClassFolders(['d/3/a.png', 'd/5/b.png'], ['3', '5'])"
    assert run("labels.js", folders) is True
    assert run("labels.js", "m.areClassFolders(['d/a.png', 'e/b.png'], ['3'])") is False


def test_items_are_corrected_taken_out_and_added_within_their_text(run: Any) -> None:
    """Rows and gaps stay; what does not lie side by side is left alone."""
    items = "[0, 1, 2].map((at) => ({ label: '1', box: [at * 20, 0, 10, 10] }))"
    assert run("items.js", f"m.corrected('1 23', {items}, 1, '9')") == "1 93"
    assert run("items.js", f"m.corrected('1/23', {items}, 0, '')") == "23"
    assert run("items.js", f"m.corrected('12', {items}, 1, '9')") is None
    assert run("items.js", f"m.inserted('123', {items}, {{ x: 17, y: 5 }}, '7')") == "1723"
    assert run("items.js", f"m.inserted('123', {items}, {{ x: 0, y: 5 }}, '7')") == "7123"
    assert run("items.js", f"m.inserted('123', {items}, {{ x: 99, y: 5 }}, '7')") == "1237"
    assert run("items.js", f"m.inserted('123', {items}, {{ x: 5, y: 50 }}, '7')") == "123/7"
