"""`legibly cloud prices --update` over a stand-in for AWS's price list.

The stand-in answers `GetProducts` in AWS's documented form. It knows a few products of our own
making: whether AWS describes an item by the attributes that `prices.json` asks for, it cannot say.
What AWS does not answer with one price stays as it was, and is named.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from legibly.cli import cloud
from legibly.cloud import price_list, prices


def product(*tiers: tuple[str, str], **attributes: str) -> dict[str, Any]:
    """A product as the list describes it; a tier is where it begins, and its price."""
    dimensions = {
        f"d{number}": {"unit": "Hrs", "beginRange": begin, "pricePerUnit": {"USD": price}}
        for number, (begin, price) in enumerate(tiers)
    }
    terms = {"OnDemand": {"t": {"priceDimensions": dimensions}}}
    return {"product": {"attributes": attributes}, "terms": terms}


PRODUCTS = (
    product(("0", "0.0200000000"), instanceType="t3.small", regionCode="eu-central-1"),
    product(("0", "0.0170000000"), instanceType="t3.small", regionCode="us-east-2"),
    product(("0", "0"), ("1000000", "0.0000005"), queueType="Standard", regionCode="eu-central-1"),
    product(("0", "0.024"), volumeType="Standard", regionCode="eu-central-1"),
    product(("0", "0.030"), volumeType="Standard", regionCode="eu-central-1"),
    product(("0", "90"), group="S3-API-Tier1", regionCode="eu-central-1"),
)
FIELDS = ("instanceType", "queueType", "volumeType", "group", "regionCode")


class PriceList(BaseHTTPRequestHandler):
    """AWS's price list, by the attributes that these products have."""

    def do_POST(self) -> None:
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        where = {
            part["Field"]: part["Value"] for part in body["Filters"] if part["Field"] in FIELDS
        }
        listed = [
            json.dumps(entry)
            for entry in PRODUCTS
            if where.items() <= entry["product"]["attributes"].items() and len(where) > 1
        ]
        answer = json.dumps({"FormatVersion": "aws_v1", "PriceList": listed}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(autouse=True)
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in as AWS's price list, and a cache of this test's own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), PriceList)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield
    server.shutdown()
    server.server_close()


def run(*words: str) -> str:
    done = CliRunner().invoke(cloud.command, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_prices_of_a_region_are_renewed_and_used() -> None:
    """The first paid tier of what has one price is taken over, and estimates of that region use it;
    what has several, none, or one of another order stays and is named.
    """
    before = price_list.table()
    output = run("prices", "--region", "eu-central-1", "--update")
    fresh = price_list.table("eu-central-1")
    assert (fresh["t3.small"], fresh["queue_request"]) == (0.02, 0.0000005)
    for name in ("s3_gb_month", "s3_put", "alarm_month"):
        assert fresh[name] == before[name]
        assert name in fresh.left
    assert fresh.as_of > before.as_of
    assert "AWS price list" in output
    assert run("prices", "--region", "eu-central-1") == output
    estimates = [
        prices.total(
            prices.estimate(size="small", classifier="function", pictures=0, prices=listed)
        )
        for listed in (before, fresh)
    ]
    assert estimates[1] - estimates[0] == pytest.approx(prices.HOURS * (0.02 - before["t3.small"]))
    assert f"AWS price list, {fresh.as_of}" in run("synth", "--region", "eu-central-1")
    assert price_list.table() == before


def test_a_region_without_any_price_changes_nothing(tmp_path: Path) -> None:
    """A region that the list does not know is an error, and nothing is written."""
    done = CliRunner().invoke(cloud.command, ["prices", "--region", "nowhere", "--update"])
    assert "names no price" in str(done.exception or done.output)
    assert not list(tmp_path.rglob("*.json"))


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    """The file and the remedy, in one line."""
    file = tmp_path / "legibly" / "prices-eu-central-1.json"
    file.parent.mkdir()
    file.write_text("{")
    done = CliRunner().invoke(cloud.command, ["prices", "--region", "eu-central-1"])
    assert str(file) in str(done.exception or done.output)
