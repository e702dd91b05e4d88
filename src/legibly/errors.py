"""Every error that Legibly raises on purpose.

LegiblyError
├── Invalid        a malformed request, file or setting: correct it and try again
├── Forbidden      the caller is unknown (`authenticated=False`) or may not do this
├── NotFound       nothing has that name
├── Conflict       it exists already, or was changed by somebody else
├── TooLarge       more bytes than one image may have
├── NotAnImage     bytes that are not a picture of a supported kind
├── Unusable       a picture or a label that cannot be used
└── Unavailable    a required part (store, database, model) does not answer

An error is a template with named values and a stable code, so that a log, a program and another
language can each use it:

    raise Invalid("the label has {length} characters; {limit} are allowed.",
                  code="label-too-long", length=len(text), limit=200)
"""

from typing import Any, ClassVar


class LegiblyError(Exception):
    """An expected failure in one line: the problem, where it is, and the remedy.

    `template` and `remedy` are filled with `params`; without params they are taken as they are.
    `code` is a stable word for programs; each class has a general one.
    """

    general_code: ClassVar[str] = "error"

    def __init__(
        self, template: str, *, code: str = "", where: str = "", remedy: str = "", **params: Any
    ) -> None:
        self.template = template
        self.code = code or self.general_code
        self.where = where
        self.remedy_template = remedy
        self.params = params
        super().__init__(template, where, remedy)

    @property
    def message(self) -> str:
        """The problem as a sentence."""
        return fill(self.template, self.params)

    @property
    def remedy(self) -> str:
        """The advice as a sentence; may be empty."""
        return fill(self.remedy_template, self.params)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        message = self.message if self.message.endswith((".", "?", "!")) else f"{self.message}."
        advice = f" {self.remedy}" if self.remedy else ""
        return f"{place}{message}{advice}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors keep all their values across process boundaries."""
        return (_restore, (type(self), dict(self.__dict__)))


def _restore(kind: type[LegiblyError], attributes: dict[str, Any]) -> LegiblyError:
    error = kind.__new__(kind, attributes["template"])
    error.__dict__.update(attributes)
    return error


def fill(template: str, params: dict[str, Any]) -> str:
    """Fill a template; one without params may hold any characters, braces included."""
    if not params:
        return template
    values = {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in params.items()
    }
    return template.format_map(values)


class Invalid(LegiblyError):
    """Malformed input: a request, a file, a setting."""

    general_code = "invalid"


class Forbidden(LegiblyError):
    """The caller is not known, or may not do this."""

    general_code = "forbidden"

    def __init__(self, template: str, *, authenticated: bool = True, **facts: Any) -> None:
        super().__init__(template, **facts)
        self.authenticated = authenticated


class NotFound(LegiblyError):
    """Nothing has that name."""

    general_code = "not-found"


class Conflict(LegiblyError):
    """It exists already, or was changed by somebody else."""

    general_code = "conflict"


class TooLarge(LegiblyError):
    """More bytes than one image may have."""

    general_code = "too-large"


class NotAnImage(LegiblyError):
    """Bytes that are not a picture of a supported kind."""

    general_code = "not-an-image"


class Unusable(LegiblyError):
    """A picture or a label that cannot be used."""

    general_code = "unusable"


class Unavailable(LegiblyError):
    """A part that we need does not answer; try again later."""

    general_code = "unavailable"

    def __init__(self, template: str, *, retry_after_seconds: int = 5, **facts: Any) -> None:
        super().__init__(template, **facts)
        self.retry_after_seconds = retry_after_seconds
