"""What `legibly cloud deploy` is going to do, as data: names, parameters, cost."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import legibly
from legibly import errors
from legibly.cloud import prices

_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One deployment. `parameters` are those of the template that the user set, beside size, classifier and email."""

    stack: str = "legibly"
    size: prices.Size = "small"
    classifier: prices.Classifier = "function"
    email: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.stack):
            remedy = (
                "Use 3 to 30 lower-case letters, digits and hyphens; buckets are named after it."
            )
            raise errors.Invalid("cannot be a stack's name.", where=self.stack, remedy=remedy)
        chosen = dict(self.parameters)
        retry, limit = int(chosen.get("RetrySeconds", 180)), int(chosen.get("FunctionSeconds", 30))
        if retry < limit:
            remedy = f"Set RetrySeconds to {6 * limit} (six times FunctionSeconds)."
            raise errors.Invalid(
                f"{retry} s are shorter than the function's {limit} s.",
                where="RetrySeconds",
                remedy=remedy,
            )

    @property
    def has_web(self) -> bool:
        """Whether web servers belong to it."""
        return self.size != "none"

    @property
    def has_servers(self) -> bool:
        """Whether any server belongs to it, so that the servers' archive is needed."""
        return self.has_web or self.classifier == "servers"

    def data_bucket(self, account: str, region: str) -> str:
        """The bucket of pictures and records, as the template names it."""
        return f"{self.stack}-{account}-{region}"

    def artifact_bucket(self, account: str, region: str) -> str:
        """The bucket of the code."""
        return f"{self.stack}-code-{account}-{region}"

    @property
    def accuracy_stack(self) -> str:
        """The stack of the accuracy job."""
        return f"{self.stack}-accuracy"

    def template_parameters(self) -> dict[str, str]:
        """The template's parameters as far as they are known before anything is built."""
        return {
            "Size": self.size,
            "Classifier": self.classifier,
            "Email": self.email,
            **dict(self.parameters),
        }

    def steps(self) -> Iterator[str]:
        """What will be done, one line each."""
        yield "build the function's zip" + (" and the servers' archive" if self.has_servers else "")
        yield f"make the bucket {self.artifact_bucket('ACCOUNT', 'REGION')} unless it is there, and upload them"
        yield f"create or update the CloudFormation stack {self.stack}:"
        yield f"    bucket {self.data_bucket('ACCOUNT', 'REGION')} (private, encrypted, versioned, kept on destroy)"
        yield "    two queues with dead letters, a function that reads pictures, alarms, logs, a dashboard"
        if self.has_web:
            yield "    a network, a load balancer that CloudFront alone may reach, CloudFront with HTTPS"
            yield "    web servers: " + (
                "2 or more with PostgreSQL" if self.size == "scale" else "1 with SQLite"
            )
        if self.classifier == "servers":
            yield "    model servers behind a load balancer of their own"
        if self.email:
            yield f"    alarms and the budget's warning to {self.email}"


def template(name: str = "legibly.yaml") -> str:
    """The text of a template: inside the installed package, or in `deploy/` of a checkout."""
    package = Path(legibly.__file__).parent
    for folder in (package / "cloud" / "templates", package.parents[1] / "deploy"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise errors.NotFound("the template is missing from this installation.", where=name)
