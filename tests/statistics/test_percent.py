"""One spelling of per cent, which never overstates."""

import pytest

from legibly.accuracy.render import plain_text
from legibly.accuracy.render.charts import Locale
from legibly.statistics.percent import percent
from legibly.web.text.number_format import FIGURES


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.9996, 1, "99.9 %"),
        (0.99999, 2, "99.99 %"),
        (0.29, 1, "29.0 %"),
        (1.0, 1, "100.0 %"),
        (0.0, 0, "0 %"),
        (None, 1, "–"),
    ],
)
def test_a_share_is_rounded_down(share: float | None, digits: int, text: str) -> None:
    """Nothing short of certain reads 100, and floats do not take a digit away."""
    assert percent(share, digits) == text


def test_a_share_of_mistakes_is_rounded_up() -> None:
    """Few mistakes never read as none."""
    assert percent(0.00001, 2, up=True) == "0.01 %"


def test_pages_charts_and_terminal_agree() -> None:
    """0.9996 is 99.9 % wherever it stands, with the language's point."""
    assert FIGURES["de"].percent(0.9996) == "99,9\u00a0%"
    assert Locale(point=",").percent(0.9996) == "99,9 %"
    assert plain_text.percent(0.9996, 1) == "99.9 %"
