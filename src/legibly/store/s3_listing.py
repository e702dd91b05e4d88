"""Lists an S3 bucket whose keys obstore refuses, with boto3, which accepts all."""

import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from legibly.errors import Forbidden, Invalid, Unavailable

_NO_KEY = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|//|^/|(?:^|/)\.\.?(?:/|$)")
"""Keys that the store cannot address: with control characters, empty, `.` or `..` segments."""
_REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}


def objects(
    bucket: str,
    prefix: str,
    *,
    after: str | None,
    environ: Mapping[str, str],
    skip: Callable[[str], None],
) -> Iterator[tuple[str, int, datetime, str | None]]:
    """Key, size, modification time and etag of each object in key order; `skip` gets the others.

    Raises Invalid if boto3 is missing, Forbidden and Unavailable.
    """
    if importlib.util.find_spec("boto3") is None:
        raise Invalid(
            "a key in this bucket has an empty segment or a control character.",
            where=f"s3://{bucket}/{prefix}",
            remedy="Delete that object, or: pip install 'legibly[aws]', which can skip it.",
        )
    from botocore import exceptions

    try:
        pages = _client(environ).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after or ""):
            for entry in page.get("Contents", ()):
                if _NO_KEY.search(entry["Key"]):
                    skip(entry["Key"])
                else:
                    facts = (entry["Size"], entry["LastModified"], entry.get("ETag"))
                    yield entry["Key"].rstrip("/"), *facts
    except exceptions.ClientError as error:
        kind = Forbidden if error.response["Error"].get("Code") in _REFUSALS else Unavailable
        raise kind(f"the store refuses a listing: {error}.", where=f"s3://{bucket}") from error
    except exceptions.BotoCoreError as error:
        raise Unavailable(f"the store does not answer: {error}.", where=f"s3://{bucket}") from error


def _client(environ: Mapping[str, str]) -> Any:
    import boto3  # an extra, and slow to import
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3})
    session = boto3.Session(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environ.get("AWS_SESSION_TOKEN"),
        region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        profile_name=environ.get("AWS_PROFILE"),
    )
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    return session.client("s3", endpoint_url=endpoint, config=config)
