"""Dependencies of routes: the images or pairs that a request selects."""

from typing import Annotated

from fastapi import Query, Request

from legibly import records
from legibly.index.port import Filter, Selection, Sort
from legibly.labels.rules import NOTHING
from legibly.web.security.principal import principal_of

_Day = Annotated[str | None, Query(pattern=r"^\d{4}-\d\d-\d\d$")]
_Share = Annotated[float | None, Query(ge=0, le=1)]
_SEARCH = "an answer or label, or a part of the file's name"


def image_filter(
    request: Request,
    *,
    verdict: records.Verdict | None = None,
    text: str | None = None,
    label: str | None = None,
    writer: str | None = None,
    state: records.State | None = None,
    wrong: bool = False,
    labelled: bool | None = None,
    since: str | None = None,
    until: str | None = None,
    batch: str | None = None,
    search: Annotated[str | None, Query(description=_SEARCH)] = None,
    confidence_from: _Share = None,
    confidence_to: _Share = None,
    sort: Sort = "newest",
) -> Filter:
    """The images of a request, only those that the principal may see."""
    return Filter(
        verdict=verdict,
        text=text,
        label="" if label == NOTHING else label,
        writer=writer,
        state=state,
        wrong=wrong,
        labelled=labelled,
        since=since,
        until=until,
        batch=batch,
        search=search,
        confidence_from=confidence_from,
        confidence_to=confidence_to,
        sort=sort,
        **principal_of(request).visibility,
    )


def report_selection(
    request: Request,
    *,
    since: _Day = None,
    until: _Day = None,
    batch: str | None = None,
    writer: str | None = None,
    source: records.LabelSource | None = None,
    model: Annotated[str | None, Query(description="NAME@VERSION")] = None,
    verdict: str | None = None,
) -> Selection:
    """The pairs of a report, only those that the principal may see."""
    return Selection(
        since=since,
        until=until,
        batch=batch,
        writer=writer,
        source=source,
        model=model,
        verdict=verdict,
        **principal_of(request).visibility,
    )
