"""The prices of an estimate: a dated table, and its renewal from AWS's public price list."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legibly import errors, records

if TYPE_CHECKING:
    from legibly.cloud.aws import Aws  # boto3 is an extra

REGION = "us-east-1"
_FACTOR = 10
"""A price that differs by more than this factor is taken for that of something else."""
_SOURCE = "AWS price list"


@dataclass(frozen=True, slots=True)
class Table:
    """List prices of one region in dollars, by item. `left` names items that AWS's list did not
    answer with one price, and that are older.
    """

    region: str
    as_of: str
    source: str
    items: dict[str, Any]
    left: tuple[str, ...] = ()

    def __getitem__(self, item: str) -> float:
        return float(self.items[item]["dollars"])

    @property
    def caveat(self) -> str:
        """What to know of it, in half a sentence."""
        older = f"; older: {', '.join(self.left)}" if self.left else ""
        return (
            f"list prices of {self.region}, {self.source}, {self.as_of}{older};"
            " no free tiers, no taxes"
        )


def table(region: str = REGION) -> Table:
    """The renewed prices of a region if available, else those that came with Legibly."""
    file = _file(region)
    if not file.is_file():
        file = Path(__file__).with_name("prices.json")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Table(**{**data, "left": tuple(data.get("left", ()))})
    except (ValueError, TypeError) as error:
        remedy = "Delete it; `legibly cloud prices --update` writes it again."
        raise errors.Invalid(
            "this is no table of prices.", where=str(file), remedy=remedy
        ) from error


def update(region: str, *, aws: "Aws") -> Table:
    """Ask AWS for the prices of a region and keep them for this user; `aws` is of a region that
    has the price list, as `REGION`. Raises LegiblyError.
    """
    old = table(region)
    client = aws.client("pricing")
    items = dict(old.items)
    left = []
    for name, item in old.items.items():
        price = _price(client, region, item)
        if price is None or not 1 / _FACTOR < price / item["dollars"] < _FACTOR:
            left.append(name)
        else:
            items[name] = {**item, "dollars": price}
    if len(left) == len(items):
        raise errors.Unavailable("AWS's price list names no price.", where=region)
    today = records.now().date().isoformat()
    fresh = replace(old, region=region, as_of=today, source=_SOURCE, items=items, left=tuple(left))
    _write(fresh)
    return fresh


def _price(client: Any, region: str, item: dict[str, Any]) -> float | None:
    """The first paid tier of an item; None if the list has no price or several."""
    from legibly.cloud.aws import translated

    where = {"regionCode": region, **item["where"]}
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in where.items()
    ]
    with translated("AWS price list"):
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=item["service"], Filters=filters
        )
        products = [json.loads(text) for page in pages for text in page["PriceList"]]
    prices = {price for product in products for price in _first_tier(product)}
    return prices.pop() if len(prices) == 1 else None


def _first_tier(product: dict[str, Any]) -> list[float]:
    paid = []
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for tier in term["priceDimensions"].values():
            price = float(tier["pricePerUnit"].get("USD", 0))
            if price > 0:
                paid.append((float(tier.get("beginRange") or 0), price))
    return [min(paid)[1]] if paid else []


def _file(region: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return cache / "legibly" / f"prices-{Path(region).name}.json"


def _write(fresh: Table) -> None:
    file = _file(fresh.region)
    data = {name: getattr(fresh, name) for name in Table.__dataclass_fields__}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data, indent=1), encoding="utf-8")
    except OSError as error:
        raise errors.Unavailable(
            f"cannot be written: {error.strerror}.", where=str(file)
        ) from error
