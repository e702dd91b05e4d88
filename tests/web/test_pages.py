"""The pages without a browser: languages, figures, static files, errors."""

import ast
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

import pictures
from legibly.handwriting import advice
from legibly.images import sniff
from legibly.vision import explain
from legibly.web import errors
from legibly.web.pages import assets, signin_oidc
from legibly.web.text import i18n, number_format

WEB = Path(assets.__file__).parents[1]
PLACES = re.compile(r"%\((\w+)\)s|\{(\w+)\}|(%%)")


RAISED = {
    "Invalid", "Forbidden", "NotFound", "Conflict", "TooLarge", "NotAnImage", "Unusable",
    "Unavailable", "Problem",
}  # fmt: skip
SERVED = (
    "images", "web", "people", "exchange", "handwriting", "pipeline", "labels", "forms",
)  # fmt: skip
"""Packages whose errors people come to see; what only operators see stays English."""
MODELS = (
    *(f"packs/{name}" for name in ("card", "classifier", "network", "oip_tensors", "onnx_graph")),
    *(f"packs/{name}" for name in ("pack", "registry", "remote")),
    *(f"evaluation/{name}" for name in ("comparison", "promotion_history", "promotion_rule")),
    "ingest/stored_packs",
)
"""Modules whose errors come from opening, running and changing a model."""
INTERNAL = (
    "oidc.py", "provider_http.py", "presigner.py", "inference.py", "s3_webhook.py", "form.py",
)  # fmt: skip
"""Modules whose errors programs, logs and commands show."""


def is_text_of_error(node: ast.Assign) -> bool:
    """Whether a literal text gets the name `message` or `remedy`, for the error raised next."""
    names = {getattr(target, "id", "") for target in node.targets}
    is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return is_text and bool(names & {"message", "remedy"})


def error_templates() -> set[str]:
    """The templates and remedies of every error that those packages raise."""
    source = WEB.parent
    files = [path for name in SERVED for path in (source / name).rglob("*.py")]
    models = [source / f"{name}.py" for name in MODELS]
    files += models
    texts: set[str] = set()
    for path in files:
        if path.name in INTERNAL:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and is_text_of_error(node):
                texts.add(ast.literal_eval(node.value))
            if isinstance(node, ast.Call) and RAISED & {
                getattr(node.func, "id", ""),
                getattr(node.func, "attr", ""),
            }:
                remedies = [word.value for word in node.keywords if word.arg == "remedy"]
                for value in [*node.args, *remedies]:
                    assert not isinstance(value, ast.JoinedStr), (path.name, node.lineno)
                    text = value.value if isinstance(value, ast.Constant) else None
                    if isinstance(text, str) and {" ", "{"} & set(text):  # no code
                        texts.add(text)
    return texts


def sentences() -> set[str]:
    """Every sentence that templates and code hand to gettext."""
    matches: set[str] = set()
    for path in sorted((WEB / "templates").glob("*.html")):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"""\b_\(\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", text):
            matches.add(ast.literal_eval(match[1]))
    for path in [*WEB.rglob("*.py"), *(WEB.parent / "accuracy" / "render").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        matches |= {
            ast.literal_eval(match[1])
            for match in re.finditer(r'(?:\b_|gettext)\(\s*("(?:[^"\\]|\\.)*")\s*\)', text)
        }
    matches |= {hint.text for hints in advice.TABLE.values() for hint in hints}
    return matches | {
        *error_templates(),
        *errors.TITLES.values(),
        *(template for _, template in errors.HTTP.values()),
        *(sentence for _, sentence in signin_oidc.TROUBLE.values()),
        *(kind for _, kind, _ in sniff.OTHERS),
        *(remedy for _, _, remedy in sniff.OTHERS),
        *("an SVG drawing", "a web page", "text", "an empty file", "an unknown kind of file"),
        *("Save the picture itself and send that.", f"Send {sniff.READABLE}."),
        *("reviewer", "admin"),
        advice.GENERAL,
        *explain.PLACES,
        explain.WITH_RIVAL,
        explain.WITHOUT_RIVAL,
    }


@pytest.mark.parametrize("language", [language for language in i18n.LANGUAGES if language != "en"])
def test_every_sentence_is_translated_with_its_places(language: str) -> None:
    """No sentence is missing from a catalogue or stands there twice, and what is filled in English
    is filled in the other language.
    """
    lines = (i18n.FOLDER / f"{language}.po").read_text(encoding="utf-8").splitlines()
    counts = Counter(text for text, _ in i18n.parse(lines))
    assert [text for text, count in counts.items() if count > 1] == []
    catalogue = i18n.catalogue(language).sentences
    required = sentences()
    assert len(required) > 250
    assert required - set(catalogue) == set()
    odd = [
        text
        for text in required
        if sorted(PLACES.findall(text)) != sorted(PLACES.findall(catalogue[text]))
    ]
    assert odd == []


@pytest.mark.parametrize(
    "path", ["/", "/history", "/accuracy", "/models", "/handwriting", "/about", "/docs", "/review"]
)
def test_pages_speak_the_callers_language(client: httpx.Client, path: str) -> None:
    """Accept-Language decides until somebody chooses; an unknown language is English."""
    german = client.get(path, headers={"Accept-Language": "fr, de-AT;q=0.8"})
    assert '<html lang="de">' in german.text
    assert "Verlauf" in german.text
    assert '<html lang="en">' in client.get(path, headers={"Accept-Language": "xx"}).text
    chosen = {"Accept-Language": "de", "Cookie": f"{i18n.COOKIE}=en"}
    assert '<html lang="en">' in client.get(path, headers=chosen).text


def test_errors_speak_the_callers_language(client: httpx.Client) -> None:
    """The reason of a refused file, a page that is not there, and what is not known stays as it
    is.
    """
    german = {"Accept-Language": "de", "Content-Type": "image/png"}
    archive = b"PK\x03\x04 hello"
    refused = client.post("/api/images", content=archive, headers=german)
    assert (refused.status_code, refused.headers["content-language"]) == (415, "de")
    assert refused.json()["detail"].startswith(
        "Das ist ein ZIP-Archiv (oder ein Office-Dokument), kein Bild, das gelesen werden kann."
    )
    assert (
        client.post("/api/images", content=archive, headers={"Content-Type": "image/png"})
        .json()["detail"]
        .startswith("This is a ZIP archive")
    )
    page = client.get("/nowhere", headers={"Accept": "text/html", "Accept-Language": "de"})
    assert "Seite nicht gefunden." in page.text
    problem = client.post("/api/images", content=b"", headers=german).json()
    assert (problem["code"], problem["type"]) == ("empty", "/problems/empty")
    assert problem["detail"].startswith("Das Bild ist leer.")


def test_choosing_a_language_leads_back(client: httpx.Client) -> None:
    """The choice is remembered, and leads back to the page where it was made, on this site only."""
    done = client.get("/language/de", headers={"Referer": f"{client.base_url}/accuracy"})
    assert (done.status_code, done.headers["location"]) == (303, "/accuracy")
    assert f"{i18n.COOKIE}=de" in done.headers["set-cookie"]
    assert (
        client.get("/language/de", headers={"Referer": "https://evil.example//evil"}).headers[
            "location"
        ]
        == "/"
    )
    client.cookies.clear()


def test_catalogues_are_read_as_gettext_writes_them() -> None:
    """Long entries over several lines, comments; fuzzy and empty ones stay English."""
    text = """
msgid ""
msgstr "Language: de\\n"

#: templates/base.html:3
msgid "one "
"two"
msgstr "eins "
"zwei"

#, fuzzy
msgid "three"
msgstr "drei?"

msgid "four"
msgstr ""

msgid "say \\"five\\""
msgstr "sag „fünf“"
"""
    assert dict(i18n.parse(text.splitlines())) == {
        "one two": "eins zwei",
        'say "five"': "sag „fünf“",
    }


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0"), (0.99999, "99.9"), (0.97, "97.0"), (0.0, "0.0"), (0.29, "29.0")],
)
def test_per_cent_never_overstates(share: float, text: str) -> None:
    """Only certainty reads 100 %, and no figure loses a tenth to binary fractions."""
    assert number_format.Figures().percent(share) == f"{text}\u00a0%"


def test_the_confusion_table_shows_every_class() -> None:
    """Classes without pairs have their row too; nothing has one only where it was counted."""
    confusion = {"labels": ["4", "9", ""], "counts": [[3, 1, 0], [0, 2, 1], [0, 0, 0]]}
    table = number_format.heat_table(confusion, classes=["0", "4", "9"])
    assert table == {
        "labels": ["0", "4", "9", ""],
        "counts": [[0] * 4, [0, 3, 1, 0], [0, 0, 2, 1], [0] * 4],
    }
    heavy = number_format.heat_table(confusion, classes=[str(n) for n in range(100)], limit=1)
    assert heavy["labels"][0] == "4"


def test_static_files_are_kept_for_ever_under_their_version_only(client: httpx.Client) -> None:
    """The version is the content's hash; an old version's address gives today's file, unkept; the
    rest is 404.
    """
    version = assets.Assets().version
    remaining = client.get(f"/static/{version}/app.css")
    assert "immutable" in remaining.headers["cache-control"]
    assert remaining.headers["content-encoding"] == "gzip"
    assert client.get("/static/0/app.css").headers["cache-control"] == "no-cache"
    for path in (
        "/static/0/app.py",
        "/static/0/..%2fpages.py",
        "/static/0/%2e%2e/pages.py",
        "/static/0/x.css",
    ):
        assert client.get(path).status_code == 404


def test_errors_are_pages_for_people_and_problems_for_programs(client: httpx.Client) -> None:
    """The same address tells a browser what to do, and a program a problem document."""
    page = client.get("/images/0192", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Back to Classify" in page.text
    assert client.get("/images/0192").headers["content-type"] == "application/problem+json"
    assert client.get("/api/images/x", headers={"Accept": "text/html"}).json()["status"] == 404


@pytest.mark.parametrize("path", ["/account", "/login", "/people", "/classes"])
def test_pages_of_accounts_say_that_there_are_none(client: httpx.Client, path: str) -> None:
    """Without accounts, a page that needs them says so, and how to switch them on."""
    response = client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert "has no" in response.text or "has none" in response.text
    assert "LEGIBLY_ACCOUNTS=on" in response.text


def test_pages_forbid_what_they_do_not_need(client: httpx.Client) -> None:
    """A strict content policy: no script in the page, nobody else's code, no frame around it."""
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "<script>" not in client.get("/").text


def test_the_app_can_be_installed(client: httpx.Client) -> None:
    """The manifest names icons that are there."""
    manifest = client.get("/manifest.webmanifest").json()
    for icon in manifest["icons"]:
        assert client.get(icon["src"]).headers["content-type"] == icon["type"]


def test_small_pictures_are_shown_as_they_are(client: httpx.Client) -> None:
    """A drawing goes to the page untouched; a large picture is made small first."""
    large = pictures.encoded(pictures.drawing(size=900), "PNG")
    for data, kind in ((pictures.png(), "image/png"), (large, "image/webp")):
        identity = client.post(
            "/api/images?wait=20", content=data, headers={"Content-Type": "image/png"}
        ).json()["id"]
        shown = client.get(f"/images/{identity}/picture?size=192")
        assert (shown.headers["content-type"], shown.headers["x-content-type-options"]) == (
            kind,
            "nosniff",
        )
        assert (shown.content == data) is (kind == "image/png")
