"""Renders the HTML pages on the server; their scripts use the public API."""

import dataclasses
import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import jinja2
from fastapi import Request
from fastapi.responses import Response
from markupsafe import Markup, escape

from legibly.errors import LegiblyError
from legibly.packs.card import Card
from legibly.projects import Project
from legibly.settings import DEFAULT_PROJECT
from legibly.web.pages import assets
from legibly.web.security.principal import Principal, principal_of
from legibly.web.services import State, state_of
from legibly.web.text import i18n, js_messages, number_format

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:;"
    " style-src 'self'; style-src-attr 'unsafe-inline';"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding, Accept-Language, Cookie",
}
_MIN_COMPRESSED_BYTES = 1000
_SURE_ELSEWHERE = 0.9
"""The threshold of a remote model that has none."""


class Pages:
    """Renders templates: environment, assets and catalogues, built once per application."""

    def __init__(self) -> None:
        self.assets = assets.Assets()
        loader = jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates")
        self._environment = jinja2.Environment(
            loader=loader,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._environment.globals.update(asset=self.assets.url, script=self._script, day=_day)

    def _script(self, name: str) -> Markup:
        """The elements that load a module with all that it imports."""
        script, *imports = self.assets.modules(name)
        links = Markup("").join(
            Markup('<link rel="modulepreload" href="{}">').format(url) for url in imports
        )
        return links + Markup('<script type="module" src="{}"></script>').format(script)

    def render(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page in the language of the request, compressed if the browser accepts that."""
        state = state_of(request)
        catalogue = i18n.catalogue_for(request)
        gettext = catalogue.gettext
        figures = number_format.FIGURES[catalogue.language]
        direct = _bucket(state)
        text = self._environment.get_template(template).render(
            _=_filling(gettext),
            language=catalogue.language,
            languages=i18n.LANGUAGES,
            here=request.url.path,
            pages=_navigation(gettext, principal_of(request), reads=reads(request)),
            words=js_messages.table(gettext, card_of(request)),
            reads=reads(request),
            figures=figures,
            principal=principal_of(request),
            project=state.settings.project,
            project_title=project_title(request.scope.get("legibly.project")),
            title_of=lambda project: project_title(project) or gettext("Default project"),
            model="@".join(dataclasses.astuple(state.views.model)),
            sure=sure_from(request),
            doubt=doubt_elsewhere(request),
            owner=_queue_owner(request),
            sequence=_sequence(state),
            direct=direct,
            words_of=lambda share, pairs: figures.in_words(share, pairs, gettext),
            **values,
        )
        headers = HEADERS | {"Cache-Control": "no-store"} if values.get("secret") else HEADERS
        if direct:  # the page may send to the bucket, too
            policy = f"{POLICY}; connect-src 'self' {direct}"
            headers = headers | {"Content-Security-Policy": policy}
        return compressed(
            request, text.encode(), "text/html; charset=utf-8", status=status, headers=headers
        )

    def error(self, request: Request, status: int, title: str, detail: str) -> Response:
        """The page that describes an error and what to do."""
        gettext = i18n.catalogue_for(request).gettext
        return self.render(
            request, "error.html", status=status, title=gettext(title), detail=gettext(detail)
        )


def _filling(gettext: Callable[[str], str]) -> Callable[..., str]:
    """gettext for templates: replaces `%(name)s` by keywords, and `%%` by a per cent sign."""

    def fill(text: str, **values: object) -> str:
        words = _keep_units_together(gettext(text))
        has_markup = any(isinstance(value, Markup) for value in values.values())
        return (escape(words) if has_markup else words) % values

    return fill


def _day(moment: datetime) -> Markup:
    """A day, which the page shows in the format of the reader's region."""
    return Markup('<time datetime="{day}">{day}</time>').format(day=f"{moment:%Y-%m-%d}")


def _keep_units_together(text: str) -> str:
    """The text without line breaks between a figure and its unit."""
    return text.replace(" %%", "\u00a0%%").replace(" ×", "\u00a0×")


def _navigation(
    gettext: Callable[[str], str], principal: Principal, *, reads: str
) -> list[tuple[str, str]]:
    """The pages of the menu, with Review and Classes only for those who may use them, and
    handwriting only for models that read it.
    """
    is_reviewer = principal.role != "writer"
    pages = [
        ("/", gettext("Classify"), True),
        ("/history", gettext("History"), True),
        ("/review", gettext("Review"), is_reviewer),
        ("/classes", gettext("Classes"), is_reviewer and principal.session is not None),
        ("/handwriting", gettext("My handwriting"), reads == "digits"),
        ("/accuracy", gettext("Accuracy"), True),
        ("/models", gettext("Models"), True),
    ]
    return [(path, name) for path, name, is_shown in pages if is_shown]


def compressed(
    request: Request,
    data: bytes,
    media_type: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """A response, gzipped if that pays and the browser accepts it."""
    headers = dict(headers or {})
    if len(data) >= _MIN_COMPRESSED_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        data = gzip.compress(data, 6, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, status, headers=headers, media_type=media_type)


def project_title(project: Project | None) -> str:
    """The title of a project, or its name; empty for the default one."""
    if project is None or project.name == DEFAULT_PROJECT:
        return ""
    return project.title or project.name


def _bucket(state: State) -> str | None:
    """The origin to which the page may upload directly; None if it must use this server."""
    return (
        state.presigner.origin if state.presigner and state.settings.uploads == "direct" else None
    )


def card_of(request: Request) -> Card | None:
    """The card of the present model; None if the server does not know it."""
    return getattr(getattr(state_of(request).views, "pack", None), "card", None)


def reads(request: Request) -> Literal["digits", "drawings", "photos"]:
    """What the present model reads: digits in rows, or whole pictures, without or with colour."""
    card = card_of(request)
    if card is None or card.layout == "ink":
        return "digits"
    return "drawings" if card.input.channels == 1 else "photos"


def sure_from(request: Request) -> float:
    """The confidence at which the present model is sure, by its card."""
    card = card_of(request)
    return float(card.thresholds.read) if card is not None else _SURE_ELSEWHERE


def doubt_elsewhere(request: Request) -> float:
    """The share of sure answers that may be wrong on an unknown style of writing: by the card, the
    bound for the worst source that was left out when the threshold was chosen; 0 without one.
    """
    card = card_of(request)
    unseen = card.risk.get("unseen") if card is not None else None
    return float(unseen.get("upper", 0.0)) if isinstance(unseen, dict) else 0.0


def _sequence(state: State) -> int | str:
    """The number after which a page follows changes; empty (from now on) without the index."""
    try:
        return state.index.sequence()
    except LegiblyError:
        return ""


def _queue_owner(request: Request) -> str:
    """The owner of files that wait in a browser, to send them only as that person and project."""
    project = state_of(request).settings.project
    suffix = "" if project == DEFAULT_PROJECT else f"@{project}"
    return f"{principal_of(request).account or ''}{suffix}"


def classes_of(request: Request) -> list[str]:
    """The possible answers of the model, as far as keys and buttons can offer them."""
    card = card_of(request)
    return list(card.classes) if card is not None else [str(digit) for digit in range(10)]
