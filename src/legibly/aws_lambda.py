"""The entry point of AWS Lambda: reads a queue of S3 events, answers with partial failures.

Set on the function: `LEGIBLY_STORE=s3://bucket`, and `LEGIBLY_ATTEMPTS` as the queue's
`maxReceiveCount`, so that the last try knows that it is the last. It needs S3 and nothing else, and
imports neither web, SQL nor charts.
"""

import functools
import logging
import os
from collections.abc import Sequence
from typing import Any

from legibly import errors
from legibly.ingest import s3_documents
from legibly.ingest.batch import BatchReader
from legibly.ingest.stored_packs import open_any
from legibly.settings import Settings
from legibly.store import open_store
from legibly.vision.reading import Reader

_log = logging.getLogger(__name__)


@functools.cache
def batch_reader() -> BatchReader:
    """What the environment describes; kept while the function is warm."""
    settings = Settings.load(environ=os.environ)
    return BatchReader(
        store=open_store(settings.store, environ=os.environ),
        reader=Reader(
            open_any(settings.model, environ=os.environ),
            max_pixels=settings.max_pixels,
            text=settings.text_mode,
        ),
        prefix=s3_documents.place(settings.store)[1],
        max_bytes=settings.max_bytes,
        attempts=settings.attempts,
    )


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Read the pictures of a delivery; the answer names the messages that SQS has to deliver
    again.
    """
    messages = s3_documents.parse(event)
    try:
        again = batch_reader().read(messages)
    except (
        errors.Unavailable
    ) as error:  # a model server that is away from the start, before its model is known
        again = _left(messages, error)
    if again and messages and not any(message.handle or message.id for message in messages):
        # Nobody reads the answer of a direct invocation; an error makes Lambda try again.
        raise errors.Unavailable("a picture could not be read; it has to be delivered again.")
    return {"batchItemFailures": [{"itemIdentifier": message} for message in again]}


def _left(messages: Sequence[s3_documents.Message], error: errors.Unavailable) -> list[str]:
    """Leave a delivery to the queue's retries, with the reason where `legibly cloud status` finds
    it.
    """
    for message in messages:
        named = ", ".join(event.key for event in message.events)
        facts = {"message_id": message.id, "key": named}
        _log.warning(
            "%s (message %s), try %d: %s", named, message.id, message.receives, error, extra=facts
        )
    return [message.id for message in messages]
