"""A store written by version 0.1.0 is read by this version, for ever."""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import Server

ARCHIVE = Path(__file__).with_name("store-0.1.0.tar.gz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working folder of version 0.1.0, with what its server answered."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture(params=["with its index", "from an empty index"])
def answers(request: pytest.FixtureRequest, folder: Path) -> Iterator[dict[str, Any]]:
    """What this version answers over that store."""
    data = folder / "legibly-data"
    if request.param == "from an empty index":
        for path in data.glob("index.db*"):
            path.unlink()
        command = [sys.executable, "-m", "legibly", "reindex"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with Server.started(folder) as server, httpx.Client(base_url=server.url) as client:
        yield {
            "images": client.get("/api/images").json(),
            "accuracy": client.get("/api/accuracy").json(),
        }
    shutil.rmtree(data)


def test_images_and_accuracy_are_as_they_were(answers: dict[str, Any], folder: Path) -> None:
    """Each image has its picture, reading and label, and the accuracy its counts."""
    before = json.loads((folder / "images.json").read_text())["images"]
    now = {image["id"]: image for image in answers["images"]["images"]}
    assert set(now) == {image["id"] for image in before}
    for image in before:
        for name in ("state", "received_at", "media_type", "name", "writer"):
            assert now[image["id"]][name] == image[name], name
        assert (now[image["id"]]["label"] or {}).get("text") == (image["label"] or {}).get("text")
        assert (now[image["id"]]["reading"] or {}).get("text") == (image["reading"] or {}).get(
            "text"
        )
    report = json.loads((folder / "accuracy.json").read_text())
    assert answers["accuracy"].get("pairs") == report.get("pairs")
