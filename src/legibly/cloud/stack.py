"""A CloudFormation stack: create or update it with live events, read its outputs, delete it."""

import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from legibly import errors, records
from legibly.cloud.aws import Aws, translated
from legibly.cloud.reasons import advice

Report = Callable[[str], None]
_POLL_SECONDS = 1.0
_DATA = {"AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
_SERVERS = {"AWS::AutoScaling::AutoScalingGroup", "AWS::CloudFront::Distribution"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a change set; `action` is Add, Modify, Remove or Import."""

    action: str
    resource: str
    resource_type: str
    replaces: bool

    @property
    def removes(self) -> bool:
        """Whether it deletes data or servers in use."""
        gone = self.action == "Remove" or self.replaces
        return gone and self.resource_type in _DATA | _SERVERS

    def __str__(self) -> str:
        action = "replace" if self.replaces else self.action.lower()
        return f"{action:<8} {self.resource} ({self.resource_type})"


Approve = Callable[[list[Change]], bool]


def _approve_all(_changes: list[Change]) -> bool:
    return True


class Stack:
    """One stack by name; it may not exist yet."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self.name = name
        self._client = aws.client("cloudformation")

    def describe(self) -> dict[str, Any] | None:
        """The stack's description; None if it does not exist."""
        with translated(self.name):
            try:
                stack: dict[str, Any] = self._client.describe_stacks(StackName=self.name)["Stacks"][
                    0
                ]
            except ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
        return None if stack["StackStatus"] in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS") else stack

    def outputs(self) -> dict[str, str]:
        """The stack's outputs. Raises NotFound."""
        stack = self.describe()
        if stack is None:
            remedy = "`legibly cloud deploy` makes it; --stack and --region name another one."
            raise errors.NotFound(
                f"there is no such stack in {self._aws.region}.", where=self.name, remedy=remedy
            )
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        """The present parameters; secret ones are masked. Empty if the stack does not exist."""
        stack = self.describe() or {}
        return {
            entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])
        }

    def apply(
        self,
        template: Mapping[str, str],
        parameters: Mapping[str, str],
        *,
        report: Report,
        approve: Approve = _approve_all,
        previous: Set[str] = frozenset(),
    ) -> bool:
        """Create or update it as one change set; False if nothing changed or `approve` refused.

        `template` is `{"TemplateURL": …}` or `{"TemplateBody": …}`. Parameters named in `previous`
        keep their present value. `approve` is called with the changes. A bucket that an earlier
        stack of this name left behind is imported. Raises Invalid if the change fails.
        """
        present = self._settled(report)
        name = f"legibly-{int(time.time())}"
        since = self._newest_event() if present else None
        with translated(self.name):
            self._client.create_change_set(
                StackName=self.name,
                ChangeSetName=name,
                ChangeSetType="UPDATE" if present else "CREATE",
                ImportExistingResources=True,
                # Early validation would reject the bucket that an earlier stack left behind.
                DisableValidation=present is None,
                Capabilities=["CAPABILITY_IAM"],
                Parameters=_parameters(parameters, previous if present else frozenset()),
                Tags=[{"Key": "legibly", "Value": self.name}],
                **template,
            )
            changes = self._await_change_set(name)
            if changes is None:
                return False
            if not approve(changes):
                self._discard(name, is_new=present is None)
                return False
            self._client.execute_change_set(StackName=self.name, ChangeSetName=name)
        self._follow(since, report)
        return True

    def _settled(self, report: Report) -> dict[str, Any] | None:
        """The stack as it can be updated; a failed first deployment is deleted."""
        present = self._at_rest(report)
        status = present["StackStatus"] if present else ""
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
            self.delete(report=report)
            return None
        if status.endswith("ROLLBACK_FAILED"):
            remedy = (
                "Finish it, then deploy again: aws cloudformation continue-update-rollback "
                f"--stack-name {self.name}."
            )
            raise errors.Conflict("its last roll back failed.", where=self.name, remedy=remedy)
        return present

    def _at_rest(self, report: Report) -> dict[str, Any] | None:
        """The stack after any operation in progress, as of an interrupted command."""
        present = self.describe()
        if present and present["StackStatus"].endswith("_IN_PROGRESS"):
            report(f"waiting for the end of {present['StackStatus']}")
        while present and present["StackStatus"].endswith("_IN_PROGRESS"):
            time.sleep(_POLL_SECONDS)
            present = self.describe()
        return present

    def _discard(self, change_set: str, *, is_new: bool) -> None:
        """Delete a change set, and the empty stack that it was to create."""
        self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        if is_new:
            self._client.delete_stack(StackName=self.name)

    def delete(self, *, report: Report) -> None:
        """Delete it and wait for the end. Does nothing if it does not exist."""
        stack = self.describe()
        if stack is None:
            return
        since = self._newest_event()
        with translated(self.name):
            self._client.delete_stack(StackName=stack["StackId"])
        self._follow(since, report, stack=stack["StackId"])

    def _await_change_set(self, name: str) -> list[Change] | None:
        """The changes of a change set once it is ready; None if there are none."""
        while True:
            change_set = self._client.describe_change_set(StackName=self.name, ChangeSetName=name)
            if change_set["Status"] == "CREATE_COMPLETE":
                return self._changes(name)
            if change_set["Status"] == "FAILED":
                self._client.delete_change_set(StackName=self.name, ChangeSetName=name)
                reason = str(change_set.get("StatusReason", ""))
                if "didn't contain changes" in reason or "No updates" in reason:
                    return None
                raise errors.Invalid(
                    f"CloudFormation refuses the template: {reason}",
                    where=self.name,
                    remedy=advice(reason),
                )
            time.sleep(_POLL_SECONDS)

    def _changes(self, change_set: str) -> list[Change]:
        changes: list[Change] = []
        following: dict[str, str] = {}
        while True:
            page = self._client.describe_change_set(
                StackName=self.name, ChangeSetName=change_set, **following
            )
            for entry in page.get("Changes", []):
                facts = entry["ResourceChange"]
                changes.append(
                    Change(
                        facts["Action"],
                        facts["LogicalResourceId"],
                        facts["ResourceType"],
                        facts.get("Replacement") == "True",
                    )
                )
            if not page.get("NextToken"):
                return changes
            following = {"NextToken": page["NextToken"]}

    def _newest_event(self) -> str | None:
        with translated(self.name):
            events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return events[0]["EventId"] if events else None

    def _follow(self, since: str | None, report: Report, stack: str | None = None) -> None:
        """Report each event after `since` until the stack is at rest.

        Raises Invalid with the reason of the first failure.
        """
        try:
            self._report_events({since}, report, stack or self.name)
        except KeyboardInterrupt:
            remedy = "The same command again waits for its end and goes on."
            raise errors.Unavailable(
                "interrupted; CloudFormation goes on.", where=self.name, remedy=remedy
            ) from None

    def _report_events(self, reported: set[str | None], report: Report, stack: str) -> None:
        failure = ""
        while True:
            for event in self._events_past(reported, stack):
                report(_line(event))
                status = event["ResourceStatus"]
                if status.endswith("_FAILED") and not failure:
                    reason = event.get("ResourceStatusReason", "no reason given")
                    failure = f"{event['LogicalResourceId']}: {reason}"
                if event["PhysicalResourceId"] == event["StackId"] and _is_final(status):
                    self._require_success(status, failure)
                    return
            time.sleep(_POLL_SECONDS)

    def _require_success(self, status: str, failure: str) -> None:
        """Raise Invalid unless an operation ended well."""
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
            return
        remedy = advice(failure)
        if status == "DELETE_FAILED" and not remedy:
            remedy = "Delete what is named, then repeat the command."
        raise errors.Invalid(f"{status}. {failure}", where=self.name, remedy=remedy)

    def _events_past(self, reported: set[str | None], stack: str) -> Iterator[dict[str, Any]]:
        """New events, oldest first."""
        fresh: list[dict[str, Any]] = []
        with translated(self.name):
            for page in self._client.get_paginator("describe_stack_events").paginate(
                StackName=stack
            ):
                for event in page["StackEvents"]:
                    if event["EventId"] in reported:
                        break
                    fresh.append(event)
                else:
                    continue
                break
        reported.update(event["EventId"] for event in fresh)
        yield from reversed(fresh)


def _is_final(status: str) -> bool:
    return status.endswith(("_COMPLETE", "_FAILED")) and "CLEANUP" not in status


def _line(event: Mapping[str, Any]) -> str:
    reason = f"  {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
    at = records.stamp(event["Timestamp"])[11:19]
    return f"{at}  {event['ResourceStatus']:<28} {event['LogicalResourceId']}{reason}"


def _parameters(values: Mapping[str, str], previous: Set[str]) -> list[dict[str, Any]]:
    """Parameters of a change set; those of `previous` without a new value keep theirs."""
    unchanged = previous - values.keys()
    return [
        *({"ParameterKey": key, "ParameterValue": value} for key, value in values.items()),
        *({"ParameterKey": key, "UsePreviousValue": True} for key in unchanged),
    ]
