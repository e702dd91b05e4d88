"""The accuracy job on EMR Serverless: what it is given, that its package runs, what comes back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

import services
from accuracy import cases
from cloud import emr_serverless
from legibly import errors, object_keys
from legibly import store as stores
from legibly.accuracy import report
from legibly.accuracy.engines import spark_arguments
from legibly.accuracy.render import html
from legibly.cloud import accuracy, package
from legibly.cloud.artifacts import ArtifactBucket
from legibly.cloud.aws import Aws

TEMPLATE = Path(__file__).parents[2] / "deploy" / "accuracy.yaml"
VALUES = {
    "AWS::Partition": "aws", "DataBucket": "images", "ArtifactBucket": "images",
    "JobMinutes": "120",
    "Python": "/usr/bin/python3.11", "Application": emr_serverless.APPLICATION,
    "Logs": "/legibly/x/spark",
    "JobRole.Arn": "arn:aws:iam::123456789012:role/legibly-accuracy-JobRole", "Nightly": "off",
    "Athena": "off", "Whole": f"other,{cases.MODELS[0]}",
}  # fmt: skip
PARTS = [
    cases.NASTY,
    [
        json.dumps(cases.pair(f"i{n}", str(n % 12), str(n % 7), confidence=n / 300))
        for n in range(300)
    ],
]


def _template() -> dict[str, Any]:
    decode = pytest.importorskip(
        "cfnlint.decode", reason="cfn-lint is not installed; `make test-all` brings it"
    )
    matches, findings = decode.decode(str(TEMPLATE))
    assert not findings
    return dict(matches)


def _filled(value: Any, values: dict[str, str]) -> str:
    """What CloudFormation makes of a Ref, a Sub or a GetAtt."""
    if "Ref" in value:
        return values[value["Ref"]]
    if "Fn::GetAtt" in value:
        return values[".".join(value["Fn::GetAtt"])]
    return re.sub(r"\$\{([\w:.]+)\}", lambda match: values[match[1]], value["Fn::Sub"])


def _outputs(values: dict[str, str]) -> dict[str, str]:
    return {
        name: _filled(output["Value"], values) for name, output in _template()["Outputs"].items()
    }


def test_the_nightly_job_is_the_one_of_the_command() -> None:
    """The schedule's input is a request that StartJobRun takes, and the command's but for name and
    report.
    """
    values = {**VALUES, "JobScript": "accuracy/a.py", "JobPackage": "accuracy/b.zip"}
    target = _template()["Resources"]["Night"]["Properties"]["Target"]
    assert target["Arn"]["Fn::Sub"].endswith(":scheduler:::aws-sdk:emrserverless:startJobRun")
    nightly = _lowered(json.loads(_filled(target["Input"], values)))
    requested = accuracy._job(_outputs(values), "s3://images/reports/x.json")
    shape = (
        boto3.client("emr-serverless", "us-east-1")
        .meta.service_model.operation_model("StartJobRun")
        .input_shape
    )
    for request in (nightly, {**requested, "clientToken": "x"}):
        assert not ParamValidator().validate(request, shape).has_errors()
    arguments = nightly["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert arguments.pop(5) == "s3://images/reports/nightly-<aws.scheduler.execution-id>.json"
    assert (
        requested["jobDriver"]["sparkSubmit"]["entryPointArguments"].pop(5)
        == "s3://images/reports/x.json"
    )
    assert nightly.pop("clientToken") == "<aws.scheduler.execution-id>"
    assert {**nightly, "name": ""} == {**requested, "name": ""}


def _lowered(value: Any) -> Any:
    """The scheduler writes the API's names with a capital."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: _lowered(part) for name, part in value.items()}
    return value


def test_roles_may_do_their_one_thing() -> None:
    """The schedule's role starts jobs of this application as this role; the job's role writes
    reports alone.
    """
    resources = _template()["Resources"]
    night = _allowed(resources["NightRole"])
    job = _allowed(resources["JobRole"])
    assert set(night) == {"emr-serverless:StartJobRun", "iam:PassRole"}
    assert night["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}
    }
    assert all(statement["Resource"] != "*" for statement in night.values())
    assert job["s3:PutObject"]["Resource"]["Fn::Sub"].endswith("${DataBucket}/reports/*")
    assert [action for action, statement in job.items() if statement["Resource"] == "*"] == [
        "logs:DescribeLogGroups"
    ]


def _allowed(role: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The statement of each action."""
    matches: dict[str, dict[str, Any]] = {}
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            matches |= dict.fromkeys([actions] if isinstance(actions, str) else actions, statement)
    return matches


@pytest.fixture
def bucket(seaweedfs: services.S3Server, monkeypatch: pytest.MonkeyPatch) -> services.S3Server:
    """A real bucket with pairs, and the variables that lead to it."""
    for name, value in seaweedfs.environ.items():
        monkeypatch.setenv(name, value)
    return seaweedfs


@pytest.fixture
def standin(
    bucket: services.S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[emr_serverless.StandIn]:
    """A stand-in for EMR Serverless before that bucket."""
    with emr_serverless.running(tmp_path, bucket.environ) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EMR_SERVERLESS", server.url)
        yield server


@pytest.mark.service("spark")
@pytest.mark.service("seaweedfs")
@pytest.mark.timeout(400)
def test_the_package_runs_and_its_report_comes_back(
    standin: emr_serverless.StandIn, tmp_path: Path
) -> None:
    """The uploaded script and package go through spark-submit over the bucket: the reference's
    report, and its page.

    The job's Python has no site-packages, so everything but Spark itself comes out of the package.
    """
    aws = Aws(region="us-east-1")
    message = list[str]()
    script, archive = package.job(tmp_path)
    bucket = ArtifactBucket(aws, "images", "123456789012")
    values = {
        **VALUES,
        "JobScript": bucket.upload(script, "accuracy", ".py", message.append),
        "JobPackage": bucket.upload(archive, "accuracy", ".zip", message.append),
    }
    outputs = {**_outputs(values), "Store": "s3://images/cloud-accuracy"}
    store = stores.open_store(outputs["Store"], environ=standin.environ)
    for number, part in enumerate(PARTS):
        store.create(f"{object_keys.PAIRS}date=2026-11-22/{number}.jsonl", "\n".join(part).encode())
    key, encoded = accuracy.run(outputs, aws=aws, report=message.append, poll_seconds=0.2)
    expected = report.build(cases.expected(PARTS), single_label=[cases.MODELS[0]])
    assert expected != report.build(cases.expected(PARTS))
    assert encoded == store.read(key) == report.encode(expected), standin.log.read_text()[-3000:]
    assert store.read(key.removesuffix("json") + "html").decode() == html.render(
        json.loads(encoded)
    )
    states = [line.split()[-1] for line in message if re.match(r" +\d+:\d\d  ", line)]
    assert (states[0] in ("submitted", "scheduled", "running"), states[-1]) == (True, "success")
    [requested] = standin.requests
    assert len(requested["clientToken"]) >= 32


@pytest.mark.service("spark")
@pytest.mark.service("seaweedfs")
def test_a_job_that_fails_says_why_and_where_to_look(standin: emr_serverless.StandIn) -> None:
    """EMR's own words, the job's id and the log group, in one line; an unknown application
    likewise.
    """
    outputs = _outputs(
        {**VALUES, "JobScript": "accuracy/no such.py", "JobPackage": "accuracy/no such.zip"}
    )
    with pytest.raises(
        errors.Unavailable, match=r"FAILED: .*entry point.*log group /legibly/x/spark"
    ):
        accuracy.run(outputs, aws=Aws(region="us-east-1"), report=lambda _: None, poll_seconds=0.05)
    with pytest.raises(errors.NotFound, match="Application not found"):
        accuracy.run(
            {**outputs, "ApplicationId": "0"}, aws=Aws(region="us-east-1"), report=lambda _: None
        )


def test_the_step_for_emr_on_ec2_has_the_jobs_arguments() -> None:
    """The step of the guide: options that `spark-submit` has, and arguments that the job takes."""
    spark_job = pytest.importorskip("legibly.accuracy.engines.spark_job")
    guide = Path(__file__).parents[2] / "docs" / "guides" / "accuracy.md"
    [step] = re.findall(r"Args=\[([^]]*)\]", guide.read_text(encoding="utf-8"))
    words = step.split(",")
    script = words.index("s3://bucket/job/spark_job.py")
    assert words[:script:2] == ["--conf", "--py-files"]
    assert words[words.index("--py-files") + 1].endswith(f"/{package.JOB_ARCHIVE}")
    options = spark_job.parser().parse_args(words[script + 1 :])
    spark_arguments.check_addresses(store=options.store, out=options.out)
    assert options.html
