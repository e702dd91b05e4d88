"""How a deployment is doing, as data: queues, dead letters with their reasons, errors, versions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from legibly import errors, object_keys, records
from legibly.cloud.aws import Aws, translated
from legibly.cloud.stack import Stack
from legibly.ingest.s3_documents import REDRIVEN, Message, parse

_MAX_LETTERS = 50
_MAX_FAILURES = 200
_MAX_LINES = 5
_FIRST_PAGES = {"PaginationConfig": {"MaxItems": 2000}}
_FIRST_READINGS = {"PaginationConfig": {"MaxItems": 20_000}}
# Patterns of CloudWatch Logs: by level, and by words for log lines without a level.
_TROUBLE = ("WARN", "ERROR", '"Task timed out"', '"), try"')
_PASSED_OVER = ('"was deleted before it was read"', '"was replaced since"')
_LOOK_SECONDS = (
    20  # so long a dead letter stays hidden from the next look, unless we put it back first
)


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue; the age is None where it is empty or not measured yet."""

    name: str
    waiting: int
    in_flight: int
    oldest_seconds: int | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be processed, with the reason if one was recorded."""

    queue: str
    message: str
    keys: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """What `legibly cloud status` shows. Counts of failures are those of today (UTC).

    `newest_errors` and `passed_over` (images deleted or replaced before their turn) are log lines
    of the last hour.
    """

    stack: str
    region: str
    state: str
    address: str | None
    size: str
    function_code: str
    model: str | None
    queues: tuple[QueueState, ...]
    dead_letters: tuple[DeadLetter, ...]
    failures: tuple[records.FailureRecord, ...]
    function_errors_last_hour: int
    newest_errors: tuple[str, ...] = field(default=())
    passed_over: tuple[str, ...] = field(default=())

    @property
    def is_well(self) -> bool:
        """Whether nothing needs attention."""
        return (
            not self.dead_letters
            and not self.function_errors_last_hour
            and self.state.endswith("_COMPLETE")
        )

    def to_json(self) -> records.Json:
        data = asdict(self)
        data["failures"] = [failure.to_json() for failure in self.failures]
        return {**data, "is_well": self.is_well}


def status(name: str, *, aws: Aws) -> Status:
    """Query everything. Raises NotFound if the stack does not exist."""
    stack = Stack(aws, name)
    outputs = stack.outputs()
    description = stack.describe() or {}
    failures = tuple(_failures(aws, outputs["BucketName"], records.now()))
    trouble = tuple(_logged(aws, outputs["FunctionLogGroup"], _TROUBLE))
    passed_over = tuple(_logged(aws, outputs["FunctionLogGroup"], _PASSED_OVER))
    return Status(
        stack=name,
        region=aws.region,
        state=description.get("StackStatus", ""),
        address=outputs.get("Address"),
        size=outputs["Size"],
        function_code=outputs["FunctionVersion"],
        model=_model(aws, outputs["BucketName"]),
        queues=tuple(queue_state(aws, label, outputs[output]) for label, output in _QUEUES.items()),
        dead_letters=tuple(_dead_letters(aws, outputs, failures)),
        failures=failures,
        function_errors_last_hour=_errors_last_hour(aws, outputs["FunctionName"]),
        newest_errors=tuple(line for line in trouble if line not in passed_over)[-_MAX_LINES:],
        passed_over=passed_over[-_MAX_LINES:],
    )


def redrive(name: str, *, aws: Aws, which: str = "pictures") -> int:
    """Put the dead letters of one queue (`pictures` or `records`) back; returns how many.

    Each is sent again with a mark, and only then deleted from the dead letters.
    """
    outputs = Stack(aws, name).outputs()
    target = outputs[_QUEUES_BY_NAME[which]]
    source = outputs[_DEAD_BY_NAME[which]]
    client = aws.client("sqs")
    count = 0
    at = {REDRIVEN: {"DataType": "String", "StringValue": records.stamp(records.now())}}
    with translated(source):
        while letters := _receive(client, source, hide_seconds=_LOOK_SECONDS):
            for letter in letters:
                client.send_message(
                    QueueUrl=target, MessageBody=letter["Body"], MessageAttributes=at
                )
                client.delete_message(QueueUrl=source, ReceiptHandle=letter["ReceiptHandle"])
                count += 1
    return count


_QUEUES = {
    "pictures": "ImagesQueueUrl",
    "dead pictures": "ImagesDeadLettersUrl",
    "records": "RecordsQueueUrl",
    "dead records": "RecordsDeadLettersUrl",
}
_QUEUES_BY_NAME = {"pictures": "ImagesQueueUrl", "records": "RecordsQueueUrl"}
_DEAD_BY_NAME = {"pictures": "ImagesDeadLettersUrl", "records": "RecordsDeadLettersUrl"}


def queue_state(aws: Aws, label: str, url: str) -> QueueState:
    """One queue as it is now."""
    with translated(url):
        facts = aws.client("sqs").get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        waiting = int(facts["ApproximateNumberOfMessages"])
        in_flight = int(facts["ApproximateNumberOfMessagesNotVisible"])
        age = _metric(
            aws,
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            "QueueName",
            _name(url),
            "Maximum",
            minutes=10,
        )
    return QueueState(
        label, waiting, in_flight, int(age) if age is not None and waiting + in_flight else None
    )


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _metric(
    aws: Aws, space: str, name: str, dimension: str, value: str, how: str, *, minutes: int
) -> float | None:
    end = records.now()
    points = aws.client("cloudwatch").get_metric_statistics(
        Namespace=space, MetricName=name, Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=end - timedelta(minutes=minutes), EndTime=end, Period=60 * minutes,
        Statistics=[how],
    )["Datapoints"]  # fmt: skip
    return max((float(point[how]) for point in points), default=None)


def _errors_last_hour(aws: Aws, function: str) -> int:
    with translated(function):
        return int(
            _metric(aws, "AWS/Lambda", "Errors", "FunctionName", function, "Sum", minutes=60) or 0
        )


def _logged(aws: Aws, group: str, patterns: Sequence[str]) -> Iterator[str]:
    """Lines of this hour in the function's log that match one of the patterns, newest last."""
    since = int((records.now() - timedelta(hours=1)).timestamp() * 1000)
    lines: set[tuple[int, str]] = set()
    try:
        with translated(group):
            pages = aws.client("logs").get_paginator("filter_log_events")
            for pattern in patterns:
                for page in pages.paginate(
                    logGroupName=group, startTime=since, filterPattern=pattern, **_FIRST_PAGES
                ):
                    lines |= {(event["timestamp"], event["message"]) for event in page["events"]}
    except errors.NotFound:
        return
    for _, line in sorted(lines):
        yield _message_of(line)


def _message_of(line: str) -> str:
    """The words of a log line, which may be a JSON object."""
    try:
        data = json.loads(line)
        return str(data.get("message", line))[:300]
    except (ValueError, AttributeError):
        return line.strip()[:300]


def _dead_letters(
    aws: Aws, outputs: dict[str, str], failures: Sequence[records.FailureRecord]
) -> Iterator[DeadLetter]:
    reasons = {failure.key: failure.error for failure in failures}
    for label, output in (
        ("pictures", "ImagesDeadLettersUrl"),
        ("records", "RecordsDeadLettersUrl"),
    ):
        for message in _peek(aws, outputs[output]):
            keys = tuple(event.key for event in message.events)
            reason = message.error or next((reasons[key] for key in keys if key in reasons), None)
            reason = (
                reason
                or _from_logs(aws, outputs["FunctionLogGroup"], message.id)
                or "no reason was recorded"
            )
            yield DeadLetter(label, message.id, keys, reason)


def _peek(aws: Aws, url: str) -> list[Message]:
    """The dead letters of a queue, put back as they were."""
    client = aws.client("sqs")
    messages: list[Message] = []
    handles: list[str] = []
    with translated(url):
        while len(messages) < _MAX_LETTERS and (
            letters := _receive(client, url, hide_seconds=_LOOK_SECONDS)
        ):
            messages += parse({"Messages": letters})
            handles += [letter["ReceiptHandle"] for letter in letters]
        for handle in handles:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
            )
    return messages


def _receive(client: Any, url: str, *, hide_seconds: int) -> list[dict[str, Any]]:
    answer = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=hide_seconds,
        MessageAttributeNames=["All"],
    )
    letters: list[dict[str, Any]] = answer.get("Messages", [])
    return letters


def _from_logs(aws: Aws, group: str, message: str) -> str | None:
    try:
        with translated(group):
            events = aws.client("logs").filter_log_events(
                logGroupName=group, filterPattern=f'"{message}"'
            )["events"]
    except errors.LegiblyError:
        return None
    lines = [
        event["message"]
        for event in events
        if "try" in event["message"] or "ERROR" in event["message"]
    ]
    return _message_of(lines[-1]) if lines else None


def _failures(aws: Aws, bucket: str, at: datetime) -> Iterator[records.FailureRecord]:
    """The failure records of today's images that were not read since, newest last, at most
    `_MAX_FAILURES`.
    """
    client = aws.client("s3")
    day = f"date={at:%Y-%m-%d}/"
    with translated(bucket):
        listed = client.list_objects_v2(
            Bucket=bucket, Prefix=f"{object_keys.FAILURES}{day}", MaxKeys=_MAX_FAILURES
        )
        entries = sorted(listed.get("Contents", []), key=lambda entry: entry["LastModified"])
        failed = [object_keys.last(entry["Key"]).split(".")[:2] for entry in entries]
        read = _read_since(client, bucket, f"{object_keys.READINGS}{day}", failed)
        for entry, (image, _) in zip(entries, failed, strict=True):
            if image not in read:
                content = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield records.FailureRecord.from_json(json.loads(content))


def _read_since(client: Any, bucket: str, folder: str, failed: list[list[str]]) -> set[str]:
    """The failed images and versions for which the folder has a reading."""
    if not failed:
        return set()
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=folder, StartAfter=folder + min(failed)[0], **_FIRST_READINGS
    )
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {
        image
        for image, version in failed
        if any(object_keys.holds(key, image, version) for key in keys)
    }


def _model(aws: Aws, bucket: str) -> str | None:
    """Name and version of the model that wrote one of today's readings."""
    client = aws.client("s3")
    with translated(bucket):
        listed = client.list_objects_v2(
            Bucket=bucket,
            Prefix=f"{object_keys.READINGS}date={records.now():%Y-%m-%d}/",
            MaxKeys=1000,
        )
        for entry in listed.get("Contents", [])[-1:]:
            line = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().splitlines()[0]
            model = json.loads(line)["model"]
            return f"{model['name']}@{model['version']}"
    return None
