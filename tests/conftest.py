"""What every test may ask for."""

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

import services

settings.register_profile("untimed", deadline=None)  # a busy machine makes no example wrong
settings.load_profile("untimed")
# Spark's jobs are short here: half the processor time without the slow compiler of long ones.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=_DATA, help="folder of the real data sets")


class ByServers(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each file to one worker; those that share Spark or the deployed stack to the same
    one.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith("tests/accuracy/"):
            return "spark"
        return "stack" if path.endswith(("test_deployed.py", "test_servers.py")) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByServers:
    """Used with `--dist loadscope`."""
    return ByServers(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape half characters in logs: a report travels between processes as UTF-8."""
    del item
    report: pytest.TestReport = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """The folder of the real data sets."""
    folder = request.config.getoption("--data")
    assert isinstance(folder, Path)
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no data sets in {folder}; give their folder with --data")
    return folder


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees this machine's AWS account or settings."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "LEGIBLY_")) and name not in (
            "LEGIBLY_REQUIRE_SERVICES",
            "AWS_CA_BUNDLE",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[services.S3Server]:
    """A real S3 server with an empty bucket at the start of the session."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        services.seaweedfs(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL database."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        services.postgres(Path(folder)) as url,
    ):
        yield url
