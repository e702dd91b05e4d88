"""Figures of CloudWatch in `legibly cloud status`."""

from typing import Any

import pytest

import emulator as emulators
from legibly import records
from legibly.cloud import status
from legibly.cloud.aws import Aws

pytestmark = pytest.mark.service("ministack")


def test_the_age_of_a_message_comes_from_cloudwatch(
    emulator: emulators.Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest figure of a queue with messages; an empty queue has no age."""
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    aws = Aws()
    url = aws.client("sqs").create_queue(QueueName="aging")["QueueUrl"]
    dimension = {"Name": "QueueName", "Value": "aging"}
    datum: dict[str, Any] = {
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [dimension],
    }
    datum |= {"Timestamp": records.now(), "Value": 42.0, "Unit": "Seconds"}
    aws.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=[datum])
    assert status.queue_state(aws, "pictures", url).oldest_seconds is None
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    assert status.queue_state(aws, "pictures", url).oldest_seconds == 42
