"""A bucket that exists before its stack, with settings from elsewhere."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import emulator as emulators
from legibly import errors
from legibly.cloud import bucket
from legibly.cloud.aws import Aws

pytestmark = pytest.mark.service("ministack")


@pytest.fixture
def account(emulator: emulators.Emulator, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The emulated account as this process's own."""
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    return Aws()


@pytest.fixture
def s3(account: Aws) -> Iterator[Any]:
    """S3 with a bucket of the stack's name and no settings."""
    client = account.client("s3")
    client.create_bucket(Bucket="before-legibly")
    client.delete_public_access_block(Bucket="before-legibly")
    yield client
    client.delete_bucket(Bucket="before-legibly")


@pytest.fixture
def outputs(account: Aws) -> Iterator[dict[str, str]]:
    """Outputs of a stack that took the bucket over."""
    sqs = account.client("sqs")
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}}
    statement |= {"Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    urls = {
        name: sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
        for name in ("images-now", "records-now")
    }
    yield {
        "BucketName": "before-legibly",
        "ImagesQueueUrl": urls["images-now"],
        "RecordsQueueUrl": urls["records-now"],
        "Address": "https://digits.example.org",
        "CloudFrontName": "d1.cloudfront.net",
    }
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


def test_a_bucket_with_other_settings_gets_those_of_the_template(
    account: Aws, s3: Any, outputs: dict[str, str]
) -> None:
    """Queues, EventBridge, versions, no public access, uploads from both names of the page; done
    again, nothing is written.
    """
    lines: list[str] = []
    bucket.check(account, "before-legibly", account.account())
    bucket.settle(account, outputs, lines.append)
    assert len(lines) == 4
    notifications = s3.get_bucket_notification_configuration(Bucket="before-legibly")
    assert len(notifications["QueueConfigurations"]) == 3
    assert "EventBridgeConfiguration" in notifications
    assert s3.get_bucket_versioning(Bucket="before-legibly")["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket="before-legibly")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    [rule] = s3.get_bucket_cors(Bucket="before-legibly")["CORSRules"]
    assert rule["AllowedOrigins"] == ["https://d1.cloudfront.net", "https://digits.example.org"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket="before-legibly")["Rules"]
    assert [rule["ID"] for rule in rules] == [rule["ID"] for rule in bucket.LIFECYCLE]
    bucket.settle(account, outputs, lines.append)
    assert len(lines) == 4


def test_a_key_that_the_function_may_not_use_is_refused(account: Aws, s3: Any) -> None:
    """Before anything is created: the key's name, and the command that takes it away."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:us-east-1:1:key/mine"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket="before-legibly", ServerSideEncryptionConfiguration=rules)
    with pytest.raises(errors.Conflict, match=r"key/mine.*aws s3api delete-bucket-encryption"):
        bucket.check(account, "before-legibly", account.account())
    s3.delete_bucket_encryption(Bucket="before-legibly")
    bucket.check(account, "before-legibly", account.account())
    bucket.check(account, "no-such-bucket", account.account())


def test_erasure_reaches_every_version_of_what_was_deleted(account: Aws, s3: Any) -> None:
    """Versions and markers of deleted objects go; those of present objects stay."""
    s3.put_bucket_versioning(Bucket="before-legibly", VersioningConfiguration={"Status": "Enabled"})
    for key in ("images/deleted.png", "images/present.png"):
        for content in (b"first", b"second"):
            s3.put_object(Bucket="before-legibly", Key=key, Body=content)
    s3.delete_object(Bucket="before-legibly", Key="images/deleted.png")
    assert bucket.forget_deleted(account, "before-legibly") == 1
    listed = s3.list_object_versions(Bucket="before-legibly")
    assert {entry["Key"] for entry in listed["Versions"]} == {"images/present.png"}
    assert len(listed["Versions"]) == 2
    assert not listed.get("DeleteMarkers")
    assert bucket.forget_deleted(account, "before-legibly") == 0
    s3.delete_object(Bucket="before-legibly", Key="images/present.png")
    assert bucket.forget_deleted(account, "before-legibly") == 1
