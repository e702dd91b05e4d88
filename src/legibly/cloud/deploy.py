"""Perform a plan: package, upload, apply the template; and delete it all again."""

import contextlib
import json
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import boto3

from legibly import errors
from legibly.cloud import bucket as buckets
from legibly.cloud import models, package
from legibly.cloud.artifacts import ArtifactBucket
from legibly.cloud.aws import Aws, translated
from legibly.cloud.plan import REGIONS_WITHOUT_BUDGETS, Plan, template
from legibly.cloud.stack import Approve, Report, Stack
from legibly.people.accounts import Accounts
from legibly.store import open_store

_CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"
_ANSWER_SECONDS = 900
_LOOK_SECONDS = 5
_UNUSED = "Not in use"


def deploy(
    plan: Plan,
    *,
    aws: Aws,
    report: Report,
    code: tuple[Path, Path | None] | None = None,
    approve: Approve = lambda _changes: True,
) -> dict[str, str]:
    """Bring the stack to the plan; returns its outputs, empty if `approve` refused a new stack.

    What the plan leaves open keeps its present value. `code` replaces building: the function's zip
    and the servers' archive. Raises Invalid with CloudFormation's reason.
    """
    account = aws.account()
    stack = Stack(aws, plan.stack)
    present = stack.parameters()
    plan = plan.resolved(present)
    bucket = ArtifactBucket(aws, plan.artifact_bucket(account, aws.region), account)
    buckets.check(aws, plan.data_bucket(account, aws.region), account)
    bucket.create(report)
    with tempfile.TemporaryDirectory(prefix="legibly-") as folder:
        code = code or _build(plan, Path(folder), present, report)
        keys = _upload_code(code, bucket, report)
        source = Path(folder) / "legibly.yaml"
        data_bucket = plan.data_bucket(account, aws.region)
        source.write_text(_with_bucket_name(template(), data_bucket), encoding="utf-8")
        key = bucket.upload(source, "template", ".yaml", report)
    parameters = _parameters(plan, aws, bucket, present, report) | keys
    changed = stack.apply(
        {"TemplateURL": f"{_bucket_url(aws, bucket.name)}/{key}"},
        parameters,
        report=report,
        approve=approve,
        previous=present.keys() & template_parameters(),
    )
    if not changed:
        report("nothing changed")
    if stack.describe() is None:
        return {}
    outputs = stack.outputs()
    buckets.settle(aws, outputs, report)
    if changed:
        store = open_store(outputs["Store"], environ=aws.environ())
        models.record(stack.parameters()["Model"], store, is_requested=plan.model is not None)
    return outputs


def _parameters(
    plan: Plan, aws: Aws, bucket: ArtifactBucket, present: Mapping[str, str], report: Report
) -> dict[str, str]:
    """The parameters of the template, except those that name the code."""
    parameters = {
        **_account_parameters(plan, aws, bucket.account, present, report),
        **plan.template_parameters(),
        "ArtifactBucket": bucket.name,
    }
    if plan.has_web:
        parameters["OriginSecret"] = bucket.origin_secret()
        parameters["CloudFrontPrefixList"] = _prefix_list(aws)
    if plan.model:
        data_bucket = plan.data_bucket(bucket.account, aws.region)
        parameters |= models.upload(plan.model, aws, data_bucket, is_new=not present)
    return parameters


def template_parameters() -> set[str]:
    """The names of the template's parameters."""
    section = template().partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
    return set(re.findall(r"^  (\w+):$", section, re.MULTILINE))


def _build(
    plan: Plan, folder: Path, present: Mapping[str, str], report: Report
) -> tuple[Path, Path | None]:
    """The function's zip, and the servers' archive where the plan has servers."""
    archive = " and the servers' archive" if plan.has_servers else ""
    report(f"building the function's zip{archive}")
    traces = bool({**present, **dict(plan.parameters)}.get("TraceEndpoint"))
    web = package.web_archive(folder, traces=traces) if plan.has_servers else None
    return package.function_zip(folder, traces=traces), web


def _upload_code(
    code: tuple[Path, Path | None], bucket: ArtifactBucket, report: Report
) -> dict[str, str]:
    """Upload the function's zip and the servers' archive; the parameters that name them."""
    keys = {"FunctionCode": bucket.upload(code[0], "function", ".zip", report)}
    if code[1]:
        keys["WebCode"] = bucket.upload(code[1], "web", ".tar.gz", report)
    return keys


def _account_parameters(
    plan: Plan, aws: Aws, account: str, present: Mapping[str, str], report: Report
) -> dict[str, str]:
    """The parameters that depend on account and region: budget, quota, permissions boundary."""
    parameters = {"FunctionsAtOnce": str(_functions_at_once(plan, aws, report))}
    if aws.region in REGIONS_WITHOUT_BUDGETS:
        parameters["Budget"] = "off"
        report(f"{aws.region} has no budgets: none is created")
    arn = f"arn:{_partition(aws.region)}:iam::{account}:policy/{plan.boundary}"
    if _has_policy(aws, arn):
        parameters["PermissionsBoundary"] = arn
    return {
        name: value
        for name, value in parameters.items()
        if name != "FunctionsAtOnce" or name not in present
    }


def _functions_at_once(plan: Plan, aws: Aws, report: Report) -> int:
    """As many functions as the size requires, within the quota of the account."""
    default = 500 if plan.size == "scale" else 50
    with translated("Lambda quotas"):
        limits = aws.client("lambda").get_account_settings()["AccountLimit"]
    quota = int(limits.get("ConcurrentExecutions", 1000))
    requested = dict(plan.parameters).get("FunctionsAtOnce", "2")
    if requested.isdecimal() and int(requested) > quota:
        remedy = "Leave it out, or ask for more: Service Quotas, AWS Lambda, Concurrent executions."
        raise errors.Invalid(
            f"this account runs {quota} functions at once.", where="FunctionsAtOnce", remedy=remedy
        )
    if quota - 2 >= default:
        return default
    count = max(2, quota - 2)
    report(f"this account runs {quota} functions at once: {count} of them read images")
    report("    (ask for more: Service Quotas, AWS Lambda, Concurrent executions)")
    return count


def _has_policy(aws: Aws, arn: str) -> bool:
    try:
        with translated(arn):
            aws.client("iam").get_policy(PolicyArn=arn)
    except (errors.NotFound, errors.Forbidden):
        return False
    return True


def _partition(region: str) -> str:
    return str(boto3.Session().get_partition_for_region(region))


def make_admin(outputs: dict[str, str], *, aws: Aws) -> str | None:
    """Create the first account, `admin`; returns its password, None if there is an administrator.

    It is the password of the stack's secret, with which a web server that starts first creates
    the same account.
    """
    book = Accounts(open_store(outputs["Store"], environ=aws.environ()))
    book.refresh()
    if book.has_admin():
        return None
    password = _secret_password(aws, outputs["AdminPassword"])
    with contextlib.suppress(errors.Conflict):
        book.add("admin", role="admin", password=password)
    return password


def mark_unused_secret(outputs: dict[str, str], *, aws: Aws) -> bool:
    """Say in the secret's description that its password opens no account; True if it is new there.

    So it is where the bucket has administrators of an earlier deployment, or `admin` has changed
    the password.
    """
    secret = outputs["AdminPassword"]
    client = aws.client("secretsmanager")
    with translated(secret):
        description = str(client.describe_secret(SecretId=secret).get("Description", ""))
        if description.startswith(_UNUSED):
            return False
        book = Accounts(open_store(outputs["Store"], environ=aws.environ()))
        book.refresh()
        if book.sign_in("admin", _secret_password(aws, secret)) is not None:
            return False
        client.update_secret(
            SecretId=secret, Description=f"{_UNUSED}: the bucket's administrators have their own."
        )
    return True


def _secret_password(aws: Aws, secret: str) -> str:
    with translated(secret):
        text = aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(text)["password"])


def await_answer(address: str, *, report: Report) -> bool:
    """Wait until the web page answers; False if it does not within 15 minutes."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    report(f"waiting for {address} (a new web server takes some three minutes)")
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:  # noqa: S310
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(_LOOK_SECONDS)
    return False


def destroy(plan: Plan, *, aws: Aws, report: Report, with_data: bool) -> None:
    """Delete the stack and the code, and with `with_data` the bucket of images and records."""
    account = aws.account()
    for name in (plan.accuracy_stack, plan.stack):
        Stack(aws, name).delete(report=report)
    buckets.remove(aws, plan.artifact_bucket(account, aws.region), report)
    data = plan.data_bucket(account, aws.region)
    if with_data:
        buckets.remove(aws, data, report)
    else:
        report(f"the bucket {data} stays: a later deploy of the same name takes it over")


def _with_bucket_name(text: str, bucket: str) -> str:
    """The template with a literal bucket name, which importing an existing bucket requires."""
    computed = 'BucketName: !Sub "${AWS::StackName}-${AWS::AccountId}-${AWS::Region}"'
    if computed not in text:
        raise errors.Invalid("the bucket's name is not where it is expected.", where="legibly.yaml")
    return text.replace(computed, f"BucketName: {bucket}")


def _bucket_url(aws: Aws, bucket: str) -> str:
    """The bucket's address in the form that CloudFormation takes templates from."""
    endpoint = aws.client("s3").meta.endpoint_url
    if "amazonaws.com" in endpoint:
        return f"https://{bucket}.s3.{aws.region}.amazonaws.com"
    return f"{endpoint}/{bucket}"


def _prefix_list(aws: Aws) -> str:
    """The addresses from which CloudFront sends requests, by their name in this region."""
    filters = [{"Name": "prefix-list-name", "Values": [_CLOUDFRONT]}]
    with translated("EC2 prefix lists"):
        answer = aws.client("ec2").describe_managed_prefix_lists(Filters=filters)
    if not answer["PrefixLists"]:
        raise errors.NotFound(f"this region has no prefix list {_CLOUDFRONT}.", where=aws.region)
    return str(answer["PrefixLists"][0]["PrefixListId"])
