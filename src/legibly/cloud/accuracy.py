"""The accuracy job on EMR Serverless, over the bucket of a deployed stack.

The application stands in a stack of its own, NAME-accuracy, which costs nothing while no job runs. What the job is
given stands in the template's outputs, so that a job by hand and the one of every night are the same.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from legibly import errors, object_keys, records
from legibly.cloud import deploy, package
from legibly.cloud.aws import Aws, translated
from legibly.cloud.plan import Plan, template
from legibly.cloud.stack import Report, Stack
from legibly.store import open_store

POLL_SECONDS = 5.0
_AT_REST = ("SUCCESS", "FAILED", "CANCELLED")


def prepare(
    plan: Plan, *, aws: Aws, report: Report, nightly: str | None = None, whole: str | None = None
) -> dict[str, str]:
    """Bring the job's code and its stack to what they should be; returns the stack's outputs.

    `nightly` is a schedule expression or `off`, `whole` models with commas between or `-`; None leaves it as it is.
    Raises NotFound unless the stack of the plan is deployed.
    """
    bucket = Stack(aws, plan.stack).outputs()["BucketName"]
    artifacts = plan.artifact_bucket(aws.account(), aws.region)
    with tempfile.TemporaryDirectory(prefix="legibly-") as folder:
        script, archive = package.job(Path(folder))
        code = {
            "JobScript": deploy.upload(aws, artifacts, script, "accuracy", ".py", report),
            "JobPackage": deploy.upload(aws, artifacts, archive, "accuracy", ".zip", report),
        }
    stack = Stack(aws, plan.accuracy_stack)
    known = stack.outputs() if stack.describe() else {}
    chosen = {"Nightly": nightly or known.get("Nightly"), "Whole": whole or known.get("Whole")}
    parameters = {"DataBucket": bucket, "ArtifactBucket": artifacts, **code}
    parameters |= {name: value for name, value in chosen.items() if value}
    stack.apply({"TemplateBody": template("accuracy.yaml")}, parameters, report=report)
    return stack.outputs()


def run(
    outputs: Mapping[str, str], *, aws: Aws, report: Report, poll_seconds: float = POLL_SECONDS
) -> tuple[str, bytes]:
    """Run the job and wait for its end; the report's key and its JSON, with the page beside it as `.html`.

    `outputs` are those of the accuracy stack. Raises Unavailable where the job fails, with what EMR says of it.
    """
    at = records.now()
    key = f"{object_keys.REPORTS}accuracy-{at:%Y%m%dT%H%M%S}.json"
    client = aws.client("emr-serverless")
    with translated("EMR Serverless"):
        started = client.start_job_run(**_job(outputs, f"{outputs['Store']}/{key}"))
    job = {"applicationId": started["applicationId"], "jobRunId": started["jobRunId"]}
    report(f"job {job['jobRunId']} of application {job['applicationId']}")
    found = _follow(client, job, report=report, poll_seconds=poll_seconds)
    if found["state"] != "SUCCESS":
        details = str(found.get("stateDetails") or "no reason given").rstrip(".")
        remedy = f"Look into the log group {outputs['LogGroup']}."
        raise errors.Unavailable(
            f"the job ended as {found['state']}: {details}.", where=job["jobRunId"], remedy=remedy
        )
    return key, open_store(outputs["Store"], environ=aws.environ()).read(key)


def _job(outputs: Mapping[str, str], out: str) -> dict[str, Any]:
    """What StartJobRun is asked for. boto3 adds the token that makes a request sent twice one job."""
    logs = {
        "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": outputs["LogGroup"]}
    }
    return {
        "applicationId": outputs["ApplicationId"],
        "executionRoleArn": outputs["JobRoleArn"],
        "name": "legibly cloud accuracy",
        "executionTimeoutMinutes": int(outputs["JobMinutes"]),
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": outputs["EntryPoint"],
                "entryPointArguments": [
                    "--store",
                    outputs["Store"],
                    "--whole",
                    outputs["Whole"],
                    "--out",
                    out,
                    "--html",
                ],
                "sparkSubmitParameters": outputs["SparkSubmitParameters"],
            }
        },
        "configurationOverrides": {"monitoringConfiguration": logs},
    }


def _follow(
    client: Any, job: dict[str, str], *, report: Report, poll_seconds: float
) -> dict[str, Any]:
    """Report each state of the job until it rests."""
    started, told = time.monotonic(), ""
    while True:
        with translated(job["jobRunId"]):
            found: dict[str, Any] = client.get_job_run(**job)["jobRun"]
        seconds = int(time.monotonic() - started)
        if found["state"] != told:
            told = found["state"]
            report(f"{seconds // 60:>3}:{seconds % 60:02d}  {told.lower()}")
        if told in _AT_REST:
            return found
        time.sleep(poll_seconds)
