"""Queues on SQS, through boto3."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import boto3
from botocore import exceptions
from botocore.config import Config

from legibly import errors
from legibly.ingest.s3_documents import Message, parse

_AT_ONCE = 10  # the limit of SQS for one call
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
}


class SqsQueue:
    """One queue by its URL; region, credentials and endpoint come by the usual AWS ways."""

    def __init__(self, url: str, *, region: str | None = None) -> None:
        self.url = url
        region = region or os.environ.get("AWS_REGION") or _region_of(url)
        self._client = boto3.client(
            "sqs",
            region_name=region,
            config=Config(retries={"mode": "standard", "max_attempts": 3}),
        )

    def receive(self, *, wait_seconds: int) -> Sequence[Message]:
        """Up to ten messages. Raises Unavailable and Forbidden."""
        with _translated(self.url):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_AT_ONCE,
                WaitTimeSeconds=wait_seconds,
                MessageSystemAttributeNames=[
                    "ApproximateReceiveCount",
                    "ApproximateFirstReceiveTimestamp",
                ],
                MessageAttributeNames=["All"],
            )
        messages = answer.get("Messages", [])
        return parse({"Messages": messages}) if messages else ()

    def done(self, messages: Sequence[Message]) -> None:
        """Delete messages."""
        for start in range(0, len(messages), _AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.handle}
                for number, message in enumerate(messages[start : start + _AT_ONCE])
            ]
            with _translated(self.url):
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)


def _region_of(url: str) -> str:
    """The region in a queue's URL, `https://sqs.REGION.amazonaws.com/…`."""
    parts = url.partition("://")[2].partition("/")[0].split(".")
    return parts[1] if len(parts) > 2 and parts[0] == "sqs" else "us-east-1"


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except exceptions.ClientError as error:
        code = error.response["Error"].get("Code", "")
        message = f"SQS refuses: {error.response['Error'].get('Message') or code}".rstrip(".") + "."
        if code in _REFUSED:
            raise errors.Forbidden(message, where=where) from error
        raise errors.Unavailable(message, where=where) from error
    except exceptions.BotoCoreError as error:
        raise errors.Unavailable(f"SQS does not answer: {error}.", where=where) from error
