"""`legibly cloud accuracy`: runs the accuracy job in the cloud, where the pictures are."""

import json
import sys

import click

from legibly import errors
from legibly.accuracy.render import plain_text
from legibly.cloud.plan import Plan


@click.command("accuracy")
@click.option(
    "--stack", default="legibly", show_default=True, help="Name of the CloudFormation stack."
)
@click.option("--region", help="AWS region, instead of AWS_REGION or the profile's.")
@click.option(
    "--nightly",
    metavar="WHEN",
    help="Also run it on a schedule, as 'cron(15 2 * * ? *)' in UTC; or off.",
)
@click.option(
    "--athena",
    type=click.Choice(["on", "off"]),
    help="Make the tables for `legibly accuracy --engine athena`, or remove them.",
)
@click.option(
    "--whole",
    "single_label_models",
    metavar="MODELS",
    help="Models with one label per image, separated by commas; - for none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON and nothing else.")
def command(
    *,
    stack: str,
    region: str | None,
    nightly: str | None,
    athena: str | None,
    single_label_models: str | None,
    as_json: bool,
) -> None:
    """Run the accuracy job on EMR Serverless over the stack's bucket, and print its report.

    JSON and HTML are in the bucket under reports/. The first call creates the stack NAME-accuracy,
    which also runs the job every night; `legibly cloud destroy` deletes it.
    """
    try:
        from legibly.cloud import accuracy
        from legibly.cloud.aws import Aws
    except ModuleNotFoundError:
        remedy = "Install it: pip install 'legibly[aws]'."
        raise errors.Invalid("boto3 is missing.", where="legibly cloud", remedy=remedy) from None
    aws = Aws(region=region)
    outputs = accuracy.prepare(
        Plan(stack=stack),
        aws=aws,
        report=_report,
        nightly=nightly,
        athena=athena,
        single_label_models=single_label_models,
    )
    key, encoded = accuracy.run(outputs, aws=aws, report=_report)
    if as_json:
        sys.stdout.buffer.write(encoded)
        return
    click.echo("\n".join(plain_text.lines(json.loads(encoded))))
    click.echo(f"\n{outputs['Store']}/{key} and .html; every night: {outputs['Nightly']}")


def _report(line: str) -> None:
    click.echo(line, err=True)
