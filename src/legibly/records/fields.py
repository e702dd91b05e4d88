"""What the fields of records share: times as texts, numbers of older versions."""

import json
import math
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def compact_json(value: Json) -> str:
    """JSON without spaces. Raises ValueError for NaN and infinity, which are no JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def stamp(moment: datetime) -> str:
    """Write a moment as ISO 8601 UTC with milliseconds, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def moment(text: str) -> datetime:
    """Read what `stamp` wrote, or any ISO 8601 moment with an offset. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def now() -> datetime:
    """The present moment in UTC, in the whole milliseconds that `stamp` keeps."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


def finite(value: float | None) -> float:
    """A number as it is; 0 for NaN, infinity and null, which version 0.1 stored of broken
    models.
    """
    return value if value is not None and math.isfinite(value) else 0.0
