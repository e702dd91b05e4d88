"""What a deployment costs a month, from a dated table of list prices.

US dollars, us-east-1, on demand, without free tiers and taxes. They were written down from memory
and not checked against the price pages named below. Other regions differ by up to a third, and
prices change: use them as orders of magnitude.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

AS_OF = "2025-06"
CAVEAT = (
    f"list prices of us-east-1 as remembered of {AS_OF}, not checked since; no free tiers, no taxes"
)
SOURCE = (
    "aws.amazon.com/{lambda,s3,sqs,ec2,elasticloadbalancing,rds,cloudwatch,cloudfront}/pricing,"
    " us-east-1"
)

Size = Literal["none", "small", "scale"]
Classifier = Literal["function", "servers"]

HOURS = 730
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20e-6
S3_PUT = 0.005e-3
S3_GET = 0.0004e-3
S3_GB_MONTH = 0.023
SQS_REQUEST = 0.40e-6
INSTANCE_HOUR = {
    "t3a.small": 0.0188,
    "t3a.medium": 0.0376,
    "c7a.large": 0.10264,
    "db.t4g.micro": 0.016,
}
BALANCER_HOUR = 0.0225
BALANCER_UNIT_HOUR = 0.008
ADDRESS_HOUR = 0.005  # a public IPv4 address
DISK_GB_MONTH = 0.08
DATABASE_GB_MONTH = 0.115
SECRET_MONTH = 0.40
ALARM_MONTH = 0.10
LOG_GB = 0.50
ALARMS = 4
WEB_ALARMS = 2
"""Alarms of the template, of which the second go with its web servers."""

# The work of one image: an average upload, and its billed time in the emulator
# (`benchmarks/cloud.py`) with an allowance for the latency of S3.
PICTURE_BYTES = 50_000
PICTURE_SECONDS = 0.100
MEMORY_GB = 1769 / 1024
BATCH = 4  # pictures in one invocation, on average
LOG_BYTES = 600  # a picture


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an estimate, in dollars a month; `idle` lines are paid without any picture."""

    item: str
    dollars: float
    idle: bool


def estimate(
    *, size: Size, classifier: Classifier, pictures: int, stored_months: int = 12
) -> list[Line]:
    """The cost of `pictures` a month, with the pictures of `stored_months` in the bucket."""
    lines = [
        *_pictures(pictures, stored_months),
        Line("alarms and dashboard", ALARMS * ALARM_MONTH, idle=True),
    ]
    if size != "none":
        lines += _web(size)
    if classifier == "servers":
        lines.append(
            Line(
                "model servers: 1 c7a.large and a load balancer",
                _server("c7a.large") + _balancer(0),
                idle=True,
            )
        )
    return lines


def total(lines: list[Line]) -> float:
    """Dollars a month."""
    return sum(line.dollars for line in lines)


def _pictures(pictures: int, stored_months: int) -> Iterator[Line]:
    batches = pictures / BATCH
    seconds = pictures * PICTURE_SECONDS * MEMORY_GB
    yield Line("function", seconds * LAMBDA_GB_SECOND + batches * LAMBDA_REQUEST, idle=False)
    # An image is put once and fetched twice (function, page); a batch's record is put and fetched
    # once.
    requests = pictures * (S3_PUT + 2 * S3_GET) + batches * (S3_PUT + S3_GET)
    stored = pictures * stored_months * PICTURE_BYTES / 1e9 * S3_GB_MONTH
    yield Line("bucket: requests", requests, idle=False)
    yield Line(f"bucket: pictures of {stored_months} months", stored, idle=False)
    yield Line("queues", (2 * pictures + 4 * batches) * SQS_REQUEST, idle=False)
    yield Line("logs", pictures * LOG_BYTES / 1e9 * LOG_GB, idle=False)


def _web(size: Size) -> Iterator[Line]:
    servers = 2 if size == "scale" else 1
    yield Line(f"web servers: {servers} t3a.small", servers * _server("t3a.small"), idle=True)
    yield Line("load balancer, with its two addresses", _balancer(2), idle=True)
    own = WEB_ALARMS * ALARM_MONTH + SECRET_MONTH
    yield Line("their alarms, and the secret of the first password", own, idle=True)
    if size == "scale":
        database = INSTANCE_HOUR["db.t4g.micro"] * HOURS + 20 * DATABASE_GB_MONTH + SECRET_MONTH
        yield Line("PostgreSQL: 1 db.t4g.micro, 20 GB", database, idle=True)


def _server(instance: str) -> float:
    return (INSTANCE_HOUR[instance] + ADDRESS_HOUR) * HOURS + 16 * DISK_GB_MONTH


def _balancer(addresses: int) -> float:
    return (BALANCER_HOUR + BALANCER_UNIT_HOUR + addresses * ADDRESS_HOUR) * HOURS
