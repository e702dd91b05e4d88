"""The app, the command and the HTML file say the same."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import pictures
import services
from legibly import object_keys, records
from legibly.accuracy.render import html
from server import Server

FIRST = datetime(2026, 10, 1, 10, tzinfo=UTC)
DAYS = 35
A_DAY = 32
MODELS = (records.Model("digits", "a" * 12), records.Model("digits", "b" * 12))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`legibly serve` over five weeks of readings by two models, of which some have a label."""
    created = Server(tmp_path_factory.mktemp("serve"), services.free_port())
    _fill(created.objects)
    _legibly(created, "reindex")
    try:
        created.start()
        yield created
    finally:
        created.stop()


def _fill(base: Path) -> None:
    draw = random.Random(1)
    readings: list[records.ReadingRecord] = []
    pairs: list[records.Pair] = []
    for number in range(DAYS * A_DAY):
        at = FIRST + timedelta(days=number // A_DAY)
        image = object_keys.new_id(at)
        text = draw.choice("0123456789")
        sure = 1 - 0.5 * draw.random() ** 3
        for model in MODELS if draw.random() < 0.2 else MODELS[:1]:
            output = records.Reading("read" if sure > 0.6 else "unsure", text, sure, model, at)
            key = object_keys.image(image, "image/png")
            readings.append(records.ReadingRecord(image, key, "image/png", 100, 28, 28, output))
        if draw.random() < 0.3:
            actual = text if draw.random() < sure else draw.choice("0123456789")
            source: records.LabelSource = "asked" if number % 3 else "volunteered"
            for label in (text, actual)[: draw.choice([1, 2])]:
                at += timedelta(seconds=9)
                pairs.append(
                    records.Pair(image, text, label, sure, str(MODELS[0]), None, source, at)
                )
    for record in readings:
        _put(
            base, object_keys.reading(record.image, record.reading.model.version), record.to_json()
        )
    for pair in pairs:
        _put(
            base,
            object_keys.pair(pair.image, pair.labelled_at, pair.model.rpartition("@")[2]),
            pair.to_json(),
        )
    _put(base, object_keys.deletion(pairs[0].image), {"image": pairs[0].image})


def _put(base: Path, key: str, record: records.Json) -> None:
    path = base / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record) + "\n")


def _legibly(server: Server, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "legibly", *arguments]
    done = subprocess.run(
        command, cwd=server.folder, env=os.environ, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_app_command_and_file_agree(server: Server) -> None:
    """The app's JSON is the command's byte for byte, weighted by the readings and with drift,
    before and after a label.

    The HTML file is the page of that JSON, and the app's page leads with its estimate.
    """
    with httpx.Client(base_url=server.url, timeout=30) as client:
        before = client.get("/api/accuracy").content
        assert _legibly(server, "accuracy", "--json", "--html", "a.html") == before
        result = json.loads(before)
        assert (
            result["estimate"]["basis"],
            result["estimate"]["weighted"],
            result["drift"] is None,
        ) == ("asked", True, False)
        assert result["estimate"]["readings"] > result["pairs"] > 200
        assert (server.folder / "a.html").read_text() == html.render(result)
        image = client.post("/api/images?wait=20", files={"file": pictures.png()}).json()
        client.put(f"/api/images/{image['id']}/label", json={"text": "7", "source": "asked"})
        after = client.get("/api/accuracy").content
        assert json.loads(after)["pairs"] == result["pairs"] + 1
        assert _legibly(server, "accuracy", "--json") == after
        client.delete(f"/api/images/{image['id']}")
        assert json.loads(client.get("/api/accuracy").content)["pairs"] == result["pairs"]
        assert _legibly(server, "accuracy", "--json") == client.get("/api/accuracy").content
