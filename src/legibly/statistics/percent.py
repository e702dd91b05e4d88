"""Formats percentages for pages, terminal, HTML report and charts."""

import math

NO_SHARE = "–"
_TOLERANCE = 1e-9
"""Tolerance, since 0.29 × 1,000 is 289.99… in floats but means 29.0 %."""


def percent(
    share: float | None, digits: int = 1, *, up: bool = False, point: str = ".", space: str = " "
) -> str:
    """A share as a percentage, rounded down so that it never overstates: 0.9996 is `99.9 %`.

    With `up` it is rounded up, for shares of mistakes. None becomes a dash.
    """
    if share is None:
        return NO_SHARE
    scaled = share * 10 ** (2 + digits)
    number = math.ceil(scaled - _TOLERANCE) if up else math.floor(scaled + _TOLERANCE)
    return f"{number / 10**digits:.{digits}f}".replace(".", point) + f"{space}%"
