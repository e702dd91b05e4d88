"""The charts are sound SVG, whatever the classes are called."""

import itertools
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from legibly.accuracy import report
from legibly.accuracy.render import charts, svg
from legibly.statistics import aggregates

SVG = "{http://www.w3.org/2000/svg}"


def _report(*, days: int, names: tuple[str, ...], n: int = 40) -> report.Report:
    rows = []
    for back, name, lower in itertools.product(range(days), names, (500_000, 900_000, 999_000)):
        day = (date(2026, 11, 22) - timedelta(days=back)).isoformat()
        wrong = names[back % len(names)]
        rows.append(aggregates.Cell(day, f"m@{back % 2}", "asked", name, name, lower, n, n * lower))
        rows.append(aggregates.Cell(day, f"m@{back % 2}", "asked", wrong, name, lower, 1, lower))
    return report.build(aggregates.Table(tuple(sorted(rows))))


@pytest.mark.parametrize("days", [2, 20, 63, 400])
@pytest.mark.parametrize(
    "names", [("0", "1"), ("<b>&\"'", "a class with a name longer than there is room for", "")]
)
def test_every_chart_is_one_labelled_picture_inside_its_frame(
    days: int, names: tuple[str, ...]
) -> None:
    """Well-formed XML with one sentence; every dot lies inside the frame; no name turns into
    markup.
    """
    for name, drawn in charts.draw_all(_report(days=days, names=names)).items():
        assert drawn, name
        root = ET.fromstring(drawn)
        assert (root.get("role"), len(root.get("aria-label") or "") > 20) == ("img", True)
        _, _, width, height = map(float, str(root.get("viewBox")).split())
        assert "nan" not in drawn
        assert not root.findall(f".//{SVG}b")
        for dot in root.iter(f"{SVG}circle"):
            assert 0 < float(str(dot.get("cx"))) < width
            assert 0 < float(str(dot.get("cy"))) < height


def test_too_little_is_no_chart() -> None:
    """Nothing to show is None, not an empty frame."""
    assert set(charts.draw_all(report.build(aggregates.Table())).values()) == {None}


def test_charts_speak_the_page_s_language() -> None:
    """Sentences go through gettext, decimals through the language's point."""
    locale = charts.Locale(lambda text: text.replace("Recall", "Gefunden"), ",")
    drawn = charts.classes(_report(days=20, names=("0", "1", "2")), locale)
    assert drawn
    label = str(ET.fromstring(drawn).get("aria-label"))
    assert label.startswith("Gefunden")
    assert "," in label.rpartition("with")[2]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.99, 1), (0.9, 1), (0.4, 1), (0.9990, 1)])
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    """Two to six per cents, all within the axis, each spelt differently."""
    ticks = svg.share_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert len({tick.text for tick in ticks}) == len(ticks)
    assert all(low - 1e-9 <= tick.value <= high + 1e-9 for tick in ticks)
