"""Shares as per cent, the same for pages, terminal, HTML report and charts."""

import math

NO_SHARE = "–"
_TOLERANCE = 1e-9
"""0.29 × 1,000 is 289.99… in floats and 29.0 % all the same."""


def percent(
    share: float | None, digits: int = 1, *, up: bool = False, point: str = ".", space: str = " "
) -> str:
    """A share as per cent, rounded down so that it never overstates: 0.9996 is `99.9 %`.

    With `up` it is rounded up instead, for shares of mistakes. A share of None is a dash.
    """
    if share is None:
        return NO_SHARE
    scaled = share * 10 ** (2 + digits)
    number = math.ceil(scaled - _TOLERANCE) if up else math.floor(scaled + _TOLERANCE)
    return f"{number / 10**digits:.{digits}f}".replace(".", point) + f"{space}%"
