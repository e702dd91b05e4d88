"""The templates: without a finding of cfn-lint, and with what no emulator enforces."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from legibly.cloud import prices

pytest.importorskip("cfnlint", reason="cfn-lint is not installed; `make test-all` brings it")
pytestmark = pytest.mark.service("cfn-lint")
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    from cfnlint import decode

    template, findings = decode.decode(str(DEPLOY / "legibly.yaml"))
    assert not findings
    return dict(template["Resources"])


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def statements(resources: dict[str, dict[str, Any]], role: str) -> Iterator[dict[str, Any]]:
    for policy in resources[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


@pytest.mark.parametrize("name", ["legibly.yaml", "accuracy.yaml"])
def test_cfn_lint_finds_nothing(name: str) -> None:
    """No error, warning or hint."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(DEPLOY / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_function_may_do_what_it_does_and_no_more(resources: dict[str, dict[str, Any]]) -> None:
    """Read pictures and readings, write readings and failures, take from its queue, log: nothing
    else, nowhere else.
    """
    allowed = set()
    for statement in statements(resources, "FunctionRole"):
        actions = statement["Action"]
        allowed |= set(actions) if isinstance(actions, list) else {actions}
        assert statement["Effect"] == "Allow"
        assert statement["Resource"] != "*"
    assert allowed == {
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListBucket",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    }
    writes = [
        text["Fn::Sub"]
        for statement in statements(resources, "FunctionRole")
        if statement["Action"] == "s3:PutObject"
        for text in statement["Resource"]
    ]
    assert [key.rpartition("${AWS::Region}/")[2] for key in writes] == [
        "records/readings/*",
        "records/failures/*",
    ]


def test_no_role_may_do_everything_anywhere(resources: dict[str, dict[str, Any]]) -> None:
    """No wildcard action, no wildcard resource in any role."""
    for name in ("FunctionRole", "WebRole", "ModelRole"):
        for statement in statements(resources, name):
            actions = (
                statement["Action"]
                if isinstance(statement["Action"], list)
                else [statement["Action"]]
            )
            assert not [action for action in actions if action.endswith("*")]
            assert statement["Resource"] != "*"


def test_nothing_is_open_to_the_world(resources: dict[str, dict[str, Any]]) -> None:
    """Every way in is from CloudFront's list or another group; no SSH, no key, no port from
    anywhere.
    """
    ways = [
        way
        for group in of_type(resources, "AWS::EC2::SecurityGroup")
        for way in group.get("SecurityGroupIngress", [])
    ]
    assert ways
    for way in ways:
        assert "CidrIp" not in way
        assert way["FromPort"] != 22
        assert "SourcePrefixListId" in way or "SourceSecurityGroupId" in way
    for template in of_type(resources, "AWS::EC2::LaunchTemplate"):
        assert "KeyName" not in template["LaunchTemplateData"]


def test_instances_ask_for_their_metadata_with_a_token(
    resources: dict[str, dict[str, Any]],
) -> None:
    """IMDSv2 alone, one hop; disks encrypted."""
    templates = [
        template["LaunchTemplateData"]
        for template in of_type(resources, "AWS::EC2::LaunchTemplate")
    ]
    assert len(templates) == 2
    for template in templates:
        assert template["MetadataOptions"]["HttpTokens"] == "required"
        assert template["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert template["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_the_bucket_is_private_encrypted_versioned_and_kept(
    resources: dict[str, dict[str, Any]],
) -> None:
    """And deleted with nobody's stack."""
    bucket = resources["Bucket"]
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    [statement] = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_every_queue_has_dead_letters_and_their_alarm(resources: dict[str, dict[str, Any]]) -> None:
    """What fails for good is kept for two weeks, and somebody is told."""
    queues = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::SQS::Queue"
    }
    alarmed = {
        str(alarm["Dimensions"][0]["Value"])
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm")
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    for name, queue in queues.items():
        assert queue["MessageRetentionPeriod"] == 14 * 86400
        if "DeadLetters" in name:
            assert any(name in value for value in alarmed)
        else:
            assert "DeadLetters" in str(queue["RedrivePolicy"]["deadLetterTargetArn"])


def test_pictures_alone_start_the_function(resources: dict[str, dict[str, Any]]) -> None:
    """The bucket tells the pictures' queue of `images/` only, so that what is written can never
    start it.
    """
    configurations = resources["Bucket"]["Properties"]["NotificationConfiguration"][
        "QueueConfigurations"
    ]
    for configuration in configurations:
        [rule] = configuration["Filter"]["S3Key"]["Rules"]
        assert (rule["Value"] == "images/") == ("ImagesQueue" in str(configuration["Queue"]))
        assert rule["Value"] in ("images/", "records/readings/", "records/failures/")
    assert resources["Trigger"]["Properties"]["FunctionResponseTypes"] == [
        "ReportBatchItemFailures"
    ]


def test_the_estimate_knows_every_alarm_and_secret(resources: dict[str, dict[str, Any]]) -> None:
    """What is paid by the piece is counted as often as the template makes it."""
    conditions = {
        kind: sorted(
            resource.get("Condition", "")
            for resource in resources.values()
            if resource["Type"] == kind
        )
        for kind in ("AWS::CloudWatch::Alarm", "AWS::SecretsManager::Secret")
    }
    alarms = [""] * prices.ALARMS + ["HasWeb"] * prices.WEB_ALARMS
    assert conditions["AWS::CloudWatch::Alarm"] == alarms
    assert conditions["AWS::SecretsManager::Secret"] == ["HasOidcSecret", "HasWeb", "IsScale"]
