"""boto3 clients for one region and account, with their errors translated to ours."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from legibly import errors

_ABSENT = {
    "404",
    "NoSuchKey",
    "NoSuchBucket",
    "NotFound",
    "ResourceNotFoundException",
    "NoSuchEntity",
}
_ABSENT |= {"AWS.SimpleQueueService.NonExistentQueue"}
_DENIED = {"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"}
_UNKNOWN = {
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "AuthFailure",
}


class Aws:
    """Clients by service name. Credentials, region and endpoint come by the usual AWS ways."""

    def __init__(self, *, region: str | None = None) -> None:
        # boto3 itself reads AWS_DEFAULT_REGION only; everything else at AWS reads AWS_REGION.
        self._session = boto3.Session(region_name=region or os.environ.get("AWS_REGION") or None)
        if self._session.region_name is None:
            raise errors.Invalid(
                "no region is set.", where="AWS", remedy="Give --region, or set AWS_REGION."
            )
        self.region: str = self._session.region_name

    @functools.cache  # noqa: B019
    def client(self, service: str) -> Any:
        """The client of one service, with retries."""
        return self._session.client(
            service, config=Config(retries={"mode": "standard", "max_attempts": 5})
        )

    def environ(self) -> dict[str, str]:
        """Environment variables that lead programs without boto3 to the same account."""
        credentials = self._session.get_credentials()
        variables = {"AWS_REGION": self.region}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            variables["AWS_ENDPOINT_URL"] = endpoint
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            variables |= {
                "AWS_ACCESS_KEY_ID": frozen.access_key,
                "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            }
            if frozen.token:
                variables["AWS_SESSION_TOKEN"] = frozen.token
        return variables

    def account(self) -> str:
        """The number of the account that the credentials belong to."""
        with translated("AWS account"):
            return str(self.client("sts").get_caller_identity()["Account"])


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise Forbidden, NotFound, Unavailable or Invalid for what boto3 raises."""
    try:
        yield
    except exceptions.ClientError as error:
        code = error.response["Error"].get("Code", "")
        message = error.response["Error"].get("Message", "") or code
        message = f"{error.operation_name}: {message}".rstrip(".")
        if code in _ABSENT:
            raise errors.NotFound(f"{message}.", where=where) from error
        if code in _UNKNOWN:
            raise errors.Forbidden(
                f"{message}.", authenticated=False, where=where, remedy=_LOGIN
            ) from error
        if code in _DENIED:
            remedy = "docs/guides/aws.md lists the permissions that are needed."
            raise errors.Forbidden(f"{message}.", where=where, remedy=remedy) from error
        raise errors.Invalid(f"{message} ({code}).", where=where) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise errors.Forbidden(
            "there are no AWS credentials.", authenticated=False, where=where, remedy=_LOGIN
        ) from error
    except (exceptions.HTTPClientError, exceptions.WaiterError) as error:
        raise errors.Unavailable(f"AWS does not answer: {error}.", where=where) from error


_LOGIN = "Run `aws configure`, or set AWS_PROFILE."
