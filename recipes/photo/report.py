"""The page about a training: how often right on pictures never seen, and which labels to look
at.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

from legibly.evaluation import evaluation
from legibly.images import sniff
from legibly.packs import pack as packs
from legibly.statistics import metrics
from legibly.vision.reading import Reader

SHOWN = 60
"""Pictures that the page holds at most of each kind."""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{{ name }}: training</title>
<style>
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem }
table { border-collapse: collapse } th, td { padding: .2rem .7rem; text-align: right }
th:first-child, td:first-child { text-align: left }
ul { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none }
li { width: 8rem; font-size: .85rem; overflow-wrap: anywhere }
img { width: 8rem; height: 8rem; object-fit: contain; background: #8882 }
</style>
<h1>{{ name }}</h1>
<p>Right on <strong>{{ percent(exact.value) }}</strong> of {{ n }} pictures
that the training did not
see (between {{ percent(exact.low) }} and {{ percent(exact.high) }}, 95 % interval).</p>
<h2>Classes</h2>
<table><tr><th>class<th>pictures<th>right<th>most often read as
{% for row in rows %}<tr><td>{{ row.name }}<td>{{ row.n }}<td>{{ percent(row.share) }}<td>
{{ row.other or '–' }}{% endfor %}</table>
{% macro gallery(items) %}<ul>{% for item in items %}<li><img alt="" src="{{ item.url }}">
{{ item.name }}<br>labelled {{ item.truth }}, read as {{ item.text }}
({{ percent(item.confidence) }}){% endfor %}</ul>{% endmacro %}
<h2>Misread test pictures</h2>{{ gallery(misread) if misread else '<p>None.</p>'|safe }}
<h2>Labels to look at</h2>
<p>The model is surest here that the label is another. Pictures that it was trained on are among
them: it disagrees with these labels although it was taught them.</p>
{{ gallery(doubtful) if doubtful else '<p>None.</p>'|safe }}
<h2>Epochs</h2>
<table><tr>{% for key in log[0] %}<th>{{ key }}{% endfor %}
{% for row in log %}<tr>
{% for value in row.values() %}<td>{{ value }}{% endfor %}{% endfor %}</table>
</html>"""


def write(folder: Path, loaded: Mapping[str, Any], log: list[dict[str, float]]) -> dict[str, Any]:
    """Read the test pictures with the finished pack and write report.html beside it.

    Returns the figures for the card: accuracy on the test part with its 95 % Wilson interval.
    """
    reader = Reader(packs.open_pack(folder))
    test = evaluation.run(reader, loaded["test"].samples)
    exact = metrics.as_json(metrics.share(sum(outcome.right for outcome in test), len(test)))
    others = [*loaded["train"].samples, *loaded["valid"].samples]
    taught = evaluation.run(reader, others)
    files = {sample.name: sample for part in loaded.values() for sample in part.samples}
    misread = [outcome for outcome in test if not outcome.right]
    doubtful = [outcome for outcome in (*test, *taught) if _disagrees(outcome)]
    page = Environment(autoescape=True).from_string(_PAGE)
    text = page.render(
        name=folder.name,
        n=len(test),
        exact=exact,
        rows=_rows(test),
        misread=_items(misread, files),
        doubtful=_items(doubtful, files),
        log=log,
        percent=lambda share: f"{100 * share:.1f} %",
    )
    folder.with_name(folder.name + ".report.html").write_text(text, encoding="utf-8")
    return {"test": {"n": len(test), "exact": exact}, "epochs": len(log)}


def _disagrees(outcome: evaluation.Outcome) -> bool:
    return not outcome.right and bool(outcome.text) and outcome.confidence > 0.9


def _rows(test: list[evaluation.Outcome]) -> list[dict[str, Any]]:
    rows = []
    for name in sorted({outcome.truth for outcome in test}):
        members = [outcome for outcome in test if outcome.truth == name]
        wrong = Counter(outcome.text or "nothing" for outcome in members if not outcome.right)
        share = sum(outcome.right for outcome in members) / len(members)
        other = wrong.most_common(1)[0][0] if wrong else ""
        rows.append({"name": name, "n": len(members), "share": share, "other": other})
    return rows


def _items(outcomes: list[evaluation.Outcome], files: Mapping[str, Any]) -> list[dict[str, Any]]:
    ordered = sorted(outcomes, key=lambda outcome: -outcome.confidence)[:SHOWN]
    items = []
    for outcome in ordered:
        data = files[outcome.name].load()
        url = f"data:{sniff.media_type(data)};base64,{base64.b64encode(data).decode()}"
        facts = {"name": outcome.name, "truth": outcome.truth, "text": outcome.text or "nothing"}
        items.append({**facts, "confidence": outcome.confidence, "url": url})
    return items
