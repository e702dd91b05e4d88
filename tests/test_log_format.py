"""Log lines as JSON."""

import json
import logging
import sys
from pathlib import Path

import services
from legibly.log_format import JsonFormatter
from server import Server


def test_a_line_has_its_facts_as_fields() -> None:
    """Message, level, extra fields and the traceback, in one line of JSON."""
    try:
        raise ValueError("torn")
    except ValueError:
        record = logging.LogRecord("a", 30, "p", 1, "%s is %d", ("x", 7), sys.exc_info())
    record.message_id = "m"
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["message"], line["level"], line["message_id"]) == ("x is 7", "warning", "m")
    assert "ValueError: torn" in line["error"]


def test_a_server_logs_json_where_it_is_set(tmp_path: Path) -> None:
    """Every line that the server logs is an object; a fault is one of them."""
    with Server.started(tmp_path, LEGIBLY_LOG="json") as server:
        images = server.objects / "images"
        images.mkdir(exist_ok=True)
        (images / "bad.png").write_bytes(b"no picture at all")
        services.wait_for(lambda: "cannot be read" in server.log, subject="the fault", seconds=30)
        lines = [line for line in server.log.splitlines() if line.startswith("{")]
    assert any("cannot be read" in json.loads(line)["message"] for line in lines)
    assert all(json.loads(line)["level"] for line in lines)
