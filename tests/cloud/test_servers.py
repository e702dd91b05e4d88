"""Size `scale` with model servers, deployed: the servers' own user data, PostgreSQL, models over
HTTP, and faults.
"""

import functools
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import pictures
import services
from cloud.instance import Instance, boot
from cloud.test_deployed import count, hurried, of, put, records
from emulator import Deployment
from legibly import object_keys
from legibly.cloud import deploy
from legibly.cloud.aws import Aws
from legibly.cloud.plan import Plan

pytestmark = [pytest.mark.service("ministack"), pytest.mark.timeout(600)]
# As in production, a retry begins long after the function's time is over: two that read at once
# would both write.
PATIENT = (("FunctionSeconds", "10"), ("RetrySeconds", "25"), ("Attempts", "50"))


@pytest.fixture(scope="module")
def account(deployment: Deployment) -> Iterator[None]:
    """The emulated account as this process's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in deployment.emulator.environ.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def large(deployment: Deployment, account: None) -> Iterator[Deployment]:
    """A second stack, of the larger size, with the code that the first one was deployed with."""
    plan = Plan(stack="large", size="scale", classifier="servers", parameters=PATIENT)
    outputs = deploy.deploy(plan, aws=Aws(), report=lambda _line: None, code=deployment.code)
    _without_punctuation(deployment)
    outputs["password"] = deploy.make_admin(outputs, aws=Aws()) or ""
    result = Deployment(deployment.emulator, outputs, outputs["Address"], "", deployment.code)
    hurried(result)
    yield result
    deploy.destroy(plan, aws=Aws(), report=lambda _line: None, with_data=True)


@pytest.fixture(scope="module")
def model(large: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """A model server, as its user data leaves it."""
    return boot(large, "large-ModelTemplate", "large-ModelRole", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def port(large: Deployment) -> int:
    """Where the function asks for its model: this machine takes the place of the balancer's
    name.
    """
    port = services.free_port()
    functions = large.client("lambda")
    name = large.outputs["FunctionName"]
    message = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert message["LEGIBLY_MODEL"].endswith("/v2/models/digits")
    message["LEGIBLY_MODEL"] = f"http://127.0.0.1:{port}/v2/models/digits"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": message})
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    alias = f"{name}:live"
    for mapping in functions.list_event_source_mappings(FunctionName=alias)["EventSourceMappings"]:
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 2}
        )
    return port


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    """Host and port of a PostgreSQL that speaks TLS and has a database `legibly`, as RDS does."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        [[folder]] = connection.execute("SHOW data_directory").fetchall()
        result = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-keyout", f"{folder}/server.key", "-out", f"{folder}/server.crt"]
        subprocess.run(["openssl", "req", *result, *files], check=True, capture_output=True)
        owner = Path(folder).stat()
        for name in ("server.key", "server.crt"):
            os.chown(f"{folder}/{name}", owner.st_uid, owner.st_gid)
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE legibly")
    return postgres.partition("@")[2].partition("/")[0]


@pytest.fixture(scope="module")
def web(
    large: Deployment, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A web server as its user data starts it, over PostgreSQL; its client has signed in as the
    stack's `admin`.
    """
    instance = boot(large, "large-WebTemplate", "large-WebRole", tmp_path_factory.mktemp("web"))
    message = instance.settings["LEGIBLY_DATABASE"]
    assert message.startswith("postgresql://legibly:")
    assert message.endswith("/legibly?sslmode=require")
    here = f"{message.rpartition('@')[0]}@{database}/legibly?sslmode=require"
    with (
        instance.running(LEGIBLY_DATABASE=here) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        assert instance.settings["LEGIBLY_ADMIN_PASSWORD"] == large.outputs["password"]
        done = client.post("/login", data={"name": "admin", "password": large.outputs["password"]})
        assert done.status_code == 303
        yield client


def _without_punctuation(deployment: Deployment) -> None:
    """Passwords as the template asks for them; the emulator does not heed `ExcludePunctuation`."""
    secrets_manager = deployment.client("secretsmanager")
    for secret in secrets_manager.list_secrets()["SecretList"]:
        message = json.loads(
            secrets_manager.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        )
        text = json.dumps({**message, "password": secrets.token_hex(16)})
        secrets_manager.put_secret_value(SecretId=secret["ARN"], SecretString=text)


def image_of(client: httpx.Client, key: str) -> dict[str, Any]:
    """The image of a picture once the web server knows that it is settled."""
    matches: list[dict[str, Any]] = []

    def look() -> bool:
        images = client.get("/api/images", params={"limit": 500}).json()["images"]
        matches[:] = [
            element
            for element in images
            if element["name"] == key.rpartition("/")[2] and element["state"] != "pending"
        ]
        return bool(matches)

    services.wait_for(look, subject=key, seconds=90)
    return matches[0]


def test_a_model_server_that_is_away_costs_time_alone(
    large: Deployment, model: Instance, port: int, web: httpx.Client
) -> None:
    """Away at the start and away later: pictures wait, `status` says why, and each is read once
    when it is back.
    """
    first = put(large, pictures.png())
    services.wait_for(
        lambda: _status_names(large, first, "does not answer"), subject="the reason", seconds=60
    )
    assert of(large, first) == []
    with model.running(port=port):
        services.wait_for(lambda: of(large, first), subject="the reading", seconds=90)
    second = put(large, pictures.png(pictures.ZERO))
    services.wait_for(
        lambda: _status_names(large, second, "does not answer"), subject="the reason", seconds=60
    )
    with model.running(port=port):
        services.wait_for(lambda: of(large, second), subject="the reading", seconds=90)
        assert [image_of(web, key)["reading"]["text"] for key in (first, second)] == ["7", "0"]
    assert [len(of(large, key)) for key in (first, second)] == [1, 1]
    assert count(large, "ImagesDeadLettersUrl") == 0


def test_what_is_read_is_live_on_a_page_over_postgresql(
    large: Deployment, model: Instance, port: int, web: httpx.Client
) -> None:
    """Put by anybody → read over HTTP by the function → the records' queue → an event on an open
    page.
    """
    with model.running(port=port), web.stream("GET", "/api/live") as live:
        lines = live.iter_lines()
        next(lines)
        key = put(large, pictures.png(pictures.ONE))
        name = key.rpartition("/")[2]
        data = (json.loads(line[5:]) for line in lines if line.startswith("data:"))
        image = next(
            element for element in data if element["name"] == name and element["state"] == "read"
        )
    assert image["reading"]["text"] == "1"
    assert of(large, key)[0]["model"] == image["reading"]["model"]


def test_a_function_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    large: Deployment, model: Instance, port: int
) -> None:
    """Killed while it reads, again and again: every picture has one reading in the end, and none is
    a dead letter.
    """
    with model.running(port=port):
        many = [put(large, pictures.png(), f"images/killed/{number}.png") for number in range(30)]
        killed = 0
        for _ in range(400):
            if killed < 3:
                killed += sum(_kill(process) for process in _functions(large))
            read = [
                record["key"]
                for record in records(large, object_keys.READINGS)
                if "/killed/" in record["key"]
            ]
            if set(read) >= set(many):
                if killed >= 3:
                    break
                # All were read between two looks: one more starts the function again.
                many.append(put(large, pictures.png(), f"images/killed/{len(many)}.png"))
            time.sleep(0.3)
    assert killed >= 3
    assert sorted(read) == sorted(many)
    services.wait_for(lambda: count(large, "ImagesQueueUrl") == 0, subject="the queue", seconds=60)
    assert count(large, "ImagesDeadLettersUrl") == 0


def test_what_nobody_should_read_is_left_alone(
    large: Deployment, model: Instance, port: int
) -> None:
    """A key outside the prefixes starts nothing; deleted or replaced before its turn: passed over,
    `status` says so.
    """
    put(large, pictures.png(), "elsewhere/a.png")
    gone = put(large, pictures.png(), "images/gone.png")  # nobody reads: the model server is away
    replaced = put(large, pictures.png(), "images/replaced.png")
    large.client("s3").delete_object(Bucket=large.bucket, Key=gone)
    put(large, pictures.png(pictures.ZERO), replaced)
    with model.running(port=port):
        services.wait_for(lambda: of(large, replaced), subject="the reading", seconds=90)
        services.wait_for(
            lambda: count(large, "ImagesQueueUrl") == 0, subject="the queue", seconds=60
        )
    assert [record["text"] for record in of(large, replaced)] == ["0"]
    assert of(large, gone) == of(large, "elsewhere/a.png") == []
    for key, subject in ((gone, "was deleted"), (replaced, "was replaced")):
        services.wait_for(
            functools.partial(_status_names, large, key, subject), subject="what was passed over"
        )


def _status_names(large: Deployment, key: str, reason: str) -> bool:
    """Whether `legibly cloud status` shows a line about a picture."""
    done = large.emulator.legibly("cloud", "status", "--stack", "large", check=False).stdout
    return any(key in line and reason in line for line in done.splitlines())


def _functions(large: Deployment) -> list[int]:
    """The processes in which the emulator runs this stack's function."""
    mark = f"AWS_LAMBDA_FUNCTION_NAME={large.outputs['FunctionName']}".encode()
    here = large.emulator.endpoint.rpartition(":")[2].encode()
    matches = []
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if mark in environ.split(b"\0") and here in environ:
            matches.append(int(entry.name))
    return matches


def _kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
