"""The entry point of AWS Lambda: reads a queue of S3 events, answers with partial failures.

Set on the function: `LEGIBLY_STORE=s3://bucket`, and `LEGIBLY_ATTEMPTS` as the `maxReceiveCount` of
the queue, so that the last attempt can be recognized. It needs only S3, and imports no web, SQL or
chart modules.
"""

import functools
import os
from typing import Any

from legibly import errors
from legibly.ingest import s3_documents
from legibly.ingest.project_readers import ProjectReaders
from legibly.settings import Settings
from legibly.telemetry import tracing

_SPARE_SECONDS = 3.0
_MAX_SECONDS = 10.0
"""For shadows, after the readings of a delivery are written; less where the time-out is near."""


@functools.cache
def readers() -> ProjectReaders:
    """The batch reader configured by the environment; kept while the function is warm."""
    settings = Settings.load(environ=os.environ)
    return ProjectReaders(settings, environ=os.environ, watches=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Read the pictures of a delivery; returns the messages that SQS has to deliver again."""
    messages = s3_documents.parse(event)
    again = readers().read(messages)
    readers().tend(seconds=_seconds(context))
    tracing.flush()
    if again and messages and not any(message.handle or message.id for message in messages):
        # Nobody reads the answer of a direct invocation; an error makes Lambda try again.
        raise errors.Unavailable("a picture could not be read; it has to be delivered again.")
    return {"batchItemFailures": [{"itemIdentifier": message} for message in again]}


def _seconds(context: Any) -> float:
    if context is None:
        return _MAX_SECONDS
    remaining: float = context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    return min(_MAX_SECONDS, max(0.0, remaining))
