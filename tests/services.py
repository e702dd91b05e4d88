"""Real servers for the tests: started once a session on free ports, stopped at its end.

A server that this machine lacks skips its tests with the command that brings it; with
LEGIBLY_REQUIRE_SERVICES=1, as in CI, it fails them instead.
"""

import asyncio
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

T = TypeVar("T")


def missing(subject: str, command: str) -> NoReturn:
    """Skip the test, or fail it where every service has to be there."""
    reason = f"{subject} is not installed; `{command}` brings it"
    if os.environ.get("LEGIBLY_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, nor does 10,000 above.

    Both are below those that the system gives to connections, one of which could take it before the
    server does.
    """
    while True:
        port = random.randrange(12_000, 22_000)
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def wait_for(check: Callable[[], object], *, subject: str, seconds: float = 30.0) -> None:
    """Wait until `check` returns something true without an error."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError, subprocess.CalledProcessError):
            if check():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{subject} did not answer within {seconds} s")
        time.sleep(0.05)


@contextlib.contextmanager
def running(
    command: list[str], *, log: Path, env: dict[str, str] | None = None, **options: Any
) -> Iterator[int]:
    """Run a server in a process group of its own until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            **options,
        )
        try:
            yield process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket, `images`."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = "images"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the usual AWS chain that lead to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS, a real S3 server."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if weed is None:
        missing("SeaweedFS", "make test-all")
    # Each takes the port 10,000 above for gRPC, too.
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer", "admin")}
    server = S3Server(f"http://127.0.0.1:{ports['s3']}", "legibly", "legibly-secret")
    environ = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
    environ["WEED_S3_SSE_KEK_PASSPHRASE"] = "for tests"
    flags = [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
    ]
    flags += [f"-{name}.port={port}" for name, port in ports.items()]
    flags += [
        "-s3.port.iceberg=0",
        f"-metricsPort={free_port()}",
        f"-bucket={server.bucket}",
        f"-dir={folder}",
    ]
    with running([weed, "-logtostderr=true", "mini", *flags], log=folder / "weed.log", env=environ):
        wait_for(
            lambda: urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=1),
            subject="SeaweedFS",
            seconds=60.0,
        )
        yield server


def postgres_user() -> dict[str, Any]:
    """As whom a process of PostgreSQL starts, for it refuses to run as root."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """PostgreSQL; gives the URL of an empty database."""
    binaries = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    matches = shutil.which(
        "initdb",
        path=os.pathsep.join([*(str(path) for path in reversed(binaries)), os.environ["PATH"]]),
    )
    if matches is None:
        missing("PostgreSQL", "make test-all")
    tools = Path(matches).parent
    data = folder / "data"
    port = free_port()
    user = postgres_user()
    if user:
        entry = pwd.getpwnam("postgres")
        for path in [folder, *folder.parents][:3]:
            path.chmod(0o755)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    subprocess.run(
        [str(tools / "initdb"), "-D", str(data), "-U", "legibly", "-A", "trust", "-N"],
        check=True,
        capture_output=True,
        **user,
    )
    command = [
        str(tools / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        "",
        "-F",
    ]
    with running(command, log=folder / "postgres.log", **user):
        ready = [str(tools / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        wait_for(
            lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0,
            subject="PostgreSQL",
        )
        yield f"postgresql://legibly@127.0.0.1:{port}/postgres"


def new_database(postgres: str) -> str:
    """The URL of a fresh database of a PostgreSQL server, where nobody else's tables are."""
    import psycopg

    name = f"legibly_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres.rpartition('/')[0]}/{name}"


@contextlib.contextmanager
def openid(folder: Path, *, port: int, legibly: str, code_seconds: int = 60) -> Iterator[str]:
    """An OpenID provider that knows the Legibly at that address; gives its issuer."""
    root = Path(__file__).parents[1]
    issuer = f"http://127.0.0.1:{port}"
    if shutil.which("node") is None or not (root / "node_modules" / "oidc-provider").is_dir():
        missing("oidc-provider", "npm ci")
    command = [
        "node",
        str(Path(__file__).parent / "oidc_provider.mjs"),
        str(port),
        legibly,
        str(code_seconds),
    ]
    with running(command, log=folder / "openid.log", cwd=root):
        discovery = f"{issuer}/.well-known/openid-configuration"
        wait_for(lambda: urllib.request.urlopen(discovery, timeout=5), subject="oidc-provider")
        yield issuer


def chromium() -> str:
    """The path of the system's Chromium."""
    matches = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if matches is None:
        missing("Chromium", "make test-all")
    return matches


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: Playwright leaves a running loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
