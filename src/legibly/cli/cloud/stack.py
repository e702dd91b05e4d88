"""`legibly cloud`: the AWS deployment."""

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from legibly import errors
from legibly.cli.cloud import accuracy as accuracy_job
from legibly.cloud import plan as plans
from legibly.cloud import price_list, prices


def _stack_options(function: Callable[..., Any]) -> Callable[..., Any]:
    region = click.option("--region", help="AWS region, instead of AWS_REGION or the profile's.")
    stack = click.option(
        "--stack", default="legibly", show_default=True, help="Name of the CloudFormation stack."
    )
    return stack(region(function))


def _plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--size",
            type=click.Choice(["none", "small", "scale"]),
            help="none: no web server; small (default): one, SQLite; scale: several, PostgreSQL.",
        ),
        click.option(
            "--classifier",
            type=click.Choice(["function", "servers"]),
            help="Classify in the function (default), or on model servers.",
        ),
        click.option("--email", help="Address for alarms and budget warnings."),
        click.option("--model", help="Your own model pack, to upload to the bucket."),
        click.option(
            "--parameter",
            "-p",
            "parameters",
            multiple=True,
            metavar="NAME=VALUE",
            help="Another parameter of deploy/legibly.yaml; may be repeated.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return _stack_options(function)


def _plan(*, parameters: tuple[str, ...] = (), **options: Any) -> plans.Plan:
    pairs = []
    for text in parameters:
        name, equals, value = text.partition("=")
        if not equals:
            raise errors.Invalid("is not a parameter.", where=text, remedy="Write NAME=VALUE.")
        pairs.append((name, value))
    return plans.Plan(parameters=tuple(pairs), **options)


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
    """Deploy and operate the system on AWS."""


command.add_command(accuracy_job.command)


@command.command("synth")
@_plan_options
@click.option(
    "--pictures", default=10_000, show_default=True, help="Images per month, for the estimate."
)
@click.option("--template", is_flag=True, help="Print the CloudFormation template instead.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the estimate as JSON and nothing else."
)
def synth(
    *, region: str | None, pictures: int, template: bool, as_json: bool, **options: Any
) -> None:
    """Print what deploy would do, and its monthly cost, without a request to AWS."""
    if template:
        click.echo(plans.template(), nl=False)
        return
    plan = _plan(**options).resolved({})
    listed = price_list.table(region or price_list.REGION)
    estimate = functools.partial(
        prices.estimate,
        size=plan.size or "small",
        classifier=plan.classifier or "function",
        pictures=pictures,
        prices=listed,
    )
    lines = estimate()
    if as_json:
        click.echo(json.dumps(_estimate_json(lines, listed)))
        return
    click.echo("Steps of deploy:")
    for step in plan.steps():
        click.echo(f"  {step}")
    click.echo(f"\nUS dollars per month at {pictures:,} images ({listed.caveat}):")
    _show_costs(lines)
    for image in (prices.DRAWING, prices.PHOTOGRAPH):
        click.echo(f"  {prices.total(estimate(image=image)):>9.2f}  if all are {image.name}")


def _show_costs(lines: list[prices.Line]) -> None:
    for line in lines:
        note = "  (even without any image)" if line.idle else ""
        click.echo(f"  {line.dollars:>9.2f}  {line.item}{note}")
    largest = "; ".join(line.item for line in prices.largest(lines))
    idle = prices.total([line for line in lines if line.idle])
    click.echo(f"  {prices.total(lines):>9.2f}  in total; {idle:.2f} without any image")
    click.echo(f"             largest: {largest}")


def _estimate_json(lines: list[prices.Line], listed: price_list.Table) -> dict[str, Any]:
    items = [
        {"what": line.item, "dollars": round(line.dollars, 2), "idle": line.idle} for line in lines
    ]
    return {
        "as_of": listed.as_of,
        "caveat": listed.caveat,
        "source": listed.source,
        "lines": items,
        "total": round(prices.total(lines), 2),
    }


@command.command("prices")
@click.option("--region", default=price_list.REGION, show_default=True, help="AWS region.")
@click.option("--update", is_flag=True, help="Fetch AWS's price list, and store it.")
def list_prices(*, region: str, update: bool) -> None:
    """Print the list prices that estimates use, with their date."""
    if update:
        listed = price_list.update(region, aws=_aws(price_list.REGION))
    else:
        listed = price_list.table(region)
    for name in listed.items:
        click.echo(f"{listed[name]:>14.10f}  {name}")
    click.echo(listed.caveat)


@command.command("policy")
@click.option("--stack", default="legibly", show_default=True, help="Name of the stack.")
@click.option("--boundary", is_flag=True, help="The policy that limits the stack's own roles.")
def policy(*, stack: str, boundary: bool) -> None:
    """Print the IAM policy that deploying needs, for an administrator to create."""
    plan = plans.Plan(stack=stack)
    click.echo(plans.policy("boundary" if boundary else "deployer", stack=plan.stack), nl=False)


@command.command("deploy")
@_plan_options
@click.option("--with-wheels", is_flag=True, hidden=True, help="Always on since version 0.2.")
@click.option("--wait/--no-wait", default=True, help="Wait until the web page answers.")
@click.option("--dry-run", is_flag=True, help="Upload the code, but only print the changes.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting servers or data.")
def deploy(
    *, region: str | None, with_wheels: bool, wait: bool, dry_run: bool, yes: bool, **options: Any
) -> None:
    """Create or update the stack and print the address. Options left out keep their value."""
    del with_wheels
    plan = _plan(**options)
    aws = _aws(region)
    from legibly.cloud import deploy as deployment

    outputs = deployment.deploy(plan, aws=aws, report=_report, approve=_approval(dry_run, yes))
    if dry_run or not outputs:
        return
    address = outputs.get("Address")
    if address:
        _announce_admin(outputs, aws)
    if address and wait and not deployment.await_answer(address, report=_report):
        remedy = f"See the log group /legibly/{plan.stack}/servers."
        raise errors.Unavailable("the web page does not answer yet.", where=address, remedy=remedy)
    click.echo(address or outputs["Store"])


def _approval(dry_run: bool, yes: bool) -> Callable[[list[Any]], bool]:
    """Print the changes of a dry run; otherwise ask before deleting servers or data."""

    def approve(changes: list[Any]) -> bool:
        if dry_run:
            for change in changes:
                click.echo(str(change))
            return False
        removals = [change for change in changes if change.removes]
        for change in removals:
            click.echo(f"will {change}", err=True)
        if removals and not yes:
            click.confirm("Delete these?", abort=True, err=True)
        return True

    return approve


def _announce_admin(outputs: dict[str, str], aws: Any) -> None:
    """Print how to sign in for the first time."""
    from legibly.cloud import deploy as deployment

    password = deployment.make_admin(outputs, aws=aws)
    secret = outputs["AdminPassword"].rpartition(":secret:")[2]
    if password:
        text = f"Sign in as admin with the password {password} (kept in the secret {secret})."
    elif deployment.mark_unused_secret(outputs, aws=aws):
        text = (
            f"The bucket already has administrators: the secret {secret} is not used. "
            "New password: legibly users password NAME."
        )
    else:
        return
    click.echo(text, err=True)


@command.command("status")
@_stack_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def status(*, stack: str, region: str | None, as_json: bool) -> None:
    """Show queues, dead letters with reasons, errors and versions; exit with 1 on problems."""
    aws = _aws(region)
    from legibly.cloud import status as statuses

    current = statuses.status(stack, aws=aws)
    if as_json:
        click.echo(json.dumps(current.to_json()))
    else:
        _show(current)
    if not current.is_well:
        raise SystemExit(1)


def _show(status: Any) -> None:
    address = status.address or "no web servers"
    click.echo(f"{status.stack} in {status.region}: {status.state}, size {status.size}, {address}")
    click.echo(f"function {status.function_code}, model {status.model or 'has read nothing today'}")
    for queue in status.queues:
        age = f", oldest {queue.oldest_seconds} s" if queue.oldest_seconds is not None else ""
        click.echo(
            f"  {queue.name:<14}{queue.waiting:>7} waiting {queue.in_flight:>6} in flight{age}"
        )
    click.echo(f"function errors in the last hour: {status.function_errors_last_hour}")
    for letter in status.dead_letters:
        click.echo(
            f"  dead {letter.queue}: {', '.join(letter.keys) or letter.message}: {letter.reason}"
        )
    click.echo(f"today's unreadable images: {len(status.failures)}")
    for failure in status.failures[-5:]:
        click.echo(f"  {failure.key}: {failure.error}")
    for line in status.passed_over:
        click.echo(f"  skipped: {line}")
    for line in status.newest_errors:
        click.echo(f"  log: {line}")
    if status.dead_letters:
        click.echo("Fix the cause, then run: legibly cloud redrive")


@command.command("redrive")
@_stack_options
@click.option(
    "--records", is_flag=True, help="Use the queue of records instead of the queue of images."
)
def redrive(*, stack: str, region: str | None, records: bool) -> None:
    """Put dead letters back into their queue, once the cause is fixed."""
    aws = _aws(region)
    from legibly.cloud import status as statuses

    count = statuses.redrive(stack, aws=aws, which="records" if records else "pictures")
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


@command.command("erase")
@_stack_options
def erase(*, stack: str, region: str | None) -> None:
    """Erase the versions of deleted images and records now, in the bucket and its replica.

    Otherwise S3 keeps them for 30 days. Undeleted objects stay as they are.
    """
    aws = _aws(region)
    from legibly.cloud import bucket as buckets
    from legibly.cloud.stack import Stack

    deployed = Stack(aws, stack)
    names = [deployed.outputs()["BucketName"], deployed.parameters().get("ReplicaBucket", "")]
    for name in filter(None, names):
        click.echo(f"{name}: {buckets.forget_deleted(aws, name)} deleted objects erased")


@command.command("destroy")
@_stack_options
@click.option(
    "--data",
    is_flag=True,
    help="Also delete the bucket of pictures and records. This cannot be undone.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(*, stack: str, region: str | None, data: bool, yes: bool) -> None:
    """Delete the deployment; without --data the bucket of images and records stays."""
    plan = _plan(stack=stack)
    aws = _aws(region)
    from legibly.cloud import deploy as deployment

    data_text = " and ALL IMAGES AND RECORDS" if data else ", but not its images and records"
    if not yes:
        text = f"Delete the stack {stack} in {aws.region} (account {aws.account()}){data_text}?"
        click.confirm(text, abort=True, err=True)
    deployment.destroy(plan, aws=aws, report=_report, with_data=data)
