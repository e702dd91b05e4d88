"""`legibly cloud`: the AWS deployment."""

import json
from collections.abc import Callable
from typing import Any

import click

from legibly import errors
from legibly.cli import cloud_accuracy
from legibly.cloud import plan as plans
from legibly.cloud import prices


def _stack_options(function: Callable[..., Any]) -> Callable[..., Any]:
    region = click.option("--region", help="AWS region, instead of AWS_REGION and the profile's.")
    stack = click.option(
        "--stack", default="legibly", show_default=True, help="Name of the CloudFormation stack."
    )
    return stack(region(function))


def _plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    sizes, classifiers = (
        click.Choice(["none", "small", "scale"]),
        click.Choice(["function", "servers"]),
    )
    size = click.option("--size", type=sizes, default="small", show_default=True,
                        help="none: no servers; small: one, SQLite; scale: several, PostgreSQL.")  # fmt: skip
    classifier = click.option("--classifier", type=classifiers, default="function", show_default=True,
                              help="Classify in the function, or on model servers.")  # fmt: skip
    email = click.option("--email", default="", help="Where alarms and the budget's warning go.")
    parameter = click.option("--parameter", "-p", "parameters", multiple=True, metavar="NAME=VALUE",
                             help="Any other parameter of deploy/legibly.yaml; may be repeated.")  # fmt: skip
    return _stack_options(size(classifier(email(parameter(function)))))


def _plan(
    *,
    stack: str,
    size: prices.Size = "small",
    classifier: prices.Classifier = "function",
    email: str = "",
    parameters: tuple[str, ...] = (),
) -> plans.Plan:
    pairs = []
    for text in parameters:
        name, equals, value = text.partition("=")
        if not equals:
            raise errors.Invalid("is no parameter.", where=text, remedy="Write NAME=VALUE.")
        pairs.append((name, value))
    return plans.Plan(
        stack=stack, size=size, classifier=classifier, email=email, parameters=tuple(pairs)
    )


def _aws(region: str | None) -> Any:
    try:
        from legibly.cloud.aws import Aws
    except ModuleNotFoundError:
        remedy = "Install it: pip install 'legibly[aws]'."
        raise errors.Invalid("boto3 is missing.", where="legibly cloud", remedy=remedy) from None
    return Aws(region=region)


def _report(line: str) -> None:
    click.echo(line, err=True)


@click.group("cloud")
def command() -> None:
    """Deploy and look after the system on AWS."""


command.add_command(cloud_accuracy.command)


@command.command("synth")
@_plan_options
@click.option(
    "--pictures", default=10_000, show_default=True, help="Pictures a month, for the estimate."
)
@click.option("--template", is_flag=True, help="Print the CloudFormation template instead.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the estimate as JSON and nothing else."
)
def synth(
    *, region: str | None, pictures: int, template: bool, as_json: bool, **options: Any
) -> None:
    """Print what deploy would do, and what it would cost a month. Asks nobody, changes nothing."""
    del region
    if template:
        click.echo(plans.template(), nl=False)
        return
    plan = _plan(**options)
    lines = prices.estimate(size=plan.size, classifier=plan.classifier, pictures=pictures)
    if as_json:
        listed = [
            {"what": line.item, "dollars": round(line.dollars, 2), "idle": line.idle}
            for line in lines
        ]
        told = {
            "as_of": prices.AS_OF,
            "caveat": prices.CAVEAT,
            "source": prices.SOURCE,
            "lines": listed,
        }
        click.echo(json.dumps({**told, "total": round(prices.total(lines), 2)}))
        return
    click.echo("What deploy will do:")
    for step in plan.steps():
        click.echo(f"  {step}")
    click.echo(f"\nUS dollars a month at {pictures:,} pictures ({prices.CAVEAT}):")
    for line in lines:
        click.echo(
            f"  {line.dollars:>9.2f}  {line.item}{'  (also without any picture)' if line.idle else ''}"
        )
    click.echo(
        f"  {prices.total(lines):>9.2f}  in all; {prices.total([x for x in lines if x.idle]):.2f} of it idle"
    )


@command.command("deploy")
@_plan_options
@click.option(
    "--with-wheels", is_flag=True, help="Upload every wheel, so that servers need no package index."
)
@click.option("--wait/--no-wait", default=True, help="Wait until the web page answers.")
def deploy(*, region: str | None, with_wheels: bool, wait: bool, **options: Any) -> None:
    """Create or update the stack, with its events as they happen; prints the address."""
    plan, aws = _plan(**options), _aws(region)
    from legibly.cloud import deploy as deploying

    outputs = deploying.deploy(plan, aws=aws, report=_report, with_wheels=with_wheels)
    address = outputs.get("Address")
    password = deploying.make_admin(outputs, aws=aws) if address else None
    if password:
        secret = outputs["AdminPassword"].rpartition(":secret:")[2]
        click.echo(
            f"Sign in as admin with the password {password} (kept in the secret {secret}).",
            err=True,
        )
    if address and wait and not deploying.await_answer(address, report=_report):
        remedy = f"Look into the log group /legibly/{plan.stack}/servers."
        raise errors.Unavailable("the web page does not answer yet.", where=address, remedy=remedy)
    click.echo(address or outputs["Store"])


@command.command("status")
@_stack_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def status(*, stack: str, region: str | None, as_json: bool) -> None:
    """Show queues, dead letters with their reasons, errors and versions. Exit code 1 where a person is needed."""
    aws = _aws(region)
    from legibly.cloud import status as looking

    found = looking.status(stack, aws=aws)
    if as_json:
        click.echo(json.dumps(found.to_json()))
    else:
        _show(found)
    if not found.is_well:
        raise SystemExit(1)


def _show(found: Any) -> None:
    click.echo(
        f"{found.stack} in {found.region}: {found.state}, size {found.size}, {found.address or 'no web servers'}"
    )
    click.echo(f"function {found.function_code}, model {found.model or 'has read nothing today'}")
    for queue in found.queues:
        age = f", oldest {queue.oldest_seconds} s" if queue.oldest_seconds is not None else ""
        click.echo(
            f"  {queue.name:<14}{queue.waiting:>7} waiting {queue.in_flight:>6} in flight{age}"
        )
    click.echo(f"function errors in the last hour: {found.function_errors_last_hour}")
    for letter in found.dead_letters:
        click.echo(
            f"  dead {letter.queue}: {', '.join(letter.keys) or letter.message}: {letter.reason}"
        )
    click.echo(f"pictures of today that cannot be read: {len(found.failures)}")
    for failure in found.failures[-5:]:
        click.echo(f"  {failure.key}: {failure.error}")
    for line in found.passed_over:
        click.echo(f"  passed over: {line}")
    for line in found.newest_errors:
        click.echo(f"  log: {line}")
    if found.dead_letters:
        click.echo("Mend the cause, then: legibly cloud redrive")


@command.command("redrive")
@_stack_options
@click.option(
    "--records", is_flag=True, help="Those of the records' queue instead of the pictures'."
)
def redrive(*, stack: str, region: str | None, records: bool) -> None:
    """Put dead letters back into their queue, once their cause is mended."""
    aws = _aws(region)
    from legibly.cloud import status as looking

    count = looking.redrive(stack, aws=aws, which="records" if records else "pictures")
    click.echo(f"{count} put back")


@command.command("open")
@_stack_options
def open_page(*, stack: str, region: str | None) -> None:
    """Open the web page in the browser."""
    aws = _aws(region)
    from legibly.cloud.stack import Stack

    address = Stack(aws, stack).outputs().get("Address")
    if address is None:
        remedy = (
            "Deploy with --size small, or point `legibly serve` at the bucket: docs/guides/aws.md."
        )
        raise errors.NotFound("this stack has no web servers.", where=stack, remedy=remedy)
    click.echo(address)
    click.launch(address)


@command.command("destroy")
@_stack_options
@click.option(
    "--data",
    is_flag=True,
    help="Delete the bucket of pictures and records, too. There is no way back.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(*, stack: str, region: str | None, data: bool, yes: bool) -> None:
    """Delete the deployment; the bucket of pictures and records stays unless told otherwise."""
    plan, aws = _plan(stack=stack), _aws(region)
    from legibly.cloud import deploy as deploying

    what = f"the stack {stack} in {aws.region} (account {aws.account()})"
    what += " and ALL PICTURES AND RECORDS" if data else ", but not its pictures and records"
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    deploying.destroy(plan, aws=aws, report=_report, with_data=data)
