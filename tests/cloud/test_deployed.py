"""The deployed system: the real zip and the real template in an account that checks every signature
and policy.

The web server is this machine's, with the environment that the template writes onto its instances.
"""

import base64
import itertools
import json
import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import pictures
import services
from emulator import SHORT, Deployment
from legibly import object_keys
from legibly.cloud import deploy
from legibly.cloud.aws import Aws
from legibly.cloud.plan import Plan
from server import Server

pytestmark = [pytest.mark.service("ministack"), pytest.mark.timeout(600)]
_numbers = itertools.count()


def put(deployment: Deployment, data: bytes, key: str | None = None) -> str:
    """Put an object as any program would; gives its key."""
    key = key or f"images/from elsewhere/{next(_numbers)}+ä.png"
    deployment.client("s3").put_object(Bucket=deployment.bucket, Key=key, Body=data)
    return key


def records(deployment: Deployment, folder: str) -> list[dict[str, Any]]:
    """Every record in a folder of the bucket."""
    s3 = deployment.client("s3")
    matches = []
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=deployment.bucket, Prefix=folder
    ):
        for thing in page.get("Contents", []):
            content = s3.get_object(Bucket=deployment.bucket, Key=thing["Key"])["Body"].read()
            matches += [json.loads(line) for line in content.splitlines()]
    return matches


def of(
    deployment: Deployment, key: str, folder: str = object_keys.READINGS
) -> list[dict[str, Any]]:
    """The records of one picture."""
    return [record for record in records(deployment, folder) if record["key"] == key]


def count(deployment: Deployment, output: str) -> int:
    """Messages in a queue, in flight included."""
    facts = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs[output], AttributeNames=["All"]
    )
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(int(facts["Attributes"][name]) for name in names)


def status(deployment: Deployment) -> dict[str, Any]:
    """What `legibly cloud status --json` says."""
    done = deployment.emulator.legibly("cloud", "status", "--json", check=False)
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))


def waiting(deployment: Deployment, queue: str) -> int:
    """Messages that wait in a queue, as `status` shows it."""
    [shown] = [entry for entry in status(deployment)["queues"] if entry["name"] == queue]
    return int(shown["waiting"])


@pytest.fixture(scope="module")
def web(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web server with the environment that the template gives its instances, and a database of
    its own.
    """
    ec2 = deployment.client("ec2")
    template = ec2.describe_launch_template_versions(
        LaunchTemplateName=_web_template(deployment), Versions=["$Latest"]
    )
    data = template["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]
    script = base64.b64decode(data).decode()
    environ = dict(re.findall(r"^((?:LEGIBLY|AWS)_\w+)=(.*)$", script, re.MULTILINE))
    assert environ["LEGIBLY_CLASSIFY"] == "elsewhere"
    folder = tmp_path_factory.mktemp("web")
    environ |= {"LEGIBLY_DATABASE": f"sqlite:///{folder}/index.db", "LEGIBLY_ACCOUNTS": "off"}
    with Server.started(folder, **{**deployment.emulator.environ, **environ}) as server:
        yield server


def _web_template(deployment: Deployment) -> str:
    matches = deployment.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return str(matches[0]["LaunchTemplateName"])


@pytest.fixture
def client(web: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.url, timeout=60) as opened:
        yield opened


def await_image(client: httpx.Client, name: str) -> dict[str, Any]:
    """The image of this name once it is settled on the web page."""
    matches: list[dict[str, Any]] = []

    def look() -> bool:
        images = client.get("/api/images", params={"limit": 500}).json()["images"]
        matches[:] = [
            image for image in images if image["name"] == name and image["state"] != "pending"
        ]
        return bool(matches)

    services.wait_for(look, subject=name, seconds=90)
    return matches[0]


def test_deploy_prints_the_address_and_done_again_changes_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command prints an https address; with the same code once more, nothing is uploaded and
    nothing changes.
    """
    assert re.fullmatch(r"https://\w+\.cloudfront\.net", deployment.address)
    assert "Sign in as admin with the password" in deployment.output
    assert (
        "admin\tadmin"
        in deployment.emulator.legibly(
            "users", "--store", deployment.outputs["Store"], "list"
        ).stdout
    )
    for name, value in deployment.emulator.environ.items():
        monkeypatch.setenv(name, value)
    message: list[str] = []
    plan = Plan(parameters=SHORT)
    deploy.deploy(plan, aws=Aws(), report=message.append, code=deployment.code)
    assert message == ["nothing changed"]


def test_a_picture_put_by_anybody_is_read_and_live(
    deployment: Deployment, client: httpx.Client
) -> None:
    """PUT by S3 alone → one reading in the bucket → an event on an open page, and the image in the
    list.
    """
    with client.stream("GET", "/api/live") as live:
        lines = live.iter_lines()
        next(lines)
        key = put(deployment, pictures.png())
        event = next(
            line
            for line in lines
            if line.startswith("data:") and key.rpartition("/")[2] in json.loads(line[5:])["name"]
        )
    image = json.loads(event[5:])
    assert image["reading"]["text"] == "7"
    [record] = of(deployment, key)
    assert record["image"] == image["id"]
    assert client.get(f"/api/images/{image['id']}").json()["reading"]["model"] == record["model"]


def test_a_projects_picture_is_read_by_the_function(
    deployment: Deployment, client: httpx.Client
) -> None:
    """PUT below a project's folder, or sent to its page → one reading in the project's folder,
    shown in the project and nowhere else.
    """
    client.post("/api/projects", json={"name": "letters"}).raise_for_status()
    key = put(deployment, pictures.png(), "projects/letters/images/from elsewhere.png")
    sent = client.post(
        "/api/projects/letters/images", files={"file": ("sent.png", pictures.png(pictures.ZERO))}
    )
    assert sent.status_code in (201, 202)

    def texts() -> dict[str, str]:
        images = client.get("/api/projects/letters/images").json()["images"]
        return {image["name"]: image["reading"]["text"] for image in images if image["reading"]}

    expected = {"from elsewhere.png": "7", "sent.png": "0"}
    services.wait_for(lambda: texts() == expected, subject="the project's readings", seconds=60)
    readings = records(deployment, "projects/letters/records/readings/")
    assert len(readings) == 2
    assert key.removeprefix("projects/letters/") in [entry["key"] for entry in readings]
    names = [image["name"] for image in client.get("/api/images?limit=500").json()["images"]]
    assert not expected.keys() & set(names)


def test_an_upload_is_read_by_the_function(deployment: Deployment, client: httpx.Client) -> None:
    """Through the web page's own door, with a label: the function reads it, once, and the pair is
    written.
    """
    answer = client.post(
        "/api/images",
        params={"wait": 30},
        files={"file": ("nought.png", pictures.png(pictures.ZERO))},
        data={"label": "0"},
    )
    assert answer.status_code == 200
    image = answer.json()
    assert (image["reading"]["text"], image["label"]["text"]) == ("0", "0")
    [record] = [
        record
        for record in records(deployment, object_keys.READINGS)
        if record["image"] == image["id"]
    ]
    assert record["model"] == image["reading"]["model"]
    services.wait_for(
        lambda: [
            pair for pair in records(deployment, object_keys.PAIRS) if pair["image"] == image["id"]
        ],
        subject="the pair",
    )


def test_a_direct_upload_is_read_by_the_function(
    client: httpx.Client, deployment: Deployment
) -> None:
    """Announced at the web server, put into the bucket: the reading comes with what was said of
    it.
    """
    data = pictures.png(pictures.ONE)
    upload = client.post(
        "/api/uploads", json={"media_type": "image/png", "bytes": len(data), "name": "direct"}
    ).json()
    trusted = ssl.create_default_context(cafile=deployment.emulator.certificate)
    assert (
        httpx.put(
            upload["url"], content=data, headers=upload["headers"], verify=trusted
        ).status_code
        == 200
    )
    image = await_image(client, "direct")
    assert (image["id"], image["reading"]["text"]) == (upload["id"], "1")


@pytest.mark.parametrize("data", [b"", b"no picture", pictures.png()[:200]])
def test_what_is_no_picture_is_shown_as_such_and_not_retried(
    deployment: Deployment, client: httpx.Client, data: bytes
) -> None:
    """A failure record with the reason; the page shows it, `status` lists it, no queue keeps it."""
    key = put(deployment, data)
    image = await_image(client, key.rpartition("/")[2])
    assert image["state"] == "failed"
    assert image["error"]
    assert key in {failure["key"] for failure in status(deployment)["failures"]}
    assert count(deployment, "ImagesDeadLettersUrl") == 0


def test_a_flood_is_read_once_each(deployment: Deployment) -> None:
    """A hundred pictures at once: one reading each, nothing left in any queue of pictures."""
    flood = [put(deployment, pictures.png(), f"images/flood/{number}.png") for number in range(100)]
    services.wait_for(
        lambda: (
            {record["key"] for record in records(deployment, object_keys.READINGS)} >= set(flood)
        ),
        subject="flood",
        seconds=120,
    )
    read = [
        record["key"]
        for record in records(deployment, object_keys.READINGS)
        if record["key"].startswith("images/flood/")
    ]
    assert sorted(read) == sorted(flood)
    services.wait_for(lambda: count(deployment, "ImagesQueueUrl") == 0, subject="the queue")
    assert count(deployment, "ImagesDeadLettersUrl") == 0


def test_a_lost_permission_is_noticed_and_mended(deployment: Deployment) -> None:
    """No right to read pictures → tried twice → dead letter with the reason → right given back →
    redrive → read.
    """
    iam = deployment.client("iam")
    role = _function_role(deployment)
    policy = "reads-pictures-writes-readings"
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    document = document if isinstance(document, dict) else json.loads(document)
    crippled = {
        **document,
        "Statement": [
            statement
            for statement in document["Statement"]
            if statement["Action"] != "s3:GetObject"
        ],
    }
    hurried(deployment)
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(crippled))
    try:
        key = put(deployment, pictures.png())
        services.wait_for(
            lambda: count(deployment, "ImagesDeadLettersUrl"), subject="the dead letter", seconds=90
        )
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    [letter] = status(deployment)["dead_letters"]
    assert letter["keys"] == [key]
    assert "refuses" in letter["reason"]
    assert "tried 2 times" in letter["reason"]
    done = deployment.emulator.legibly("cloud", "status", check=False)
    assert done.returncode == 1
    assert "legibly cloud redrive" in done.stdout
    assert of(deployment, key) == []
    assert "1 put back" in deployment.emulator.legibly("cloud", "redrive").stdout
    services.wait_for(lambda: of(deployment, key), subject="the reading", seconds=60)
    assert len(of(deployment, key)) == 1
    after = status(deployment)
    assert after["dead_letters"] == []
    assert key not in {failure["key"] for failure in after["failures"]}


def test_a_message_that_is_none_becomes_a_dead_letter_with_its_reason(
    deployment: Deployment,
) -> None:
    """Poison harms nobody, and can be found and taken away."""
    hurried(deployment)
    sqs = deployment.client("sqs")
    sqs.send_message(QueueUrl=deployment.outputs["ImagesQueueUrl"], MessageBody="{poison")
    key = put(deployment, pictures.png())
    services.wait_for(lambda: of(deployment, key), subject="the other picture", seconds=60)
    services.wait_for(
        lambda: count(deployment, "ImagesDeadLettersUrl"), subject="the dead letter", seconds=90
    )
    [letter] = status(deployment)["dead_letters"]
    assert "not JSON" in letter["reason"]
    sqs.purge_queue(QueueUrl=deployment.outputs["ImagesDeadLettersUrl"])


def test_a_web_server_that_was_away_catches_up(deployment: Deployment, web: Server) -> None:
    """What is read while no web server runs waits, as `status` shows, and is on the page of the
    next, fresh or not.
    """
    web.stop()
    key = put(deployment, pictures.png(pictures.ZERO))
    services.wait_for(lambda: of(deployment, key), subject="the reading", seconds=60)
    services.wait_for(lambda: waiting(deployment, "records"), subject="the record in the queue")
    web.start()
    with httpx.Client(base_url=web.url, timeout=60) as client:
        before = await_image(client, key.rpartition("/")[2])
    database = web.environ["LEGIBLY_DATABASE"].replace("index.db", "fresh.db")
    fresh = Server(web.folder, services.free_port(), {**web.environ, "LEGIBLY_DATABASE": database})
    deployment.emulator.legibly(
        "reindex", "--store", deployment.outputs["Store"], "--database", database
    )
    fresh.start()
    try:
        with httpx.Client(base_url=fresh.url, timeout=60) as client:
            assert client.get(f"/api/images/{before['id']}").json()["reading"] == before["reading"]
    finally:
        fresh.stop()


def hurried(deployment: Deployment) -> None:
    """Let the queue try again after two seconds, so that the test does not have to wait."""
    deployment.client("sqs").set_queue_attributes(
        QueueUrl=deployment.outputs["ImagesQueueUrl"], Attributes={"VisibilityTimeout": "2"}
    )


def _function_role(deployment: Deployment) -> str:
    function = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.outputs["FunctionName"]
    )
    return str(function["Role"]).rpartition("/")[2]


def test_z_destroy_keeps_the_pictures_and_deploy_takes_them_over(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Destroyed, the stack and its code are gone and the bucket stays; deployed anew, it is the
    same bucket.
    """
    before = len(records(deployment, object_keys.READINGS))
    deployment.emulator.legibly("cloud", "destroy", "--yes")
    buckets = {bucket["Name"] for bucket in deployment.client("s3").list_buckets()["Buckets"]}
    assert deployment.bucket in buckets
    assert not [name for name in buckets if "-code-" in name]
    assert deployment.emulator.legibly("cloud", "status", check=False).returncode == 1
    for name, value in deployment.emulator.environ.items():
        monkeypatch.setenv(name, value)
    outputs = deploy.deploy(
        Plan(parameters=SHORT), aws=Aws(), report=lambda _line: None, code=deployment.code
    )
    deployment.emulator.limit_functions()
    assert outputs["BucketName"] == deployment.bucket
    assert len(records(deployment, object_keys.READINGS)) == before > 0
    key = put(deployment, pictures.png())
    services.wait_for(lambda: of(deployment, key), subject="the reading", seconds=60)
    deployment.emulator.legibly("cloud", "destroy", "--yes", "--data")
    assert deployment.client("s3").list_buckets()["Buckets"] == []
