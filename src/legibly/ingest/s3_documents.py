"""Parses S3 event notifications in all their envelopes into frozen records.

Supports plain notifications (AWS, MinIO, Ceph), SNS, EventBridge, SeaweedFS's webhook, and batches
of SQS messages around them, as Lambda or `ReceiveMessage` deliver them. No network access.

Two common mistakes: keys in notifications are form-encoded (a space is a `+`), keys in EventBridge
events are not; and queues also carry messages without an event (`s3:TestEvent`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote_plus

from legibly import errors, object_keys, records

Kind = Literal["created", "removed"]
REDRIVEN = "legibly-redriven"
"""Message attribute of a redriven dead letter: its first delivery was earlier than its queue says.
"""

_EVENTBRIDGE: dict[str, Kind] = {"Object Created": "created", "Object Deleted": "removed"}
_SEAWEEDFS: dict[str, Kind] = {
    "create": "created",
    "update": "created",
    "rename": "created",
    "delete": "removed",
}
_DEPTH = 4  # SQS around SNS around the document is 2; more is a loop


@dataclass(frozen=True, slots=True)
class Event:
    """One object was created, replaced or deleted.

    `key` is decoded; `size`, `etag` (without quotes), `sequencer` and `at` are None if the sender
    omitted them. Of two events for one key, the one whose `sequencer` is greater as hexadecimal
    text of equal length is newer.
    """

    bucket: str
    key: str
    kind: Kind
    size: int | None = None
    etag: str | None = None
    sequencer: str | None = None
    at: datetime | None = None
    literal_key: str | None = None
    """The key as sent, if decoding changed it: some senders forget to encode."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue and its events; `error` says why it could not be parsed, else None.

    `id` is empty for a document without a queue. `receives` counts deliveries including this one;
    `since` is the time of the first, None if unknown. `handle` deletes the message, if the queue
    sent one.
    """

    id: str
    events: tuple[Event, ...] = ()
    error: str | None = None
    receives: int = 1
    since: datetime | None = None
    redriven: bool = False
    handle: str = ""


def parse(document: str | bytes | Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of a document in order; a document without a queue is one message.

    A message that cannot be parsed has its `error` set. Raises Invalid if the document itself
    cannot be parsed.
    """
    data = _object(document)
    deliveries = data.get("Records", data.get("Messages"))
    if (
        isinstance(deliveries, list)
        and deliveries
        and all(_is_sqs(record) for record in deliveries)
    ):
        return tuple(_message(delivery) for delivery in deliveries)
    return (Message(id="", events=tuple(_events(data))),)


def picture(key: str, *, prefix: str = "") -> str | None:
    """The key of a picture to read, relative to the store; None for everything else.

    `prefix` is the prefix of the store in the bucket (`team/legibly`, or empty). Only keys under
    `images/` count, so our own writes elsewhere trigger nothing; folder markers, which consoles
    create, do not count either.
    """
    own = relative(key, prefix=prefix)
    return own if own is not None and object_keys.is_picture(own) else None


def relative(key: str, *, prefix: str = "") -> str | None:
    """A bucket's key relative to the store; None if it is outside the store."""
    root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return key[len(root) :] if key.startswith(root) else None


def place(store_url: str) -> tuple[str, str]:
    """Bucket and prefix of an `s3://bucket/prefix` store; both empty for other stores."""
    if not store_url.startswith("s3://"):
        return "", ""
    bucket, _, prefix = store_url.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")


def _object(document: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise errors.Invalid(f"is not JSON ({error}).", where="event document") from None
    if not isinstance(document, Mapping):
        raise errors.Invalid("is no JSON object.", where="event document")
    return document


def _is_sqs(record: object) -> bool:
    if not isinstance(record, Mapping):
        return False
    return record.get("eventSource") == "aws:sqs" or "ReceiptHandle" in record


def _message(delivery: Mapping[str, Any]) -> Message:
    """A message of a queue, as Lambda (`messageId`) or `ReceiveMessage` (`MessageId`) writes it."""
    own = {
        name[0].lower() + name[1:]: value
        for name, value in delivery.items()
        if isinstance(name, str) and name
    }
    attributes = _mapping(own.get("attributes"))
    custom = _mapping(own.get("messageAttributes"))
    facts: dict[str, Any] = {
        "id": str(own.get("messageId", "")),
        "receives": _integer(attributes.get("ApproximateReceiveCount")) or 1,
        "since": _milliseconds(attributes.get("ApproximateFirstReceiveTimestamp")),
        "redriven": REDRIVEN in custom,
        "handle": str(own.get("receiptHandle", "")),
    }
    try:
        return Message(events=tuple(_events(_object(own.get("body", "")))), **facts)
    except errors.Invalid as error:
        return Message(error=str(error), **facts)


def _events(data: Mapping[str, Any], depth: int = 0) -> Iterator[Event]:
    """All events of a document. Raises Invalid for unknown documents."""
    if depth > _DEPTH:
        raise errors.Invalid("is wrapped too often.", where="event document")
    if isinstance(data.get("Records"), list):
        for record in data["Records"]:
            yield from _record(record, depth)
    elif data.get("Event") == "s3:TestEvent" or data.get("Type") in (
        "SubscriptionConfirmation",
        "UnsubscribeConfirmation",
    ):
        return  # a test message of a queue or topic
    elif "Message" in data and ("Type" in data or "TopicArn" in data):
        yield from _events(_object(data["Message"]), depth + 1)
    elif data.get("source") == "aws.s3" and isinstance(data.get("detail"), Mapping):
        kind = _EVENTBRIDGE.get(str(data.get("detail-type")))
        if kind:
            yield _event(data["detail"], kind=kind, key_is_encoded=False, at=data.get("time"))
    elif "event_type" in data and "key" in data:
        yield from _seaweedfs(data)
    else:
        raise errors.Invalid("is no S3 event that we know.", where="event document")


def _record(record: object, depth: int) -> Iterator[Event]:
    if not isinstance(record, Mapping):
        raise errors.Invalid("has a record that is no JSON object.", where="event document")
    topic = record.get("Sns")
    if isinstance(topic, Mapping):
        yield from _events(_object(topic.get("Message", "")), depth + 1)
        return
    kind = _kind(str(record.get("eventName", "")))
    if kind is None:
        return  # restored, tagged, read …: the picture is unchanged
    s3 = record.get("s3")
    if not isinstance(s3, Mapping):
        raise errors.Invalid("has a record without `s3`.", where="event document")
    yield _event(s3, kind=kind, key_is_encoded=True, at=record.get("eventTime"))


def _kind(name: str) -> Kind | None:
    """`ObjectCreated:Put` as AWS writes it, `s3:ObjectCreated:Put` as MinIO and Ceph do."""
    name = name.removeprefix("s3:")
    if name.startswith("ObjectCreated:"):
        return "created"
    return "removed" if name.startswith(("ObjectRemoved:", "LifecycleExpiration:")) else None


def _event(s3: Mapping[str, Any], *, kind: Kind, key_is_encoded: bool, at: object) -> Event:
    try:
        bucket = s3["bucket"]["name"]
        thing = s3["object"]
        key = thing["key"]
        etag = thing.get("eTag", thing.get("etag"))
        sequencer = thing.get("sequencer")
        size = _integer(thing.get("size"))
    except (KeyError, TypeError, AttributeError):
        raise errors.Invalid(
            "has a record without bucket or key.", where="event document"
        ) from None
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise errors.Invalid("has a record without bucket or key.", where="event document")
    return Event(
        bucket=bucket,
        key=unquote_plus(key) if key_is_encoded else key,
        literal_key=key if key_is_encoded and unquote_plus(key) != key else None,
        kind=kind,
        size=size,
        etag=etag.strip('"') if isinstance(etag, str) and etag.strip('"') else None,
        sequencer=sequencer if isinstance(sequencer, str) and sequencer else None,
        at=_moment(at),
    )


def _seaweedfs(data: Mapping[str, Any]) -> Iterator[Event]:
    """SeaweedFS's filer webhook: a path `/buckets/BUCKET/KEY`; also sent for folders and tags."""
    kind = _SEAWEEDFS.get(str(data["event_type"]))
    path = str(data["key"])
    message = _mapping(data.get("message"))
    entry = _mapping(message.get("new_entry") or message.get("old_entry"))
    _, _, rest = path.partition("/buckets/")
    bucket, _, key = rest.partition("/")
    if kind and key and not path.endswith("/") and not entry.get("is_directory"):
        yield Event(bucket=bucket, key=key, kind=kind)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _integer(value: object) -> int | None:
    if isinstance(value, (int, str)):
        try:
            return int(value)
        except ValueError:
            return None
    return None


def _milliseconds(value: object) -> datetime | None:
    milliseconds = _integer(value)
    try:
        return (
            datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds is not None else None
        )
    except (ValueError, OSError, OverflowError):
        return None


def _moment(value: object) -> datetime | None:
    try:
        return records.moment(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
