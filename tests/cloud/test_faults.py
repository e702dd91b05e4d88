"""Faults of an account in the middle of a deployment: each is named with its remedy, and the next
deployment goes on.
"""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from cloud.cloudformation import Script, running
from legibly import errors
from legibly.cloud import deploy as deployment
from legibly.cloud import stack as stacks
from legibly.cloud.aws import Aws, translated
from legibly.cloud.reasons import advice
from legibly.cloud.stack import Stack
from legibly.store import open_store


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """CloudFormation of this process, which has no stack yet."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr(stacks, "_POLL_SECONDS", 0.01)
    played = Script()
    with running(played) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", address)
        yield played


def deploy(report: Any = lambda _line: None) -> bool:
    """What `legibly cloud deploy` asks of CloudFormation."""
    stack = Stack(Aws(region="us-east-1"), "legibly")
    return stack.apply({"TemplateBody": "{}"}, {}, report=report)


@pytest.mark.parametrize("state", ["ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
def test_a_failed_first_deployment_is_deleted_and_made_again(script: Script, state: str) -> None:
    """A stack that no update can mend goes away first; its bucket is retained and taken over."""
    script.state = state
    script.endings = [("DELETE_COMPLETE", ""), ("CREATE_COMPLETE", "")]
    assert deploy()
    assert script.calls.index("DeleteStack") < script.calls.index("CreateChangeSet")
    assert script.state == "CREATE_COMPLETE"


def test_an_update_that_could_not_be_rolled_back_is_left_to_its_owner(script: Script) -> None:
    """It holds data: the error names the command that finishes the roll back."""
    script.state = "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(errors.Conflict, match="continue-update-rollback --stack-name legibly"):
        deploy()
    assert "DeleteStack" not in script.calls
    script.state = "UPDATE_ROLLBACK_COMPLETE"
    script.endings = [("UPDATE_COMPLETE", "")]
    assert deploy()


def test_an_interrupted_deployment_goes_on(script: Script) -> None:
    """Ctrl-C ends the command alone; the next one waits for CloudFormation and updates."""

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    script.endings = [("CREATE_COMPLETE", ""), ("UPDATE_COMPLETE", "")]
    with pytest.raises(errors.Unavailable, match=r"CloudFormation goes on\. The same command"):
        deploy(interrupt)
    script.looks = ["CREATE_IN_PROGRESS"] * 3
    lines: list[str] = []
    assert deploy(lines.append)
    assert lines[0] == "waiting for the end of CREATE_IN_PROGRESS"
    assert script.state == "UPDATE_COMPLETE"


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_credentials_that_expire_midway_are_named(script: Script, code: str) -> None:
    """The error says how to go on; after a new sign-in the same command does."""
    script.endings = [("CREATE_COMPLETE", ""), ("UPDATE_COMPLETE", "")]
    script.refusals = {"DescribeStackEvents": [code]}
    with pytest.raises(errors.Forbidden, match=r"expired\. Sign in again") as raised:
        deploy()
    assert not raised.value.authenticated
    assert deploy()


def test_a_refused_template_names_its_remedy(script: Script) -> None:
    """A region with one zone for this account, as CloudFormation's engine reports it."""
    script.refused_template = (
        "Template error: Fn::Select cannot select nonexistent value at index 1"
    )
    with pytest.raises(errors.Invalid, match="create-default-subnet"):
        deploy()
    script.refused_template = ""
    script.endings = [("CREATE_COMPLETE", "")]
    assert deploy()


def test_a_failed_resource_names_its_remedy(script: Script) -> None:
    """The first failure is the reason, with advice; the next deployment begins anew."""
    reason = "Your account must be verified before you can add new CloudFront resources."
    script.endings = [("ROLLBACK_COMPLETE", reason)]
    with pytest.raises(errors.Invalid, match=r"Function: Your account must.* Ask AWS's support"):
        deploy()
    script.endings = [("DELETE_COMPLETE", ""), ("CREATE_COMPLETE", "")]
    assert deploy()


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("The specified instance type is not eligible for Free Tier.", "t3.small"),
        ("You have requested more vCPU capacity than your current vCPU limit of 0", "Quotas"),
        ("Your requested instance type (t3.small) is not supported in your zone", "WebInstance="),
        ("The requested configuration is currently not supported.", "ModelInstance="),
        ("RDS does not support creating a DB instance with DBInstanceClass=x", "DatabaseInstance="),
        ("The maximum number of VPCs has been reached.", "VPC"),
        ("'MemorySize' failed: Member must have value less than or equal to 3008", "3008"),
        ("This AWS account currently does not support creating load balancers.", "support"),
        ("is not authorized to perform: kms:GenerateDataKey on resource", "kms:Decrypt"),
        ("is not authorized to perform: iam:CreateRole", "legibly cloud policy"),
        ("Failed to receive 1 resource signal(s) within the duration", "log group"),
        ("legibly-1-us-east-1 already exists", "--stack"),
    ],
)
def test_known_refusals_of_aws_have_a_remedy(message: str, remedy: str) -> None:
    """The words of AWS's messages lead to the parameter, quota or command that helps."""
    assert remedy in advice(message)


def test_a_message_without_a_known_remedy_stays_as_it_is() -> None:
    """No advice is better than a wrong one."""
    assert advice("Internal Failure") == ""


def test_a_profile_or_region_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line instead of an unexpected error of botocore."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(errors.Forbidden, match=r"nobody.*aws configure"):
        Aws(region="us-east-1")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(errors.Unavailable, match="Could not connect"), translated("S3"):
        Aws(region="us-east-1").client("s3").list_buckets()


class _StartingPage(BaseHTTPRequestHandler):
    """Answers as CloudFront does while no server is ready, and then as a server."""

    answers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(self.answers.pop(0))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


def test_the_wait_for_the_page_ends_with_its_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of the edge are waited out; without an answer in time the command says so."""
    monkeypatch.setattr(deployment, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(_StartingPage, "answers", [502, 503, 200])
    with ThreadingHTTPServer(("127.0.0.1", 0), _StartingPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert deployment.await_answer(address, report=lambda _line: None)
        assert _StartingPage.answers == []
        server.shutdown()
    monkeypatch.setattr(deployment, "_ANSWER_SECONDS", 0.1)
    assert not deployment.await_answer(address, report=lambda _line: None)


class _RefusedByAKey(BaseHTTPRequestHandler):
    """S3 for a role that the policy of the bucket's key leaves out."""

    message = (
        "User: arn:aws:sts::1:assumed-role/legibly-FunctionRole/x is not authorized to perform: "
        "kms:Decrypt on resource: arn:aws:kms:us-east-1:1:key/mine"
    )

    def do_GET(self) -> None:
        body = f"<Error><Code>AccessDenied</Code><Message>{self.message}</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


def test_a_key_that_refuses_the_function_is_named_in_its_error() -> None:
    """S3's own words, which become the reason of the dead letter; the roles and calls that the
    key's policy needs are known.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), _RefusedByAKey) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        environ = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        store = open_store("s3://legibly-1", environ={**environ, "AWS_REGION": "us-east-1"})
        with pytest.raises(errors.Forbidden) as raised:
            store.read("images/a.png")
        server.shutdown()
    assert raised.value.message == f"the store refuses: {_RefusedByAKey.message}."
    assert "kms:Decrypt" in advice(raised.value.message)
