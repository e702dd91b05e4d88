"""The report as one self-contained HTML file: no script, nothing fetched, light, dark and print.

`render(report)` is the file; `fragments(report)` its sections, for embedding in another page.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib import parse

from legibly.accuracy.render import charts, plain_text
from legibly.accuracy.report import Report
from legibly.statistics import drift as drifts

_STYLE = """
:root{color-scheme:light dark;
--paper:#faf8f3;--surface:#fffefb;--ink:#1b1a17;--muted:#5b5850;--line:#dcd7ca;
--accent:#1f4e9e;--rival:#a84b00;--soft:31,78,158;--warm:168,75,0}
@media (prefers-color-scheme:dark){:root{
--paper:#161a20;--surface:#1e232b;--ink:#eceae4;--muted:#aab0ba;--line:#363e4a;
--accent:#9fc2ff;--rival:#f3a865;--soft:100,150,255;--warm:243,150,90}}
@media print{:root{
--paper:#fff;--surface:#fff;--ink:#000;--muted:#444;--line:#bbb;--accent:#1f4e9e;--rival:#a84b00}}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:64rem;background:var(--paper);
color:var(--ink);font:100%/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
font-variant-numeric:tabular-nums}
h1{font-size:1.6rem;line-height:1.2}
h2{font-size:1.15rem;margin:2.2rem 0 .5rem}p{max-width:68ch;margin:0 0 .75rem}
.lead{font-size:1.3rem;line-height:1.4}.quiet{color:var(--muted);font-size:.875rem}
figure{margin:.5rem 0}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem}
caption{text-align:left;color:var(--muted);padding:.25rem 0}
th,td{padding:.25rem .6rem;text-align:right;
border-bottom:1px solid var(--line);font-weight:400;white-space:nowrap}
th[scope=row]{text-align:left}
thead th{color:var(--muted)}.matrix td{min-width:2.2rem;text-align:center}
summary{cursor:pointer;color:var(--accent);min-height:2.75rem;line-height:2.75rem}
a{color:inherit}.bar{width:100%;max-width:36rem;height:3.2rem}
.bar text{fill:var(--muted);font-size:12px}
"""

# Focusable, so that wide tables scroll with the keyboard.
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="{}">'


def render(
    report: Report, *, title: str = "How often the answers are right", base: str = ""
) -> str:
    """The whole page. `base`: the app's address, to link matrix cells to pictures, or empty."""
    body = "\n".join(f"<section>{text}</section>" for text in fragments(report, base=base).values())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"\n<body><main><h1>{html.escape(title)}</h1>\n"
        f"{body}\n</main></body></html>\n"
    )


def fragments(report: Report, *, base: str = "") -> dict[str, str]:
    """The sections by name as HTML, without the empty ones."""
    drawn = charts.draw_all(report)
    sections = {
        "headline": _headline(report),
        "matrix": _matrix(report, base),
        "calibration": _calibration(report, drawn["calibration"]),
        "histogram": _histogram(drawn["histogram"]),
        "selective": _selective(report, drawn["selective"]),
        "by_day": _rows("Day by day", "day", report["by_day"], drawn["by_day"]),
        "classes": _classes(report, drawn["classes"]),
        "by_model": _rows("Models", "model", report["by_model"], drawn["by_model"]),
        "by_source": _rows("Who gave the labels", "source", report["by_source"], None),
        "drift": _drift(report),
        "skipped": _skipped(report),
    }
    return {name: text for name, text in sections.items() if text}


def _headline(report: Report) -> str:
    estimate = report["estimate"]
    text = f'<p class="lead">{_esc(plain_text.headline(report))}</p>'
    if estimate["accuracy"]["value"] is not None and estimate["enough"]:
        text += _bar(estimate["accuracy"])
    text += f"<p>{_esc(estimate['why'])}</p>"
    gap = estimate["volunteered_less_asked"]
    if gap and gap["high"] < 0:
        points = f"{-100 * gap['high']:.1f} to {-100 * gap['low']:.1f}"
        text += (
            f"<p>Volunteered labels alone would look {points} points worse: mistakes get"
            " labelled more eagerly.</p>"
        )
    return text


def _bar(share: Mapping[str, float]) -> str:
    """The interval as a bar on an axis with labelled ends."""
    low = min(0.9, int(share["low"] * 10) / 10) if share["low"] > 0.5 else 0.0
    at = {name: 2 + 96 * (share[name] - low) / (1 - low) for name in ("value", "low", "high")}
    label = (
        f"{plain_text.percent(share['value'])}, between {plain_text.percent(share['low'])}"
        f" and {plain_text.percent(share['high'])}"
    )
    return (
        f'<svg class="bar" role="img" aria-label="{label}">'
        '<line x1="2%" x2="98%" y1="30" y2="30" stroke="var(--line)"/>'
        f'<line x1="{at["low"]:.2f}%" x2="{at["high"]:.2f}%" y1="18" y2="18"'
        ' stroke="var(--accent)" stroke-width="6"/>'
        f'<circle cx="{at["value"]:.2f}%" cy="18" r="6" fill="var(--accent)"/>'
        f'<text x="2%" y="46">{100 * low:.0f} %</text><text x="98%" y="46" text-anchor="end">100'
        " %</text></svg>"
    )


def _matrix(report: Report, base: str) -> str:
    confusion = report["confusion"]
    labels: list[str] = confusion["labels"]
    if not labels:
        return ""
    if len(labels) > 40:
        return _confused(report)
    head = "".join(f'<th scope="col">{_esc(_name(label))}</th>' for label in labels)
    rows = []
    for actual, counts in zip(labels, confusion["counts"], strict=True):
        cells = "".join(
            _cell(actual, predicted, n, sum(counts), base)
            for predicted, n in zip(labels, counts, strict=True)
        )
        rows.append(f'<tr><th scope="row">{_esc(_name(actual))}</th>{cells}</tr>')
    caption = "True label down, answer across" + ("; a cell opens its pictures" if base else "")
    left = confusion["left_out"]["texts"] + confusion["left_out"]["places"]
    text = f"{left:,} labels that do not lie side by side are not in this table."
    note = f'<p class="quiet">{text}</p>' if left else ""
    return (
        f"<h2>What was taken for what</h2>{_SCROLL.format('The matrix')}"
        f'<table class="matrix"><caption>{caption}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _cell(actual: str, predicted: str, n: int, total: int, base: str) -> str:
    if not n:
        return "<td>·</td>"
    strength = 0.12 + 0.5 * n / total
    colour = "--soft" if actual == predicted else "--warm"
    text = f"{n:,}"
    if base:
        href = (
            f"{base}/history?actual={parse.quote(actual or '∅')}&amp;"
            f"predicted={parse.quote(predicted or '∅')}"
        )
        text = (
            f'<a href="{href}" aria-label="{_esc(actual)} read as {_esc(_name(predicted))}:'
            f' {n:,}">{text}</a>'
        )
    return f'<td style="background:rgba(var({colour}),{strength:.2f})">{text}</td>'


def _confused(report: Report) -> str:
    rows = [
        (_name(row["actual"]), _name(row["predicted"]), f"{row['n']:,}")
        for row in report["confused"]
    ]
    return _table("What was taken for what most often", ("true", "read as", "times"), rows)


def _calibration(report: Report, chart: str | None) -> str:
    bins = report["calibration"]["bins"]
    rows = [
        (
            f"{100 * row['from']:.0f} – {100 * row['to']:.0f} %",
            f"{row['n']:,}",
            plain_text.percent(row["confidence"]),
            plain_text.percent(row["accuracy"]),
            f"{plain_text.percent(row['low'])} – {plain_text.percent(row['high'])}",
        )
        for row in bins
    ]
    ece = report["calibration"]["ece"]
    text = f"Confidence and accuracy lie {plain_text.percent(ece)} apart on average."
    note = "" if ece is None else f"<p>{text}</p>"
    names = ("confidence", "pictures", "mean", "were right", "95 %")
    return _table("Is the confidence reliable?", names, rows, chart=chart, before=note)


def _histogram(chart: str | None) -> str:
    title = "How sure right and wrong answers were"
    return f"<h2>{title}</h2><figure>{chart}</figure>" if chart else ""


def _selective(report: Report, chart: str | None) -> str:
    rows = [
        (
            plain_text.percent(row["threshold"], 1),
            plain_text.percent(row["coverage"]),
            plain_text.percent(row["accuracy"]),
            f"{plain_text.percent(row['low'])} – {plain_text.percent(row['high'])}",
        )
        for row in report["selective"]
    ]
    names = ("sure from", "answered", "were right", "95 %")
    return _table("If only sure answers count", names, rows, chart=chart)


def _classes(report: Report, chart: str | None) -> str:
    rows = [
        (
            _name(row["label"]),
            f"{row['support']:,}",
            plain_text.percent(row["recall"]["value"]),
            _range(row["recall"]),
            plain_text.percent(row["precision"]["value"]),
            "–" if row["f1"] is None else f"{row['f1']:.4f}",
        )
        for row in report["classes"]
    ]
    names = ("class", "labels", "found", "95 %", "precision", "F1")
    return _table("Class by class", names, rows, chart=chart)


def _rows(title: str, key: str, rows: Sequence[Mapping[str, Any]], chart: str | None) -> str:
    figures = []
    for row in rows:
        share = row["accuracy"]
        shown = (plain_text.percent(share["value"]), _range(share))
        cells = shown if row["enough"] else ("too few to say", "")
        figures.append((str(row[key]), f"{row['pairs']:,}", *cells))
    return _table(title, (key, "pairs", "were right", "95 %"), figures, chart=chart)


def _drift(report: Report) -> str:
    drift = report["drift"]
    if not drift:
        return ""
    says = {
        "none": "Last week’s pictures are similar to those of the four weeks before.",
        "some": "Last week’s pictures differ somewhat from those of the four weeks before.",
        "much": (
            "Last week’s pictures differ a lot from those of the four weeks before: check the"
            " accuracy."
        ),
    }[drifts.change(drift) or "none"]
    names = ("verdicts", "classes")
    rows = [(name, _index(drift[name])) for name in names]
    days = [(row["day"], *(_index(row[name]) for name in names)) for row in drift["by_day"]]
    table = _plain(("stability index", "value and 95 %"), rows)
    by_day = _plain(("day", *names), days) if days else ""
    return f"<h2>What came in</h2><p>{says}</p>{table}{by_day}"


def _index(index: Mapping[str, Any]) -> str:
    if index["value"] is None:
        return "–"
    return f"{index['value']:.3f} ({index['low']:.3f} – {index['high']:.3f})"


def _skipped(report: Report) -> str:
    counts = {**report["skipped"], "taken back": report["taken_back"]}
    rows = [(name, f"{n:,}") for name, n in counts.items() if n]
    return _table("Not counted", ("why", "lines"), rows) if rows else ""


def _table(
    title: str,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    chart: str | None = None,
    before: str = "",
) -> str:
    """A heading, its chart and its table, which is folded if there is a chart or many rows."""
    if not rows:
        return ""
    figure = f"<figure>{chart}</figure>" if chart else ""
    table = _plain(names, rows)
    if chart or len(rows) > 40:
        table = f"<details><summary>The figures</summary>{table}</details>"
    return f"<h2>{_esc(title)}</h2>{before}{figure}{table}"


def _plain(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_esc(name)}</th>' for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(_lines(rows))}</tbody></table>"
    return f"{_SCROLL.format(_esc(', '.join(names)))}{table}</div>"


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for first, *rest in rows:
        cells = "".join(f"<td>{_esc(text)}</td>" for text in rest)
        yield f'<tr><th scope="row">{_esc(first)}</th>{cells}</tr>'


def _range(share: Mapping[str, float | None]) -> str:
    if share["value"] is None:
        return ""
    return f"{plain_text.percent(share['low'])} – {plain_text.percent(share['high'])}"


def _name(label: str) -> str:
    return label or "(nothing)"


def _esc(text: str) -> str:
    return html.escape(text)
