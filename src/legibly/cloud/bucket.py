"""The bucket of images and records: what CloudFormation leaves as it was when it takes it over."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from legibly import errors
from legibly.cloud.aws import Aws, translated
from legibly.cloud.stack import Report

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_EVERYTHING = {"Status": "Enabled", "Filter": {"Prefix": ""}}
LIFECYCLE = [
    {
        "ID": "unfinished-uploads",
        **_EVERYTHING,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
    {
        "ID": "undone-no-more",
        "Status": "Enabled",
        "Filter": {"Prefix": "deleted/"},
        "Expiration": {"Days": 1},
    },
    {
        "ID": "answers-of-athena",
        "Status": "Enabled",
        "Filter": {"Prefix": "athena/"},
        "Expiration": {"Days": 7},
    },
    {
        "ID": "replaced-and-deleted",
        **_EVERYTHING,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
]
"""The rules of the template, as S3 takes them."""
_UNSET = {
    "NoSuchLifecycleConfiguration",
    "NoSuchCORSConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
}


def check(aws: Aws, name: str, account: str) -> None:
    """Refuse a bucket of this name that the stack could not use; none at all is well.

    Raises Conflict if it is another account's, or if it encrypts with a key of its own, which the
    roles of the stack may not use.
    """
    client = aws.client("s3")
    try:
        with translated(name):
            client.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except errors.NotFound:
        return
    except errors.Forbidden as error:
        raise errors.Conflict(
            "another account owns this bucket, or you may not see it.",
            where=name,
            remedy="Choose another name: --stack NAME.",
        ) from error
    key = _own_key(client, name)
    if key:
        raise errors.Conflict(
            f"it encrypts with the key {key}, which the stack's roles may not use.",
            where=name,
            remedy="Give it S3's own key, then deploy again: aws s3api delete-bucket-encryption "
            f"--bucket {name}.",
        )


def _own_key(client: Any, name: str) -> str:
    answer = _read(client.get_bucket_encryption, name)
    for rule in answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", []):
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        key = str(default.get("KMSMasterKeyID", ""))
        if key and not key.endswith("alias/aws/s3"):
            return key
    return ""


def settle(aws: Aws, outputs: dict[str, str], report: Report) -> None:
    """Give a bucket the settings of the template that it lacks.

    CloudFormation leaves a bucket that it imports as it was: with the queues and the page of an
    older stack, or with settings from elsewhere.
    """
    client = aws.client("s3")
    name = outputs["BucketName"]
    with translated(name):
        _notify(client, name, _queues(aws, outputs), report)
        if _read(client.get_bucket_versioning, name).get("Status") != "Enabled":
            report(f"turning on the versions of {name}")
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        _expire(client, name, report)
        _close(client, name, report)
        _allow_uploads(client, name, outputs)


def _expire(client: Any, name: str, report: Report) -> None:
    """Let versions of deleted objects expire, unless its rules are the template's."""
    rules = _read(client.get_bucket_lifecycle_configuration, name).get("Rules", [])
    if {rule.get("ID") for rule in rules} != {rule["ID"] for rule in LIFECYCLE}:
        report(f"setting the expiry of deleted versions in {name}")
        client.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": LIFECYCLE}
        )


def _close(client: Any, name: str, report: Report) -> None:
    """Block public access."""
    answer = _read(client.get_public_access_block, name)
    if not all(answer.get("PublicAccessBlockConfiguration", {}).get(block) for block in _BLOCKS):
        report(f"blocking public access to {name}")
        client.put_public_access_block(
            Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True)
        )


def _allow_uploads(client: Any, name: str, outputs: dict[str, str]) -> None:
    """Let browsers upload from the page, by its domain and by CloudFront's own name."""
    if "Address" not in outputs:
        return
    origins = sorted({outputs["Address"], f"https://{outputs['CloudFrontName']}"})
    rules = _read(client.get_bucket_cors, name).get("CORSRules", [])
    if set(origins) <= {origin for rule in rules for origin in rule["AllowedOrigins"]}:
        return
    rule = {"AllowedOrigins": origins, "AllowedMethods": ["PUT"]}
    rule["AllowedHeaders"] = ["content-type", "if-none-match"]
    client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})


def _notify(client: Any, name: str, queues: dict[str, str], report: Report) -> None:
    """Point its notifications to the stack's queues and to EventBridge."""
    present = _read(client.get_bucket_notification_configuration, name)
    targets = {
        rule["Value"]: entry["QueueArn"]
        for entry in present.get("QueueConfigurations", [])
        for rule in entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    }
    if targets == queues and "EventBridgeConfiguration" in present:
        return
    report(f"connecting the bucket {name} to the stack")
    client.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={
            "QueueConfigurations": [_notification(*item) for item in queues.items()],
            "EventBridgeConfiguration": {},
        },
    )


def _queues(aws: Aws, outputs: dict[str, str]) -> dict[str, str]:
    records = _queue_arn(aws, outputs["RecordsQueueUrl"])
    return {
        "images/": _queue_arn(aws, outputs["ImagesQueueUrl"]),
        "records/readings/": records,
        "records/failures/": records,
    }


def _notification(prefix: str, queue_arn: str) -> dict[str, Any]:
    return {
        "QueueArn": queue_arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }


def _queue_arn(aws: Aws, url: str) -> str:
    with translated(url):
        answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def _read(call: Any, name: str) -> dict[str, Any]:
    """A setting of the bucket; empty where it is not set."""
    try:
        return dict(call(Bucket=name))
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNSET:
            return {}
        raise


def remove(aws: Aws, name: str, report: Report) -> None:
    """Delete a bucket of this account with every version in it; without one, do nothing."""
    client = aws.client("s3")
    owner = {"Bucket": name, "ExpectedBucketOwner": aws.account()}
    try:
        with translated(name):
            client.head_bucket(**owner)
    except errors.NotFound:
        return
    report(f"emptying and deleting the bucket {name}")
    with translated(name):
        for versions in _versions(client, owner):
            _delete(client, owner, versions)
        client.delete_bucket(**owner)


def forget_deleted(aws: Aws, name: str) -> int:
    """Delete every version of the objects that were deleted; returns how many objects.

    Without it S3 keeps those versions until the bucket's rule for them expires.
    """
    client = aws.client("s3")
    bucket = {"Bucket": name}
    deleted = set()
    with translated(name):
        for page in client.get_paginator("list_object_versions").paginate(**bucket):
            markers = page.get("DeleteMarkers", [])
            deleted |= {marker["Key"] for marker in markers if marker["IsLatest"]}
        for versions in _versions(client, bucket):
            _delete(client, bucket, [entry for entry in versions if entry["Key"] in deleted])
    return len(deleted)


def _versions(client: Any, bucket: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    """Pages of the versions and delete markers of a bucket."""
    for page in client.get_paginator("list_object_versions").paginate(**bucket):
        yield [*page.get("Versions", []), *page.get("DeleteMarkers", [])]


def _delete(client: Any, bucket: dict[str, str], versions: list[dict[str, Any]]) -> None:
    keys = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in versions]
    if keys:
        client.delete_objects(**bucket, Delete={"Objects": keys, "Quiet": True})
