"""The bucket for code packages: created once, and used only if this account owns it."""

import secrets
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from legibly import errors
from legibly.cloud import package
from legibly.cloud.aws import Aws, translated
from legibly.cloud.stack import Report

_ABSENT = ("404", "NoSuchBucket", "NoSuchKey")
LOG_DAYS = 90


class ArtifactBucket:
    """A bucket with a predictable name, which somebody else could have created first.

    Each request names the expected owner, so S3 refuses to serve or accept code elsewhere.
    """

    def __init__(self, aws: Aws, name: str, account: str) -> None:
        self.name = name
        self.account = account
        self._client = aws.client("s3")
        self._region = aws.region
        self._owner = {"Bucket": name, "ExpectedBucketOwner": account}

    def create(self, report: Report) -> None:
        """Create it unless it exists. Raises Conflict if another account owns the name."""
        if self._exists():
            return
        report(f"creating the bucket {self.name}")
        place: dict[str, Any] = {}
        if self._region != "us-east-1":
            place = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
        logs = {
            "ID": "logs",
            "Status": "Enabled",
            "Filter": {"Prefix": "logs/"},
            "Expiration": {"Days": LOG_DAYS},
        }
        with translated(self.name):
            self._client.create_bucket(Bucket=self.name, **place)
            self._client.put_public_access_block(
                **self._owner,
                PublicAccessBlockConfiguration=dict.fromkeys(
                    (*blocks, "RestrictPublicBuckets"), True
                ),
            )
            self._client.put_bucket_lifecycle_configuration(
                **self._owner, LifecycleConfiguration={"Rules": [logs]}
            )

    def upload(self, path: Path, folder: str, suffix: str, report: Report) -> str:
        """Upload under a key with the content's hash, unless it is there; returns the key."""
        key = f"{folder}/{package.version(path)}{suffix}"
        with translated(f"s3://{self.name}/{key}"):
            try:
                self._client.head_object(**self._owner, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ABSENT:
                    raise
                report(f"uploading {key} ({path.stat().st_size / 1e6:.1f} MB)")
                owner = {"ExpectedBucketOwner": self._owner["ExpectedBucketOwner"]}
                self._client.upload_file(str(path), self.name, key, ExtraArgs=owner)
        return key

    def origin_secret(self) -> str:
        """The secret between CloudFront and the load balancer, generated once."""
        with translated(f"s3://{self.name}/origin-secret"):
            try:
                answer = self._client.get_object(**self._owner, Key="origin-secret")
                return str(answer["Body"].read().decode())
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ABSENT:
                    raise
            secret = secrets.token_urlsafe(32)
            self._client.put_object(**self._owner, Key="origin-secret", Body=secret.encode())
            return secret

    def _exists(self) -> bool:
        with translated(self.name):
            try:
                self._client.head_bucket(**self._owner)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _ABSENT:
                    return False
                if code in ("403", "AccessDenied"):
                    raise errors.Conflict(
                        "another account owns this bucket, or you may not see it.",
                        where=self.name,
                        remedy="Choose another name: --stack NAME.",
                    ) from error
                raise
        return True
