"""Languages: gettext catalogues from `.po` files, and the choice for a request."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).parents[1] / "locale"
LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "legibly-language"
_TEXT = r'((?:".*"\s*)+)'
_ENTRY = re.compile(rf"((?:^#.*\n)*)^msgid\s+{_TEXT}^msgstr\s+{_TEXT}", re.MULTILINE)


class Asking(Protocol):
    """The part of a request that determines the language."""

    @property
    def cookies(self) -> Mapping[str, str]: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Catalogue:
    """The translations of English sentences; those without one stay English."""

    language: str
    sentences: Mapping[str, str] = field(default_factory=dict)

    def gettext(self, text: str) -> str:
        """The sentence in this language, or in English without a translation."""
        return self.sentences.get(text, text)


def parse(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The `(msgid, msgstr)` of a `.po` file without plurals, contexts, and fuzzy ones."""
    for comments, *texts in _ENTRY.findall("\n".join(lines)):
        msgid, msgstr = (ast.literal_eval(f"({text})") for text in texts)
        if msgid and msgstr and "#, fuzzy" not in comments:
            yield msgid, msgstr


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of a language; an unknown one is English."""
    path = FOLDER / f"{language}.po"
    if language not in LANGUAGES or not path.is_file():
        return Catalogue("en")
    return Catalogue(language, dict(parse(path.read_text(encoding="utf-8").splitlines())))


def catalogue_for(request: Asking) -> Catalogue:
    """The language chosen by cookie, or the browser's first supported one, or English."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return catalogue(chosen)
    for required in request.headers.get("accept-language", "").split(","):
        language = required.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return catalogue(language)
    return catalogue("en")
