"""What `legibly cloud deploy` will do, as data: names, parameters, cost."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, cast

import legibly
from legibly import errors
from legibly.cloud import prices

_NAME = re.compile(r"[a-z][a-z0-9-]{1,27}[a-z0-9]")
_OWN_PARAMETERS = ("Size", "Classifier", "Email")
_SECONDS = {"RetrySeconds": 180, "FunctionSeconds": 30}
"""Parameters that must be whole seconds, with the template's defaults."""
REGIONS_WITHOUT_BUDGETS = {
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-3", "ap-south-2", "ap-southeast-3",
    "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-west-1",
    "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1",
    "mx-central-1", "us-gov-east-1", "us-gov-west-1",
}  # fmt: skip
"""Regions whose CloudFormation has no AWS::Budgets::Budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One deployment. None means the value of the present stack, or the template's default.

    `parameters` are further parameters of the template; `model` is the pack to classify with.
    """

    stack: str = "legibly"
    size: prices.Size | None = None
    classifier: prices.Classifier | None = None
    email: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.stack):
            remedy = (
                "Use 3 to 29 lower-case letters, digits and hyphens; buckets are named after it."
            )
            raise errors.Invalid("cannot be a stack's name.", where=self.stack, remedy=remedy)
        _check_seconds(dict(self.parameters))

    def resolved(self, present: Mapping[str, str]) -> Self:
        """The plan, completed with the parameters of the present stack."""
        size = self.size or present.get("Size") or "small"
        classifier = self.classifier or present.get("Classifier") or "function"
        email = present.get("Email", "") if self.email is None else self.email
        _check_seconds({**present, **dict(self.parameters)})
        return replace(
            self,
            size=cast(prices.Size, size),
            classifier=cast(prices.Classifier, classifier),
            email=email,
        )

    @property
    def has_web(self) -> bool:
        """Whether web servers belong to it."""
        return self.size != "none"

    @property
    def has_servers(self) -> bool:
        """Whether it has any server and needs the servers' archive."""
        return self.has_web or self.classifier == "servers"

    def data_bucket(self, account: str, region: str) -> str:
        """The bucket of images and records, as the template names it."""
        return f"{self.stack}-{account}-{region}"

    def artifact_bucket(self, account: str, region: str) -> str:
        """The bucket of the code and the access logs."""
        return f"{self.stack}-code-{account}-{region}"

    @property
    def accuracy_stack(self) -> str:
        """The stack of the accuracy job."""
        return f"{self.stack}-accuracy"

    @property
    def boundary(self) -> str:
        """The name of the policy that bounds the stack's roles, where the account has one."""
        return f"{self.stack}-boundary"

    def template_parameters(self) -> dict[str, str]:
        """The parameters that the plan sets; those it leaves open are absent."""
        values = (self.size, self.classifier, self.email)
        own = dict(zip(_OWN_PARAMETERS, values, strict=True))
        return {
            **{name: value for name, value in own.items() if value is not None},
            **dict(self.parameters),
        }

    def steps(self) -> Iterator[str]:
        """What will be done, one line each."""
        plan = self.resolved({})
        yield "build the function's zip" + (" and the servers' archive" if plan.has_servers else "")
        bucket = plan.artifact_bucket("ACCOUNT", "REGION")
        yield f"create the bucket {bucket} unless it exists, and upload them"
        yield f"create or update the CloudFormation stack {plan.stack}:"
        yield f"    bucket {plan.data_bucket('ACCOUNT', 'REGION')}"
        yield "        (private, encrypted, versioned, not deleted by destroy)"
        yield "    two queues with dead letters, a function that reads images,"
        yield "        alarms, logs, a dashboard"
        if plan.has_web:
            yield "    a network, a load balancer that only CloudFront can reach, CloudFront"
            yield "    web servers: " + (
                "2 or more with PostgreSQL" if plan.size == "scale" else "1 with SQLite"
            )
        if plan.classifier == "servers":
            yield "    model servers behind a load balancer of their own"
        if plan.email:
            yield f"    alarms and the budget's warning to {plan.email}"


def template(name: str = "legibly.yaml") -> str:
    """The text of a template: inside the installed package, or in `deploy/` of a checkout."""
    package = Path(legibly.__file__).parent
    for folder in (package / "cloud" / "templates", package.parents[1] / "deploy"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise errors.NotFound("the template is missing from this installation.", where=name)


def policy(name: str, *, stack: str) -> str:
    """A policy document of `deploy/`, for a stack of this name."""
    text = re.sub(r"legibly(?=[-*])", stack, template(f"{name}-policy.json"))
    return text.replace("legibly_", f"{stack.replace('-', '_')}_")  # names of tables


def _check_seconds(parameters: Mapping[str, str]) -> None:
    """Raise Invalid for seconds that are not numbers, or a retry before the time-out."""
    seconds = {}
    for name, default in _SECONDS.items():
        text = parameters.get(name, str(default))
        if not text.isdecimal():
            remedy = f"Write a number of seconds: -p {name}={default}."
            raise errors.Invalid(f"{text!r} is not a number.", where=name, remedy=remedy)
        seconds[name] = int(text)
    retry = seconds["RetrySeconds"]
    limit = seconds["FunctionSeconds"]
    if retry < limit:
        raise errors.Invalid(
            f"{retry} s are shorter than the function's {limit} s.",
            where="RetrySeconds",
            remedy=f"Set RetrySeconds to {6 * limit} (six times FunctionSeconds).",
        )
