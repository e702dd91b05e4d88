"""The accuracy page: in plain words for everybody, with filters and figures for engineers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from legibly import records
from legibly.accuracy import report as reports
from legibly.accuracy.render import charts, html, table
from legibly.accuracy.report import Report
from legibly.errors import Invalid, LegiblyError, NotFound
from legibly.index.port import Filter, Index, Selection, Slice
from legibly.projects import Project
from legibly.statistics import drift, estimate, metrics
from legibly.web import workspaces
from legibly.web.pages import batches
from legibly.web.pages.rendering import Pages, classes_of
from legibly.web.security.principal import admitted_projects, principal_of
from legibly.web.services import current_report, current_slices, state_of
from legibly.web.text import number_format

_MIN_PAIRS = 30
"""The least number of pairs for charts."""
_MISREAD = 12
_SLICES = 20
FILTERS = ("since", "until", "batch", "writer", "source", "model", "verdict")
SOURCES = ("asked", "volunteered", "at_upload")
VERDICTS = ("read", "unsure", "blank", "not_a_digit")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FILES: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", table.encode),
    "json": ("application/json", reports.encode),
    "html": ("text/html; charset=utf-8", lambda report: html.render(report).encode()),
}


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @routes.get("/accuracy")
    def accuracy(request: Request) -> Response:
        """The figures in plain words first."""
        selection = selection_of(request.query_params)
        values = report_values(request, selection)
        chosen = {name: request.query_params.get(name, "") for name in FILTERS}
        values |= {
            "chosen": chosen,
            "query": urlencode({name: value for name, value in chosen.items() if value}),
            "models": [row["model"] for row in report_values(request)["report"]["by_model"]],
            "batches": batches.newest(request),
            "projects": admitted_projects(request),
            "sources": SOURCES,
            "verdicts": VERDICTS,
            "misread": _misread(request, selection),
            "slices": _slices(request, selection),
        }
        return pages.render(request, "accuracy.html", **values, **sections(values["report"]))

    @routes.get("/accuracy/report.{kind}")
    def download(request: Request, kind: str) -> Response:
        """The same figures as a file: csv, json or html."""
        if kind not in _FILES:
            raise NotFound("there is no such file.", where=kind[:20])
        media_type, encode = _FILES[kind]
        report = report_values(request, selection_of(request.query_params))["report"]
        name = f"legibly-accuracy-{records.now():%Y-%m-%d}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(encode(report), media_type=media_type, headers=headers)

    @routes.get("/accuracy/projects")
    async def compare(request: Request) -> Response:
        """The accuracy of each project that the principal may enter."""
        rows = [await _project_row(request, project) for project in admitted_projects(request)]
        return pages.render(request, "accuracy_projects.html", rows=rows)

    @routes.get("/accuracy/panel")
    def panel(request: Request) -> Response:
        """The accuracy beside the answers, as a fragment."""
        return pages.render(request, "_accuracy_panel.html", **report_values(request))


async def _project_row(request: Request, project: Project) -> dict[str, Any]:
    """A project and its report; None if the project cannot be opened."""
    selection = Selection(**principal_of(request).visibility)
    try:
        state = await workspaces.state_in(request, project.name)
        report = await to_thread.run_sync(current_report, state, selection)
    except LegiblyError:
        return {"project": project, "report": None, "is_enough": False}
    is_enough = report["pairs"] >= estimate.MIN_LABELS
    return {"project": project, "report": report, "is_enough": is_enough}


def selection_of(query: Mapping[str, str]) -> Selection:
    """The selection in the address of the page. Raises Invalid for an invalid day."""
    values = {name: query[name] for name in FILTERS if query.get(name)}
    for name in ("since", "until"):
        if name in values and not _DAY.fullmatch(values[name]):
            where = f"{name}={values[name][:20]}"
            raise Invalid("this is not a date such as 2026-11-22.", where=where)
    return Selection(**values)  # type: ignore[arg-type]


def report_values(request: Request, selection: Selection | None = None) -> dict[str, Any]:
    """The report on what the principal may see, and the part of its matrix that fits the page."""
    chosen = replace(selection or Selection(), **principal_of(request).visibility)
    report = current_report(state_of(request), chosen)
    small = number_format.heat_table(report["confusion"], classes=classes_of(request))
    return {"report": report, "small": small}


def _slices(request: Request, selection: Selection) -> dict[Slice, list[dict[str, Any]]]:
    """Accuracy by writer and by batch, with the names of batches."""
    state = state_of(request)
    chosen = replace(selection, **principal_of(request).visibility)
    return {
        by: [
            {
                "name": count.name,
                "title": _batch_name(state.index, count.name) if by == "batch" else count.name,
                "pairs": count.pairs,
                "accuracy": metrics.as_json(metrics.share(count.right, count.pairs)),
                "enough": count.pairs >= estimate.MIN_LABELS,
            }
            for count in counts
        ]
        for by, counts in current_slices(state, chosen, limit=_SLICES).items()
    }


def _batch_name(index: Index, batch_id: str) -> str:
    try:
        return index.batch(batch_id).name
    except NotFound:
        return batch_id


def _misread(request: Request, selection: Selection) -> list[records.Image]:
    """The newest images whose label differs from their reading."""
    names = ("writer", "batch", "verdict", "since", "until")
    criteria = {name: getattr(selection, name) for name in names}
    wrong = Filter(wrong=True, state="read", **criteria, **principal_of(request).visibility)
    return state_of(request).index.page(wrong, limit=_MISREAD)


def sections(report: Report) -> dict[str, Any]:
    """The values of `accuracy.html` besides the report itself."""
    names = ("day", "model", "source", "length")
    groups = [(name, report[f"by_{name}"], name) for name in names]
    classes = [row for row in report["classes"] if len(row["label"]) == 1]
    return {
        "charts_in": lambda gettext, point: _charts(report, gettext, point),
        "groups": groups,
        "classes": classes or report["classes"][:40],
        "change": drift.change(report["drift"]),
    }


def _charts(report: Report, gettext: Callable[[str], str], point: str) -> dict[str, str | None]:
    """SVG by name in the language of the page; None with too little data."""
    drawn = charts.draw_all(report, charts.Locale(gettext, point))
    return drawn if report["pairs"] >= _MIN_PAIRS else dict.fromkeys(drawn)
