"""Class mode: pupils join with code and nickname; teachers see legibility by pupil and digit."""

import csv
import functools
import io
import itertools
from statistics import fmean
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from legibly.errors import LegiblyError, NotFound
from legibly.exchange import exports
from legibly.index.port import Filter
from legibly.people import erasure
from legibly.people.classrooms import Classes, Pupil, SchoolClass
from legibly.web import errors
from legibly.web.pages import handwriting, signin
from legibly.web.pages.handwriting_reports import MAX_IMAGES
from legibly.web.pages.rendering import Pages
from legibly.web.security import audit, authentication, rate_limits, sessions
from legibly.web.security.client_address import network_of
from legibly.web.security.principal import principal_of
from legibly.web.services import image_owners, state_of

_TRIES_A_MINUTE = 20
_MAX_PICTURES = 200
_DIGITS = [str(digit) for digit in range(10)]


def classes_of(request: Request) -> Classes:
    """The classes. Raises NotFound without accounts, since nobody else could join."""
    classes = state_of(request).classes
    if classes is None:
        raise NotFound(
            "classes need accounts, and this server has none.",
            remedy="Start it with LEGIBLY_ACCOUNTS=on.",
        )
    return classes


def add(routes: APIRouter, pages: Pages) -> None:
    """Add the routes."""
    _add_joining(routes, pages)
    _add_teaching(routes, pages)


def _add_joining(routes: APIRouter, pages: Pages) -> None:
    addresses = rate_limits.Buckets(_TRIES_A_MINUTE)

    @routes.get("/join")
    def form(request: Request, code: str = "") -> Response:
        """The form to join."""
        classes_of(request)
        return pages.render(request, "join.html", code=code[:20], nickname="", problem="")

    @routes.post("/join")
    def join(
        request: Request,
        code: Annotated[str, Form(max_length=40)],
        nickname: Annotated[str, Form(max_length=200)],
        word: Annotated[str, Form(max_length=100)] = "",
    ) -> Response:
        """Join a class, or come back to it with the secret word."""
        network = network_of(request)
        wait = addresses.take(network)
        if wait:
            return authentication.too_many_requests(request, wait)
        try:
            pupil = classes_of(request).join(code, nickname, word)
        except LegiblyError as error:
            values = {
                "code": code,
                "nickname": nickname,
                "problem": errors.message_for(request, error),
            }
            return pages.render(request, "join.html", status=400, **values)
        addresses.give_back(network)
        response = RedirectResponse("/handwriting/practice", 303)
        key = signin.accounts_of(request).signing_key()
        hours = 24 * classes_of(request).get(pupil.school_class).keep_days
        sessions.begin(request, response, sessions.Session.for_pupil(pupil.owner, hours=hours), key)
        return response


def _add_teaching(routes: APIRouter, pages: Pages) -> None:
    show = functools.partial(_show_classes, pages)

    @routes.get("/classes")
    def listed(request: Request) -> Response:
        """A teacher's classes."""
        return show(request)

    @routes.post("/classes")
    def start(
        request: Request,
        name: Annotated[str, Form(max_length=200)],
        keep_days: Annotated[int, Form()] = 30,
    ) -> Response:
        """Open a class."""
        try:
            teacher = principal_of(request).account or ""
            opened = _teachers_only(request).open(name, teacher=teacher, keep_days=keep_days)
        except LegiblyError as error:
            return show(request, problem=errors.message_for(request, error), status=400)
        return RedirectResponse(f"/classes/{opened.id}", 303)

    _add_class(routes, pages)
    _add_changing(routes)


def _show_classes(
    pages: Pages, request: Request, *, problem: str = "", status: int = 200
) -> Response:
    classes = _teachers_only(request)
    listed = [
        (entry, len(classes.pupils(entry))) for entry in classes.all() if _mine(request, entry)
    ]
    return pages.render(request, "classes.html", status=status, classes=listed, problem=problem)


def _add_class(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/classes/{class_id}")
    def show_class(request: Request, class_id: str) -> Response:
        """One class: a table of pupils and digits."""
        school_class = _own(request, class_id)
        link = f"{str(request.base_url).rstrip('/')}/join?code={school_class.code}"
        code = segno.make(link, error="m", micro=False)
        qr = code.svg_inline(scale=5, border=2, omitsize=True, svgclass="qr")
        values: dict[str, Any] = {
            "link": link,
            "qr": qr,
            "is_local": request.url.hostname in authentication.LOOPBACK,
        }
        return pages.render(request, "class.html", **values, **_table(request, school_class))

    @routes.get("/classes/{class_id}/table")
    def table(request: Request, class_id: str) -> Response:
        """Only the table of a class, for a page that refreshes it."""
        return pages.render(
            request, "_class_table.html", **_table(request, _own(request, class_id))
        )

    @routes.get("/classes/{class_id}/table.csv")
    def table_file(request: Request, class_id: str) -> Response:
        """The legibility of each pupil's digits, for spreadsheets."""
        school_class = _own(request, class_id)
        headers = {"Content-Disposition": 'attachment; filename="legibly-class.csv"'}
        data = _csv(_table(request, school_class)["rows"])
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)

    @routes.get("/classes/{class_id}/pupils/{pupil_id}")
    def pupil_page(request: Request, class_id: str, pupil_id: str) -> Response:
        """The digits of one pupil, to look at and to print."""
        school_class = _own(request, class_id)
        pupils = classes_of(request).pupils(school_class)
        pupil = next((pupil for pupil in pupils if pupil.id == pupil_id), None)
        if pupil is None:
            raise NotFound("there is no such pupil in this class.")
        values: dict[str, Any] = {"pupil": pupil, "legibility": _of(request, pupil)}
        values |= {"most": MAX_IMAGES, "limit": _MAX_PICTURES, "person": pupil.nickname}
        own = Filter(owner=pupil.owner, state="read")
        values["images"] = state_of(request).index.page(own, limit=_MAX_PICTURES)
        return pages.render(request, "pupil.html", school_class=school_class, **values)


def _add_changing(routes: APIRouter) -> None:
    @routes.post("/classes/{class_id}")
    def change(
        request: Request, class_id: str, action: Annotated[str, Form(alias="what")]
    ) -> Response:
        """Close or reopen the class, delete a pupil by id, or delete everything."""
        school_class = _own(request, class_id)
        classes = classes_of(request)
        if action == "erase":
            principal_of(request).require("delete")
            audit.record(request, "class erased", on=school_class.id)
            erasure.erase_class(classes, image_owners(request), school_class)
            return RedirectResponse("/classes", 303)
        if action in ("close", "open"):
            classes.close(school_class, closed=action == "close")
        for pupil in classes.pupils(school_class):
            if pupil.id == action:
                principal_of(request).require("delete")
                audit.record(request, "pupil erased", on=pupil.id)
                erasure.erase_pupil(classes, image_owners(request), pupil)
        return RedirectResponse(f"/classes/{class_id}", 303)


def _table(request: Request, school_class: SchoolClass) -> dict[str, Any]:
    """The values for the table of a class."""
    pupils = classes_of(request).pupils(school_class)
    rows = [(pupil, _of(request, pupil)) for pupil in pupils]
    together = _together([pupil_report for _, pupil_report in rows])
    return {"school_class": school_class, "rows": rows, "digits": _DIGITS, "together": together}


def _of(request: Request, pupil: Pupil) -> dict[str, Any]:
    legibility = handwriting.report_of(request, Filter(owner=pupil.owner, state="read"))
    return legibility or {}


def _csv(rows: list[tuple[Pupil, dict[str, Any]]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["nickname", "written", "legibility", *_DIGITS])
    for pupil, pupil_report in rows:
        shares = {row["digit"]: row["legibility"]["value"] for row in pupil_report["digits"]}
        figures = [pupil_report["legibility"]["value"], *map(shares.get, _DIGITS)]
        cells = ["" if share is None else f"{share:.4f}" for share in figures]
        writer.writerow([exports.harmless(pupil.nickname), pupil_report["written"], *cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _together(reports: list[dict[str, Any]]) -> dict[str, float | None]:
    """The mean legibility of each digit over the pupils who wrote it often enough."""
    shares: dict[str, list[float]] = {digit: [] for digit in _DIGITS}
    for row in itertools.chain.from_iterable(report["digits"] for report in reports):
        if row["enough"]:
            shares[row["digit"]].append(row["legibility"]["value"])
    return {digit: fmean(values) if values else None for digit, values in shares.items()}


def _teachers_only(request: Request) -> Classes:
    principal_of(request).require_role("reviewer")
    return classes_of(request)


def _mine(request: Request, school_class: SchoolClass) -> bool:
    principal = principal_of(request)
    return principal.role == "admin" or school_class.teacher == principal.account


def _own(request: Request, class_id: str) -> SchoolClass:
    school_class = _teachers_only(request).get(class_id)
    if not _mine(request, school_class):
        raise NotFound("there is no such class.")
    return school_class
