"""What `cloud deploy` changes and keeps, in an emulated account of its own with tiny code."""

import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import emulator as emulators
from legibly import errors
from legibly.cloud import deploy
from legibly.cloud.artifacts import ArtifactBucket
from legibly.cloud.aws import Aws
from legibly.cloud.plan import Plan
from legibly.cloud.stack import Change, Stack
from legibly.people.accounts import Accounts
from legibly.store import open_store

pytestmark = [pytest.mark.service("ministack"), pytest.mark.timeout(300)]
# The emulator has no budgets.
PARAMETERS = (("RetrySeconds", "200"), ("AskRate", "0.5"), ("Budget", "off"))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """An emulated account with a permissions boundary for the stack `changes`."""
    folder = tmp_path_factory.mktemp("account")
    with emulators.running(folder) as running:
        document = Path(__file__).parents[2] / "deploy" / "boundary-policy.json"
        running.client("iam").create_policy(
            PolicyName="changes-boundary", PolicyDocument=document.read_text(encoding="utf-8")
        )
        yield running


@pytest.fixture
def account(emulated: emulators.Emulator, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The account as this process's own."""
    for name, value in emulated.environ.items():
        monkeypatch.setenv(name, value)
    return Aws()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A function that does nothing, and an archive of servers that never start."""
    folder = tmp_path_factory.mktemp("code")
    with zipfile.ZipFile(folder / "function.zip", "w") as archive:
        archive.writestr("legibly/aws_lambda.py", "def handler(event, context): return {}")
    (folder / "web.tar.gz").write_bytes(b"nothing")
    return folder / "function.zip", folder / "web.tar.gz"


@pytest.fixture(scope="module")
def outputs(emulated: emulators.Emulator, code: tuple[Path, Path]) -> dict[str, str]:
    """The outputs of a deployed stack of size `scale` with its own parameters."""
    plan = Plan(stack="changes", size="scale", email="a@b.example", parameters=PARAMETERS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulated.environ.items():
            patch.setenv(name, value)
        return deploy.deploy(plan, aws=Aws(), report=lambda _line: None, code=code)


def deploy_again(
    account: Aws, code: tuple[Path, Path], plan: Plan
) -> tuple[list[Change], list[str]]:
    """The changes that another deploy would make, and its report; none is made."""
    changes: list[Change] = []
    lines: list[str] = []

    def refuse(proposed: list[Change]) -> bool:
        changes.extend(proposed)
        return False

    deploy.deploy(plan, aws=account, report=lines.append, code=code, approve=refuse)
    return changes, lines


def test_a_bare_deploy_keeps_every_value(
    account: Aws, outputs: dict[str, str], code: tuple[Path, Path]
) -> None:
    """Size, e-mail and parameters of the first deploy are not forgotten, and nothing changes."""
    changes, _ = deploy_again(account, code, Plan(stack="changes"))
    assert changes == []
    parameters = Stack(account, "changes").parameters()
    assert parameters["Size"] == "scale"
    assert parameters["Email"] == "a@b.example"
    assert dict(PARAMETERS).items() <= parameters.items()


def test_a_dry_run_shows_changes_and_makes_none(
    account: Aws, outputs: dict[str, str], code: tuple[Path, Path]
) -> None:
    """A refused change set is deleted; the stack stays as it was."""
    changes, lines = deploy_again(account, code, Plan(stack="changes", size="small"))
    assert "WebServers" in {change.resource for change in changes}
    assert "nothing changed" in lines
    assert Stack(account, "changes").parameters()["Size"] == "scale"


def test_removed_servers_and_data_are_asked_about() -> None:
    """A database that goes, or is replaced, counts; a policy or an alarm does not."""
    database = "AWS::RDS::DBInstance"
    assert Change("Remove", "DatabaseServer", database, False).removes
    assert Change("Modify", "DatabaseServer", database, True).removes
    assert not Change("Modify", "DatabaseServer", database, False).removes
    assert not Change("Remove", "DeadPictures", "AWS::CloudWatch::Alarm", False).removes


def test_an_accounts_boundary_bounds_the_roles(account: Aws, outputs: dict[str, str]) -> None:
    """A policy named STACK-boundary is found and given to the template."""
    arn = Stack(account, "changes").parameters()["PermissionsBoundary"]
    assert arn.endswith(":policy/changes-boundary")


def test_the_secret_of_a_taken_over_bucket_is_marked(account: Aws, outputs: dict[str, str]) -> None:
    """The stack's secret is in use for a new `admin`, and marked if `admin` has another
    password.
    """
    password = deploy.make_admin(outputs, aws=account)
    assert password
    assert not deploy.mark_unused_secret(outputs, aws=account)
    book = Accounts(open_store(outputs["Store"], environ=account.environ()))
    book.refresh()
    book.change(book.find_by_name("admin"), password="another long password")
    assert deploy.mark_unused_secret(outputs, aws=account)
    assert not deploy.mark_unused_secret(outputs, aws=account)


def test_more_functions_than_the_quota_are_refused(
    account: Aws, outputs: dict[str, str], code: tuple[Path, Path]
) -> None:
    """Deliveries beyond the quota would end as dead letters; the error names the quota."""
    plan = Plan(stack="changes", parameters=(("FunctionsAtOnce", "100000"),))
    with pytest.raises(errors.Invalid, match=r"runs \d+ functions at once\. Leave it out"):
        deploy_again(account, code, plan)


def test_seconds_that_are_no_number_are_named() -> None:
    """One line with the parameter's name instead of a ValueError."""
    with pytest.raises(errors.Invalid, match=r"RetrySeconds: 'abc' is not a number"):
        Plan(parameters=(("RetrySeconds", "abc"),))


class _SomebodyElsesBucket(BaseHTTPRequestHandler):
    """S3's answer to a request for a bucket whose owner is not the expected one."""

    def do_HEAD(self) -> None:
        owner = self.headers.get("x-amz-expected-bucket-owner")
        self.send_response(200 if owner in (None, "111111111111") else 403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


def test_a_bucket_of_another_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is never uploaded to a bucket that somebody else created first; the emulator lets it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with ThreadingHTTPServer(("127.0.0.1", 0), _SomebodyElsesBucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        bucket = ArtifactBucket(Aws(region="us-east-1"), "squatted-code", "222222222222")
        with pytest.raises(errors.Conflict, match="another account"):
            bucket.create(lambda _line: None)
        server.shutdown()
