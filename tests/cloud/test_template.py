"""The templates: without a finding of cfn-lint, and with what no emulator enforces."""

import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
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
    """The statements of a role, except those of X-Ray, whose calls know no resources."""
    for policy in resources[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            condition, granted, _ = statement.get("Fn::If", ("", statement, None))
            if condition != "HasXray":
                yield granted


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
    assert set(written(resources)) == {
        f"{folder}{name}/*"
        for folder in ("", "projects/*/")
        for name in ("records/readings", "records/failures", "records/models", "reports/shadow")
    }


def written(resources: dict[str, dict[str, Any]]) -> list[str]:
    """The keys that the function may write, as its role names them."""
    return [
        text["Fn::Sub"].rpartition("${AWS::Region}/")[2]
        for statement in statements(resources, "FunctionRole")
        if statement["Action"] == "s3:PutObject"
        for text in statement["Resource"]
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


def announced(resources: dict[str, dict[str, Any]], queue: str) -> set[str]:
    """The patterns of keys of which a queue is told, by S3 itself and by rules."""
    own = resources["Bucket"]["Properties"]["NotificationConfiguration"]
    prefixes = {
        f"{configuration['Filter']['S3Key']['Rules'][0]['Value']}*"
        for configuration in own["QueueConfigurations"]
        if queue in str(configuration["Queue"])
    }
    patterns = {
        key["wildcard"]
        for rule in of_type(resources, "AWS::Events::Rule")
        if queue in str(rule["Targets"])
        for key in rule["EventPattern"]["detail"]["object"]["key"]
    }
    return prefixes | patterns


def test_pictures_alone_start_the_function(resources: dict[str, dict[str, Any]]) -> None:
    """Its queue is told of images of every project, the other of readings and failures; nothing
    that the function may write can start it.
    """
    assert announced(resources, "ImagesQueue") == {"images/*", "projects/*/images/*"}
    assert announced(resources, "RecordsQueue") == {
        f"{folder}records/{name}/*"
        for folder in ("", "projects/*/")
        for name in ("readings", "failures")
    }
    for key in written(resources):
        assert not [
            pattern
            for pattern in announced(resources, "ImagesQueue")
            if fnmatch(key.replace("*", "x"), pattern)
        ]


def test_rules_may_reach_their_queues(resources: dict[str, dict[str, Any]]) -> None:
    """Each queue's policy names the rule that sends to it, by the name that the rule has."""
    rules = of_type(resources, "AWS::Events::Rule")
    assert len(rules) == 2
    for rule in rules:
        queue = rule["Targets"][0]["Arn"]["Fn::GetAtt"][0]
        policy = resources[f"{queue}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        [own] = [part for part in policy if part["Principal"]["Service"] == "events.amazonaws.com"]
        source = own["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
        assert source.endswith(f":rule/{rule['Name']['Fn::Sub']}")


def test_the_function_is_started_by_pictures_it_can_give_back(
    resources: dict[str, dict[str, Any]],
) -> None:
    """A picture that failed comes again by itself, without those of the same delivery."""
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
