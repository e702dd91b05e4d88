"""What a deployment costs a month, from a dated table of list prices.

US dollars, us-east-1, on demand, without free tiers and taxes. They were written down from memory and not checked
against the price pages named below: other regions differ by up to a third, and prices change. For orders of magnitude.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

AS_OF = "2025-06"
CAVEAT = (
    f"list prices of us-east-1 as remembered of {AS_OF}, not checked since; no free tiers, no taxes"
)
SOURCE = "aws.amazon.com/{lambda,s3,sqs,ec2,elasticloadbalancing,rds,cloudwatch,cloudfront}/pricing, us-east-1"

Size = Literal["none", "small", "scale"]
Classifier = Literal["function", "servers"]

HOURS = 730
LAMBDA_GB_SECOND, LAMBDA_REQUEST = 0.0000166667, 0.20e-6
S3_PUT, S3_GET, S3_GB_MONTH = 0.005e-3, 0.0004e-3, 0.023
SQS_REQUEST = 0.40e-6
INSTANCE_HOUR = {
    "t3a.small": 0.0188,
    "t3a.medium": 0.0376,
    "c7a.large": 0.10264,
    "db.t4g.micro": 0.016,
}
BALANCER_HOUR, BALANCER_UNIT_HOUR = 0.0225, 0.008
ADDRESS_HOUR = 0.005  # a public IPv4 address
DISK_GB_MONTH, DATABASE_GB_MONTH = 0.08, 0.115
SECRET_MONTH, ALARM_MONTH, LOG_GB = 0.40, 0.10, 0.50

# What one picture costs in work: an average upload, and the time it was billed for in the emulator
# (`benchmarks/cloud.py`) with room for S3 being farther away.
PICTURE_BYTES, PICTURE_SECONDS, MEMORY_GB = 50_000, 0.100, 1769 / 1024
BATCH = 4  # pictures in one invocation, on average
LOG_BYTES = 600  # a picture


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an estimate, in dollars a month; `idle` lines are paid without any picture."""

    what: str
    dollars: float
    idle: bool


def estimate(
    *, size: Size, classifier: Classifier, pictures: int, kept_months: int = 12
) -> list[Line]:
    """What `pictures` a month cost, the pictures of `kept_months` being kept."""
    lines = [
        *_pictures(pictures, kept_months),
        Line("alarms and dashboard", 4 * ALARM_MONTH, idle=True),
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


def _pictures(pictures: int, kept_months: int) -> Iterator[Line]:
    batches = pictures / BATCH
    seconds = pictures * PICTURE_SECONDS * MEMORY_GB
    yield Line("function", seconds * LAMBDA_GB_SECOND + batches * LAMBDA_REQUEST, idle=False)
    # A picture is put once and fetched twice (function, page); a batch writes one record, which is fetched once.
    requests = pictures * (S3_PUT + 2 * S3_GET) + batches * (S3_PUT + S3_GET)
    stored = pictures * kept_months * PICTURE_BYTES / 1e9 * S3_GB_MONTH
    yield Line("bucket: requests", requests, idle=False)
    yield Line(f"bucket: pictures of {kept_months} months", stored, idle=False)
    yield Line("queues", (2 * pictures + 4 * batches) * SQS_REQUEST, idle=False)
    yield Line("logs", pictures * LOG_BYTES / 1e9 * LOG_GB, idle=False)


def _web(size: Size) -> Iterator[Line]:
    servers = 2 if size == "scale" else 1
    yield Line(f"web servers: {servers} t3a.small", servers * _server("t3a.small"), idle=True)
    yield Line("load balancer, with its two addresses", _balancer(2), idle=True)
    if size == "scale":
        database = INSTANCE_HOUR["db.t4g.micro"] * HOURS + 20 * DATABASE_GB_MONTH + SECRET_MONTH
        yield Line("PostgreSQL: 1 db.t4g.micro, 20 GB", database, idle=True)


def _server(instance: str) -> float:
    return (INSTANCE_HOUR[instance] + ADDRESS_HOUR) * HOURS + 16 * DISK_GB_MONTH


def _balancer(addresses: int) -> float:
    return (BALANCER_HOUR + BALANCER_UNIT_HOUR + addresses * ADDRESS_HOUR) * HOURS
