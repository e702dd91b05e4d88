"""Converts fields of records: times to texts, numbers of older versions."""

import json
import math
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def compact_json(value: Json) -> str:
    """JSON without spaces. Raises ValueError for NaN and infinity, which JSON lacks."""
    return _encoder.encode(value)


def stamp(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def moment(text: str) -> datetime:
    """Parse any ISO 8601 time with an offset, as `stamp` writes it. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def now() -> datetime:
    """The present time in UTC, truncated to milliseconds as in `stamp`."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


def finite(value: float | None) -> float:
    """A number; 0 for NaN, infinity and null, which version 0.1 stored for broken models."""
    return value if value is not None and math.isfinite(value) else 0.0
