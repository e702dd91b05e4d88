"""The accuracy job on EMR Serverless, over the bucket of a deployed stack.

The application is in a stack of its own, NAME-accuracy, which costs nothing while no job runs.
The job's arguments are in the template's outputs, so a job by hand equals the nightly one.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from legibly import errors, object_keys, records
from legibly.accuracy.plan import HAS_TABLES
from legibly.cloud import package
from legibly.cloud.artifacts import ArtifactBucket
from legibly.cloud.aws import Aws, translated
from legibly.cloud.plan import Plan, template
from legibly.cloud.stack import Report, Stack
from legibly.store import Store, open_store

POLL_SECONDS = 5.0
_FINAL_STATES = ("SUCCESS", "FAILED", "CANCELLED")


def prepare(
    plan: Plan,
    *,
    aws: Aws,
    report: Report,
    nightly: str | None = None,
    athena: str | None = None,
    single_label_models: str | None = None,
) -> dict[str, str]:
    """Upload the job's code and create or update its stack; returns the stack's outputs.

    `nightly` is a schedule expression or `off`; `athena` is `on` or `off`;
    `single_label_models` are separated by commas, or `-` for no model. None keeps the present
    value.
    Raises NotFound unless the stack of the plan is deployed.
    """
    data_stack = Stack(aws, plan.stack)
    main_outputs = data_stack.outputs()
    account = aws.account()
    artifacts = ArtifactBucket(aws, plan.artifact_bucket(account, aws.region), account)
    with tempfile.TemporaryDirectory(prefix="legibly-") as folder:
        script, archive = package.job(Path(folder))
        code = {
            "JobScript": artifacts.upload(script, "accuracy", ".py", report),
            "JobPackage": artifacts.upload(archive, "accuracy", ".zip", report),
        }
    stack = Stack(aws, plan.accuracy_stack)
    present = stack.outputs() if stack.describe() else {}
    options = {
        "Nightly": nightly or present.get("Nightly"),
        "Athena": athena or present.get("Athena"),
        "Whole": single_label_models or present.get("Whole"),
    }
    options["AlarmTopic"] = main_outputs.get("AlarmTopic")
    options["PermissionsBoundary"] = data_stack.parameters().get("PermissionsBoundary")
    parameters = {
        "DataBucket": main_outputs["BucketName"],
        "ArtifactBucket": artifacts.name,
        **code,
    }
    parameters |= {name: value for name, value in options.items() if value}
    stack.apply({"TemplateBody": template("accuracy.yaml")}, parameters, report=report)
    outputs = stack.outputs()
    mark_tables(outputs, open_store(outputs["Store"], environ=aws.environ()))
    return outputs


def mark_tables(outputs: Mapping[str, str], store: Store) -> None:
    """Tell compactions whether Athena has tables of the store, and so where their files go."""
    if outputs["Athena"] == "on":
        store.create(HAS_TABLES, b"")
    else:
        store.remove([HAS_TABLES])


def run(
    outputs: Mapping[str, str], *, aws: Aws, report: Report, poll_seconds: float = POLL_SECONDS
) -> tuple[str, bytes]:
    """Run the job and wait for it; returns key and JSON of the report (`.html` beside it).

    `outputs` are those of the accuracy stack. Raises Unavailable with EMR's reason if the job
    fails.
    """
    at = records.now()
    key = f"{object_keys.REPORTS}accuracy-{at:%Y%m%dT%H%M%S}.json"
    client = aws.client("emr-serverless")
    with translated("EMR Serverless"):
        started = client.start_job_run(**_job(outputs, f"{outputs['Store']}/{key}"))
    job = {"applicationId": started["applicationId"], "jobRunId": started["jobRunId"]}
    report(f"job {job['jobRunId']} of application {job['applicationId']}")
    job_run = _follow(client, job, report=report, poll_seconds=poll_seconds)
    if job_run["state"] != "SUCCESS":
        details = str(job_run.get("stateDetails") or "no reason given").rstrip(".")
        remedy = f"Look into the log group {outputs['LogGroup']}."
        raise errors.Unavailable(
            f"the job ended as {job_run['state']}: {details}.", where=job["jobRunId"], remedy=remedy
        )
    return key, open_store(outputs["Store"], environ=aws.environ()).read(key)


def _job(outputs: Mapping[str, str], out: str) -> dict[str, Any]:
    """The request of StartJobRun; boto3 adds the token that makes it idempotent."""
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
    started = time.monotonic()
    state = ""
    while True:
        with translated(job["jobRunId"]):
            job_run: dict[str, Any] = client.get_job_run(**job)["jobRun"]
        seconds = int(time.monotonic() - started)
        if job_run["state"] != state:
            state = job_run["state"]
            report(f"{seconds // 60:>3}:{seconds % 60:02d}  {state.lower()}")
        if state in _FINAL_STATES:
            return job_run
        time.sleep(poll_seconds)
