"""Every error that Legibly raises on purpose.

LegiblyError
├── Invalid        a request, file or setting that is malformed: mend it and try again
├── Forbidden      the caller is unknown (`authenticated=False`) or may not do this
├── NotFound       nothing has that name
├── Conflict       it exists already, or changed meanwhile
├── TooLarge       more bytes than one image may have
├── NotAnImage     bytes that are no picture of a kind that we read
├── Unusable       a picture that cannot be used: truncated, or too many pixels
└── Unavailable    a part that we need (store, database, model) is away for now
"""


class LegiblyError(Exception):
    """An expected failure, told in one line: what went wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        what = self.what if self.what.endswith((".", "?", "!")) else f"{self.what}."
        advice = f" {self.remedy}" if self.remedy else ""
        return f"{place}{what}{advice}"


class Invalid(LegiblyError):
    """Malformed input: a request, a file, a setting."""


class Forbidden(LegiblyError):
    """The caller is not known, or may not do this."""

    def __init__(
        self, what: str, *, authenticated: bool = True, where: str = "", remedy: str = ""
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.authenticated = authenticated


class NotFound(LegiblyError):
    """Nothing has that name."""


class Conflict(LegiblyError):
    """It exists already, or changed meanwhile."""


class TooLarge(LegiblyError):
    """More bytes than one image may have."""


class NotAnImage(LegiblyError):
    """Bytes that are no picture of a kind that we read."""


class Unusable(LegiblyError):
    """A picture that cannot be used."""


class Unavailable(LegiblyError):
    """A part that we need is away for now; trying again later makes sense."""

    def __init__(
        self, what: str, *, retry_after_seconds: int = 5, where: str = "", remedy: str = ""
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.retry_after_seconds = retry_after_seconds
