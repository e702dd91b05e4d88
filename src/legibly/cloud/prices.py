"""What a deployment costs a month, from a dated table of list prices (`price_list`).

US dollars, on demand, without free tiers and taxes. Prices change: use estimates as orders of
magnitude.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from legibly.cloud.price_list import Table, table

Size = Literal["none", "small", "scale"]
Classifier = Literal["function", "servers"]

HOURS = 730
ALARMS = 4
WEB_ALARMS = 2
"""Alarms of the template, of which the second go with its web servers."""

MEMORY_GB = 1769 / 1024
BATCH = 4  # pictures in one invocation, on average
LOG_BYTES = 600  # a picture


@dataclass(frozen=True, slots=True)
class Image:
    """The work of one image: its bytes, and the billed time of the function."""

    name: str
    bytes: int
    seconds: float


# Times in the emulator (`benchmarks/cloud.py`) with an allowance for the latency of S3.
UPLOAD = Image("an average upload", 50_000, 0.100)
DRAWING = Image("drawings of 5 kB", 5_000, 0.040)
PHOTOGRAPH = Image("photographs of 2 MB", 2_000_000, 0.300)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an estimate, in dollars a month; `idle` lines are paid without any picture."""

    item: str
    dollars: float
    idle: bool


def estimate(
    *,
    size: Size,
    classifier: Classifier,
    pictures: int,
    stored_months: int = 12,
    prices: Table | None = None,
    image: Image = UPLOAD,
) -> list[Line]:
    """The cost of `pictures` a month, with the pictures of `stored_months` in the bucket."""
    prices = prices or table()
    alarms = Line("alarms and dashboard", ALARMS * prices["alarm_month"], idle=True)
    lines = [*_pictures(prices, pictures, stored_months, image), alarms]
    if size != "none":
        lines += _web(prices, size)
    if classifier == "servers":
        dollars = _server(prices, "c7i.large") + _balancer(prices, 0)
        lines.append(Line("model servers: 1 c7i.large and a load balancer", dollars, idle=True))
    return lines


def total(lines: list[Line]) -> float:
    """Dollars a month."""
    return sum(line.dollars for line in lines)


def largest(lines: list[Line]) -> list[Line]:
    """The three largest lines, the largest first."""
    return sorted(lines, key=lambda line: -line.dollars)[:3]


def _pictures(prices: Table, pictures: int, stored_months: int, image: Image) -> Iterator[Line]:
    batches = pictures / BATCH
    seconds = pictures * image.seconds * MEMORY_GB
    function = seconds * prices["function_gb_second"] + batches * prices["function_request"]
    yield Line("function", function, idle=False)
    # An image is put once and fetched twice (function, page); a batch's record is put and fetched
    # once. S3 tells EventBridge of both, whose rules pick out those of projects.
    requests = pictures * (prices["s3_put"] + 2 * prices["s3_get"])
    requests += batches * (prices["s3_put"] + prices["s3_get"])
    stored = pictures * stored_months * image.bytes / 1e9 * prices["s3_gb_month"]
    yield Line("bucket: requests", requests, idle=False)
    yield Line(f"bucket: pictures of {stored_months} months", stored, idle=False)
    queues = (2 * pictures + 4 * batches) * prices["queue_request"]
    yield Line("queues", queues, idle=False)
    yield Line("events", (pictures + batches) * prices["event"], idle=False)
    yield Line("logs", pictures * LOG_BYTES / 1e9 * prices["log_gb"], idle=False)


def _web(prices: Table, size: Size) -> Iterator[Line]:
    servers = 2 if size == "scale" else 1
    hosts = servers * _server(prices, "t3.small")
    yield Line(f"web servers: {servers} t3.small", hosts, idle=True)
    yield Line("load balancer, with its two addresses", _balancer(prices, 2), idle=True)
    own = WEB_ALARMS * prices["alarm_month"] + prices["secret_month"]
    yield Line("their alarms, and the secret of the first password", own, idle=True)
    if size == "scale":
        disk = 20 * prices["database_gb_month"]
        database = prices["db.t4g.micro"] * HOURS + disk + prices["secret_month"]
        yield Line("PostgreSQL: 1 db.t4g.micro, 20 GB", database, idle=True)


def _server(prices: Table, instance: str) -> float:
    hour = prices[instance] + prices["address_hour"]
    return hour * HOURS + 16 * prices["disk_gb_month"]


def _balancer(prices: Table, addresses: int) -> float:
    hour = prices["balancer_hour"] + prices["balancer_unit_hour"]
    return (hour + addresses * prices["address_hour"]) * HOURS
