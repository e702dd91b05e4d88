"""boto3 clients for one region and account, with their errors translated to ours."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore import exceptions
from botocore.config import Config

from legibly import errors
from legibly.cloud.reasons import advice

_ABSENT = {
    "404",
    "NoSuchKey",
    "NoSuchBucket",
    "NotFound",
    "ResourceNotFoundException",
    "NoSuchEntity",
    "EntityNotFoundException",
}
_ABSENT |= {"AWS.SimpleQueueService.NonExistentQueue"}
_DENIED = {"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"}
_UNKNOWN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "AuthFailure",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}


class Aws:
    """Clients by service name. Credentials, region and endpoint come by the usual AWS ways."""

    def __init__(self, *, region: str | None = None) -> None:
        # boto3 itself reads AWS_DEFAULT_REGION only; everything else at AWS reads AWS_REGION.
        with translated("AWS"):
            self._session = boto3.Session(
                region_name=region or os.environ.get("AWS_REGION") or None
            )
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
        raise _refusal(error, where) from error
    except S3UploadFailedError as error:
        if isinstance(error.__context__, exceptions.ClientError):
            raise _refusal(error.__context__, where) from error
        raise errors.Unavailable(f"the upload failed: {error}.", where=where) from error
    except _CREDENTIAL_ERRORS as error:
        raise _unknown(f"{error}", where) from error
    except exceptions.NoCredentialsError as error:
        raise _unknown("there are no AWS credentials.", where) from error
    except exceptions.BotoCoreError as error:
        raise errors.Unavailable(f"AWS does not answer: {error}.", where=where) from error


def _refusal(error: exceptions.ClientError, where: str) -> errors.LegiblyError:
    """Our error for an answer of AWS."""
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "") or code
    message = f"{error.operation_name}: {message}".rstrip(".")
    if code in _ABSENT:
        return errors.NotFound(f"{message}.", where=where)
    if code in _EXPIRED or "token included in the request is expired" in message:
        return errors.Forbidden(f"{message}.", authenticated=False, where=where, remedy=_AGAIN)
    if code in _UNKNOWN:
        return _unknown(f"{message}.", where)
    remedy = advice(message)
    if code in _DENIED:
        remedy = remedy or advice("AccessDenied")
        return errors.Forbidden(f"{message}.", where=where, remedy=remedy)
    return errors.Invalid(f"{message} ({code}).", where=where, remedy=remedy)


def _unknown(message: str, where: str) -> errors.Forbidden:
    return errors.Forbidden(message, authenticated=False, where=where, remedy=_LOGIN)


_LOGIN = "Run `aws configure`, or set AWS_PROFILE."
_AGAIN = (
    "Sign in again (`aws sso login`, or new keys) and repeat the command: it goes on where AWS is."
)
_CREDENTIAL_ERRORS = (
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)
