"""The report's charts as SVG, the same in the app's page and in the HTML report.

Vega-Lite specifications, drawn by vl-convert without a browser. Colours are CSS variables of the page around them
(`--ink`, `--muted`, `--line`, `--accent`, `--rival`) with a fallback, so that a chart follows light, dark and print.
Each chart says in `aria-label` what it shows; the numbers stand in a table beside it. None where there is too little.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import vl_convert

from legibly.accuracy.report import Report

Spec = dict[str, Any]
WIDTH, HEIGHT = 520, 260
MOST_CLASSES = 100

# Drawn in colours that nothing else uses, then replaced: Vega knows no CSS variables.
_COLOURS = {
    "#010203": "var(--ink, #1b1a17)",
    "#040506": "var(--muted, #5b5850)",
    "#070809": "var(--line, #dcd7ca)",
    "#0a0b0c": "var(--accent, #1f4e9e)",
    "#0d0e0f": "var(--rival, #a84b00)",
}
INK, MUTED, LINE, ACCENT, RIVAL = _COLOURS


def all_of(report: Report) -> dict[str, str | None]:
    """Every chart by name: `calibration`, `selective`, `by_day`, `classes`, `by_model`."""
    makers: dict[str, Callable[[Report], str | None]] = {
        "calibration": calibration,
        "selective": selective,
        "by_day": by_day,
        "classes": classes,
        "by_model": by_model,
    }
    return {name: make(report) for name, make in makers.items()}


def calibration(report: Report) -> str | None:
    """Reliability: how often answers were right against how sure the machine was, with intervals."""
    bins = [row for row in report["calibration"]["bins"] if row["n"] >= 5]
    if not bins:
        return None
    ece = report["calibration"]["ece"]
    what = f"Accuracy against confidence in {len(bins)} bins; on average they lie {100 * ece:.1f} points apart."
    diagonal = {
        "data": {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": MUTED, "strokeWidth": 1},
        "encoding": {"x": _share("confidence", "how sure it was"), "y": _share("accuracy", "how often it was right")},
    }
    x = _share("confidence", "how sure it was")
    layers = [diagonal, *_interval_layers(bins, x=x, y=_share("accuracy", "how often it was right"))]
    return _draw({"layer": layers, "width": HEIGHT, "height": HEIGHT}, what)


def selective(report: Report) -> str | None:
    """Coverage and accuracy where only answers from a confidence on are kept."""
    rows = [row for row in report["selective"] if row["accuracy"] is not None and row["pairs"] >= 5]
    if len(rows) < 2:
        return None
    rows = [{**row, "name": f"≥ {100 * row['threshold']:.4g} %"} for row in rows]
    ends = rows[0], rows[-1]
    what = "; ".join(
        f"{100 * row['coverage']:.1f} % answered and {100 * row['accuracy']:.2f} % of these right" for row in ends
    )
    low = min(row["low"] for row in rows)
    x, y = _share("coverage", "share answered", low=None), _share("accuracy", "share right", low=low)
    line = {"mark": {"type": "line", "color": ACCENT, "strokeWidth": 1.5}, "encoding": {"x": x, "y": y}}
    names = {
        "mark": {"type": "text", "dy": 14, "fontSize": 11, "color": MUTED},
        "transform": [{"filter": "indexof([0, 0.9, 0.99, 0.999], datum.threshold) >= 0"}],
        "encoding": {"x": x, "y": y, "text": {"field": "name"}},
    }
    layers = [line, *_interval_layers(rows, x=x, y=y), names]
    return _draw({"data": {"values": rows}, "layer": layers}, f"Only sure answers: {what}.")


def by_day(report: Report) -> str | None:
    """Accuracy by day with its interval; days with too few pairs are left out."""
    rows = [{"day": row["day"], **row["accuracy"]} for row in report["by_day"] if row["enough"]]
    if len(rows) < 2:
        return None
    low, high = min(rows, key=_value), max(rows, key=_value)
    what = (
        f"Accuracy on {len(rows)} days, from {100 * low['value']:.1f} % on {low['day']} "
        f"to {100 * high['value']:.1f} % on {high['day']}."
    )
    x = {"field": "day", "type": "temporal", "title": None, "axis": {"format": "%d %b", "tickCount": 6}}
    y = _share("value", "share right", low=min(row["low"] for row in rows))
    if len(rows) <= 60:
        return _draw({"layer": _interval_layers(rows, x=x, y=y)}, what)
    band = {"mark": {"type": "area", "color": ACCENT, "opacity": 0.25}}
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    line = {"mark": {"type": "line", "color": ACCENT, "strokeWidth": 1.5}, "encoding": {"x": x, "y": y}}
    return _draw({"data": {"values": rows}, "layer": [{**band, "encoding": {"x": x, **ends}}, line]}, what)


def classes(report: Report) -> str | None:
    """How much of each class was found (recall), with intervals."""
    rows = [{"label": _name(row["label"]), **row["recall"]} for row in report["classes"] if row["enough"]]
    if not rows or len(rows) > MOST_CLASSES:
        return None
    worst = min(rows, key=_value)
    what = f"Share found of {len(rows)} classes; the lowest is {worst['label']} with {100 * worst['value']:.1f} %."
    return _dots(rows, "label", what, "share found")


def by_model(report: Report) -> str | None:
    """Models side by side, where there are several."""
    rows = [{"model": row["model"], **row["accuracy"]} for row in report["by_model"] if row["enough"]]
    if len(rows) < 2:
        return None
    best = max(rows, key=_value)
    what = f"Accuracy of {len(rows)} models; the highest is {best['model']} with {100 * best['value']:.1f} %."
    return _dots(rows, "model", what, "share right")


def _dots(rows: Sequence[Mapping[str, Any]], field: str, what: str, title: str) -> str:
    x = _share("value", title, low=min(row["low"] for row in rows))
    y = {"field": field, "type": "nominal", "title": None, "sort": None}
    ends = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}
    spec = {
        "data": {"values": list(rows)},
        "height": {"step": 18},
        "layer": [
            {"mark": {"type": "rule", "color": ACCENT, "strokeWidth": 2}, "encoding": ends},
            {"mark": {"type": "point", "filled": True, "size": 45, "color": ACCENT}, "encoding": {"x": x, "y": y}},
        ],
    }
    return _draw(spec, what)


def _interval_layers(rows: Sequence[Mapping[str, Any]], *, x: Spec, y: Spec) -> list[Spec]:
    data = {"values": list(rows)}
    ends = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    return [
        {"data": data, "mark": {"type": "rule", "color": ACCENT, "strokeWidth": 2}, "encoding": ends},
        {
            "data": data,
            "mark": {"type": "point", "filled": True, "size": 45, "color": ACCENT},
            "encoding": {"x": x, "y": y},
        },
    ]


def _share(field: str, title: str, *, low: float | None = 0.0) -> Spec:
    """An axis of per cents from a round number below `low` to 1 (None: as the data say)."""
    scale: Spec = {"zero": False, "nice": True}
    if low is not None:
        start = 0.0 if low < 0.5 else int(low * 10) / 10 if low < 0.9 else int(low * 100) / 100
        scale = {"domain": [min(start, 0.99), 1], "nice": False}
    axis = {"format": "~%", "tickCount": 5}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _value(row: Mapping[str, Any]) -> float:
    return float(row["value"])


def _name(label: str) -> str:
    return label or "(nothing)"


def _draw(spec: Spec, what: str) -> str:
    axis = {"domainColor": LINE, "tickColor": LINE, "gridColor": LINE, "labelColor": MUTED, "titleColor": INK}
    config = {
        "background": None,
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {**axis, "gridWidth": 0.5, "titleFontWeight": "normal", "labelFontSize": 12, "titleFontSize": 12},
        "autosize": {"type": "fit", "contains": "padding"},
    }
    whole = {"width": WIDTH, "height": HEIGHT, **spec, "config": config}
    svg = vl_convert.vegalite_to_svg(whole)
    for drawn, meant in _COLOURS.items():
        svg = svg.replace(drawn, meant)
    # Parts that a screen reader would spell out one by one are one picture with one sentence.
    svg = re.sub(r' (aria-[a-z]+|role|pointer-events)="[^"]*"', "", svg)
    label = html.escape(what)
    width = re.search(r'width="(\d+)"', svg)
    style = f'style="max-width:{width[1] if width else WIDTH}px;width:100%;height:auto"'
    svg = re.sub(r' width="\d+" height="\d+"', "", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" {style} ', 1)
