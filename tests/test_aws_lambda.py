"""The function: light to import, and right in Lambda's own runtime client."""

import contextlib
import http.server
import importlib.util
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pictures
import services
from legibly import object_keys, records
from legibly.evaluation import promotion_history as histories
from legibly.ingest import stored_packs
from legibly.packs import card as cards
from legibly.packs import registry
from legibly.store import open_store
from server import Server

SRC = Path(__file__).parents[1] / "src"
FORBIDDEN = {
    "sqlalchemy",
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "duckdb",
    "altair",
    "vl_convert",
    "jinja2",
}
FORBIDDEN |= {
    "click",
    "boto3",
    "botocore",
    "torch",
    "legibly.web",
    "legibly.wiring",
    "legibly.cloud",
}
FORBIDDEN |= {"legibly.accuracy", "legibly.index.sql"}


def test_importing_the_function_brings_nothing_that_it_does_not_need() -> None:
    """Neither web, SQL, charts nor AWS's SDK is loaded by the function, whatever else is
    installed.
    """
    code = "import json, sys, legibly.aws_lambda; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONPATH": str(SRC)}
    )
    assert FORBIDDEN & set(json.loads(done.stdout)) == set()


def test_importing_the_function_stays_small() -> None:
    """The cold import loads at most 450 modules: a budget that does not depend on how busy the
    machine is.
    """
    code = "import sys, legibly.aws_lambda; print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONPATH": str(SRC)}
    )
    assert int(done.stdout) <= 450


class RuntimeApi:
    """Lambda's runtime API: hands out invocations, collects answers."""

    def __init__(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                body = json.dumps(api.events.get()).encode()
                self.send_response(200)
                self.send_header(
                    "Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
                )
                self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:1:function:reader",
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                api.answers.put((self.path.rpartition("/")[2], json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A runtime that was ended in the middle of its next question is no error."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running(tmp_path: Path, **settings: str) -> Iterator[RuntimeApi]:
    """The handler in `awslambdaric`, over the folder `tmp_path/store`."""
    if importlib.util.find_spec("awslambdaric") is None:
        services.missing("awslambdaric", "make test-all")
    api = RuntimeApi()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SRC),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "reader",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_LOG_GROUP_NAME": "logs",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LEGIBLY_STORE": f"file://{tmp_path}/store",
        "LEGIBLY_ATTEMPTS": "2",
        **settings,
    }
    command = [sys.executable, "-m", "awslambdaric", "legibly.aws_lambda.handler"]
    with services.running(command, log=tmp_path / "function.log", env=environ):
        yield api
    api.close()


@pytest.fixture
def function(tmp_path: Path) -> Iterator[RuntimeApi]:
    with running(tmp_path) as api:
        yield api


def delivery(*bodies: str) -> dict[str, Any]:
    """An SQS batch as Lambda hands it over."""
    attributes = {"ApproximateReceiveCount": "1"}
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "body": body,
                "attributes": attributes,
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def came(key: str) -> str:
    """S3's event of a new object."""
    s3 = {"bucket": {"name": "bucket"}, "object": {"key": key, "size": 9}}
    return json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3}]}
    )


@pytest.mark.service("awslambdaric")
def test_the_handler_answers_in_lambdas_own_runtime(function: RuntimeApi, tmp_path: Path) -> None:
    """A batch with a good picture, rubbish and a broken message: one record, one failure, one
    message to retry.
    """
    images = tmp_path / "store" / "images"
    images.mkdir(parents=True)
    (images / "my scan.png").write_bytes(pictures.png())
    (images / "rubbish.png").write_bytes(b"rubbish")
    function.events.put(
        delivery(
            came("images/my+scan.png"), came("images/rubbish.png"), "{", came("images/gone.png")
        )
    )
    kind, answer = function.answers.get(timeout=60)
    assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "m2"}]})
    [reading] = (tmp_path / "store" / "records" / "readings").rglob("*.jsonl")
    assert json.loads(reading.read_text())["text"] == "7"
    [failure] = (tmp_path / "store" / "records" / "failures").rglob("*.json")
    assert json.loads(failure.read_text())["key"] == "images/rubbish.png"
    log = (tmp_path / "function.log").read_text()
    assert '"message_id": "m2"' in log


@pytest.mark.service("awslambdaric")
def test_a_warm_function_follows_the_stores_model(function: RuntimeApi, tmp_path: Path) -> None:
    """A pack that lies in the store alone reads from its promotion on, and its shadow's counts are
    in the store when the answer is.
    """
    store = open_store(f"file://{tmp_path}/store", environ={})
    folder = shutil.copytree(registry.find("digits"), tmp_path / "other")
    cards.write_card(folder, replace(cards.read_card(folder), created="later"))
    version = stored_packs.upload(folder, store, name="other").rpartition("/")[2]

    def read(number: int) -> str:
        """The version that reads one more picture."""
        store.create(f"images/{number}.png", pictures.png())
        function.events.put(delivery(came(f"images/{number}.png")))
        assert function.answers.get(timeout=60) == ("response", {"batchItemFailures": []})
        lines = (store.read(stat.key) for stat in store.list("records/readings/"))
        readings = [json.loads(line) for line in lines]
        [own] = [entry for entry in readings if entry["key"] == f"images/{number}.png"]
        return str(own["model"]["version"])

    first = read(0)
    champion = histories.Choice("digits", records.Model("digits", first))
    goal = histories.Choice("other", records.Model("other", version))
    sides = {"before": champion, "after": goal}
    histories.write(store, histories.following([], "promote", by="test", **sides))
    numbers = itertools.count(1)
    services.wait_for(lambda: read(next(numbers)) == version, subject="the promoted pack")
    sides = {"before": goal, "after": champion}
    history = histories.changes(store)
    histories.write(store, histories.following(history, "shadow", by="test", share=1.0, **sides))

    def counts() -> list[str]:
        assert read(next(numbers)) == version
        return [stat.key for stat in store.list(object_keys.shadow_folder(2))]

    services.wait_for(counts, subject="the counts of the shadow")
    [key] = counts()
    assert json.loads(store.read(key))["read"] >= 1


@pytest.mark.service("awslambdaric")
def test_an_event_that_is_none_fails_loudly(function: RuntimeApi) -> None:
    """Called with something that is no event, the function reports an error instead of a
    success.
    """
    function.events.put({"hello": "world"})
    kind, answer = function.answers.get(timeout=60)
    assert kind == "error"
    assert answer["errorType"] == "Invalid"


@pytest.mark.service("awslambdaric")
def test_the_network_may_be_on_a_model_server(tmp_path: Path) -> None:
    """Away at first: every message comes again, and why is in the log. There: read by its model.
    Away later: again.
    """
    (tmp_path / "model").mkdir()
    server = Server(tmp_path / "model", services.free_port(), {"LEGIBLY_SWEEP_SECONDS": "0"})
    images = tmp_path / "store" / "images"
    images.mkdir(parents=True)
    (images / "a.png").write_bytes(pictures.png())
    (images / "b.png").write_bytes(pictures.png(pictures.ZERO))
    with running(tmp_path, LEGIBLY_MODEL=f"{server.url}/v2/models/digits") as function:
        function.events.put(delivery(came("images/a.png"), came("images/b.png")))
        again = {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
        assert function.answers.get(timeout=60) == ("response", again)
        server.start()
        try:
            function.events.put(delivery(came("images/a.png")))
            assert function.answers.get(timeout=60) == ("response", {"batchItemFailures": []})
        finally:
            server.stop()
        function.events.put(delivery(came("images/b.png")))
        assert function.answers.get(timeout=60) == (
            "response",
            {"batchItemFailures": [{"itemIdentifier": "m0"}]},
        )
    [reading] = (tmp_path / "store" / "records" / "readings").rglob("*.jsonl")
    assert json.loads(reading.read_text())["text"] == "7"
    message = [
        line
        for line in (tmp_path / "function.log").read_text().splitlines()
        if "does not answer" in line
    ]
    assert [json.loads(line)["key"] for line in message] == [
        "images/a.png",
        "images/b.png",
        "images/b.png",
    ]


def test_a_direct_call_raises_when_something_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads the answer of a direct call: an error makes Lambda try again."""
    from legibly import aws_lambda
    from legibly.errors import Unavailable

    store = tmp_path / "objects"
    store.mkdir()
    monkeypatch.setenv("LEGIBLY_STORE", f"file://{store}")
    aws_lambda.readers.cache_clear()
    thing = {"bucket": {"name": "b"}, "object": {"key": "images/a.png", "size": 9}}
    event = {"Records": [{"eventName": "ObjectCreated:Put", "s3": thing}]}
    assert aws_lambda.handler(event, None) == {"batchItemFailures": []}  # the picture is gone
    store.rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        aws_lambda.handler(event, None)
    aws_lambda.readers.cache_clear()


def test_the_function_takes_the_limits_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture beyond LEGIBLY_MAX_PIXELS is written down as failed, with the limit."""
    from legibly import aws_lambda

    images = tmp_path / "objects" / "images"
    images.mkdir(parents=True)
    (images / "a.png").write_bytes(pictures.png())
    monkeypatch.setenv("LEGIBLY_STORE", f"file://{tmp_path}/objects")
    monkeypatch.setenv("LEGIBLY_MAX_PIXELS", "123")
    aws_lambda.readers.cache_clear()
    aws_lambda.handler(delivery(came("images/a.png")), None)
    [failure] = (tmp_path / "objects" / "records" / "failures").rglob("*.json")
    assert "123" in failure.read_text()
    aws_lambda.readers.cache_clear()
