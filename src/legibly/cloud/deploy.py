"""Does what a plan says: package, upload, apply the template; and takes it all away again."""

import contextlib
import json
import secrets
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from legibly import errors
from legibly.cloud import package
from legibly.cloud.aws import Aws, translated
from legibly.cloud.plan import Plan, template
from legibly.cloud.stack import Report, Stack
from legibly.people.accounts import Accounts
from legibly.store import open_store

_CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"
_ANSWER_SECONDS = 900


def deploy(
    plan: Plan,
    *,
    aws: Aws,
    report: Report,
    code: tuple[Path, Path | None] | None = None,
    with_wheels: bool = False,
) -> dict[str, str]:
    """Bring the stack to what the plan says; returns its outputs.

    `code` spares building: the function's zip and the servers' archive. Raises Invalid with CloudFormation's reason.
    """
    account = aws.account()
    bucket = plan.artifact_bucket(account, aws.region)
    with tempfile.TemporaryDirectory(prefix="legibly-") as folder:
        if code is None:
            report(
                "building the function's zip"
                + (" and the servers' archive" if plan.has_servers else "")
            )
            web = (
                package.web_archive(Path(folder), with_wheels=with_wheels)
                if plan.has_servers
                else None
            )
            code = (package.function_zip(Path(folder)), web)
        _make_bucket(aws, bucket, report)
        keys = {"FunctionCode": upload(aws, bucket, code[0], "function", ".zip", report)}
        if code[1]:
            keys["WebCode"] = upload(aws, bucket, code[1], "web", ".tar.gz", report)
        source = Path(folder) / "legibly.yaml"
        source.write_text(
            _named(template(), plan.data_bucket(account, aws.region)), encoding="utf-8"
        )
        key = upload(aws, bucket, source, "template", ".yaml", report)
    stack = Stack(aws, plan.stack)
    parameters = {**plan.template_parameters(), "ArtifactBucket": bucket, **keys}
    if plan.has_web:
        parameters |= {
            "OriginSecret": _origin_secret(aws, bucket),
            "CloudFrontPrefixList": _prefix_list(aws),
        }
    where = {"TemplateURL": f"{_bucket_url(aws, bucket)}/{key}"}
    if not stack.apply(where, parameters, report=report):
        report("nothing had to change")
    outputs = stack.outputs()
    _connect(aws, outputs, report)
    return outputs


def make_admin(outputs: dict[str, str], *, aws: Aws) -> str | None:
    """See to it that somebody can sign in: the password of a new `admin`, None where there was an administrator.

    It is the one of the stack's secret, which a web server that comes first makes the same account with.
    """
    book = Accounts(open_store(outputs["Store"], environ=aws.environ()))
    book.refresh()
    if book.has_admin():
        return None
    secret = outputs["AdminPassword"]
    with translated(secret):
        text = aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    password = str(json.loads(text)["password"])
    with contextlib.suppress(errors.Conflict):
        book.add("admin", role="admin", password=password)
    return password


def await_answer(address: str, *, report: Report) -> bool:
    """Wait until the web page answers; False where it does not within a quarter of an hour."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    report(f"waiting for {address} (a new web server takes some three minutes)")
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:  # noqa: S310
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(5)
    return False


def destroy(plan: Plan, *, aws: Aws, report: Report, with_data: bool) -> None:
    """Delete the stack and the code; the bucket of pictures and records only where `with_data` says so."""
    account = aws.account()
    for name in (plan.accuracy_stack, plan.stack):
        Stack(aws, name).delete(report=report)
    _remove_bucket(aws, plan.artifact_bucket(account, aws.region), report)
    data = plan.data_bucket(account, aws.region)
    if with_data:
        _remove_bucket(aws, data, report)
    else:
        report(f"the bucket {data} stays: a later deploy of the same name takes it over")


def _named(text: str, bucket: str) -> str:
    """The template with the bucket's name spelt out: CloudFormation takes over existing resources only so."""
    computed = 'BucketName: !Sub "${AWS::StackName}-${AWS::AccountId}-${AWS::Region}"'
    if computed not in text:
        raise errors.Invalid("the bucket's name is not where it is expected.", where="legibly.yaml")
    return text.replace(computed, f"BucketName: {bucket}")


def _connect(aws: Aws, outputs: dict[str, str], report: Report) -> None:
    """See to it that the bucket tells this stack's queues, and lets this stack's pages put.

    CloudFormation leaves a bucket that it takes over as it was, with queues and pages of a stack long gone.
    """
    client, bucket = aws.client("s3"), outputs["BucketName"]
    wanted = {
        "images/": _queue_arn(aws, outputs["ImagesQueueUrl"]),
        "records/readings/": _queue_arn(aws, outputs["RecordsQueueUrl"]),
        "records/failures/": _queue_arn(aws, outputs["RecordsQueueUrl"]),
    }
    with translated(bucket):
        found = client.get_bucket_notification_configuration(Bucket=bucket).get(
            "QueueConfigurations", []
        )
        present = {
            rule["Value"]: entry["QueueArn"]
            for entry in found
            for rule in entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        }
        if present == wanted:
            return
        report(f"connecting the bucket {bucket} to this stack's queues")
        told = [
            {
                "QueueArn": arn,
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
            }
            for prefix, arn in wanted.items()
        ]
        client.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": told}
        )
        if "Address" in outputs:
            rule = {"AllowedOrigins": [outputs["Address"]], "AllowedMethods": ["PUT"]}
            rule["AllowedHeaders"] = ["content-type", "if-none-match"]
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


def _queue_arn(aws: Aws, url: str) -> str:
    with translated(url):
        answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def _make_bucket(aws: Aws, name: str, report: Report) -> None:
    client = aws.client("s3")
    with translated(name):
        try:
            client.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
        else:
            return
        report(f"making the bucket {name}")
        place: dict[str, Any] = {}
        if aws.region != "us-east-1":
            place = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
        client.create_bucket(Bucket=name, **place)
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
            True,
        )
        client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)


def upload(aws: Aws, bucket: str, path: Path, folder: str, suffix: str, report: Report) -> str:
    """Upload under a key made of the content, unless it lies there already; returns the key."""
    key = f"{folder}/{package.version(path)}{suffix}"
    client = aws.client("s3")
    with translated(f"s3://{bucket}/{key}"):
        try:
            client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise
            report(f"uploading {key} ({path.stat().st_size / 1e6:.1f} MB)")
            client.upload_file(str(path), bucket, key)
    return key


def _bucket_url(aws: Aws, bucket: str) -> str:
    """The bucket's address in the form that CloudFormation takes templates from."""
    endpoint = aws.client("s3").meta.endpoint_url
    if "amazonaws.com" in endpoint:
        return f"https://{bucket}.s3.{aws.region}.amazonaws.com"
    return f"{endpoint}/{bucket}"


def _origin_secret(aws: Aws, bucket: str) -> str:
    """The word between CloudFront and the load balancer: made once, kept with the code."""
    client, key = aws.client("s3"), "origin-secret"
    with translated(f"s3://{bucket}/{key}"):
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise
            content = secrets.token_urlsafe(32).encode()
            client.put_object(Bucket=bucket, Key=key, Body=content)
    return content.decode()


def _prefix_list(aws: Aws) -> str:
    """The addresses from which CloudFront calls, as this region names them."""
    wanted = [{"Name": "prefix-list-name", "Values": [_CLOUDFRONT]}]
    with translated("EC2 prefix lists"):
        found = aws.client("ec2").describe_managed_prefix_lists(Filters=wanted)["PrefixLists"]
    if not found:
        raise errors.NotFound(f"this region has no prefix list {_CLOUDFRONT}.", where=aws.region)
    return str(found[0]["PrefixListId"])


def _remove_bucket(aws: Aws, name: str, report: Report) -> None:
    client = aws.client("s3")
    try:
        with translated(name):
            client.head_bucket(Bucket=name)
    except errors.NotFound:
        return
    report(f"emptying and deleting the bucket {name}")
    with translated(name):
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            doomed = [
                {"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions
            ]
            if doomed:
                client.delete_objects(Bucket=name, Delete={"Objects": doomed, "Quiet": True})
        client.delete_bucket(Bucket=name)
