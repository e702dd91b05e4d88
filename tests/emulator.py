"""ministack, which emulates AWS without Docker: signatures, IAM, CloudFormation, functions from
their zip; over TLS.

It runs a function with its own Python whatever the template says, so it lives in an environment of
the function's version: `.tools/ministack`.
"""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

import services

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".tools" / "ministack" / "bin" / "ministack"
SHORT = (("FunctionSeconds", "20"), ("RetrySeconds", "60"), ("Attempts", "2"))
"""Parameters of the template that spare the tests long waits; a retry begins when a slow function
is surely over.
"""
BRING = "python3.12 -m venv .tools/ministack && .tools/ministack/bin/pip install ministack==1.5.33"


@dataclass(frozen=True)
class Emulator:
    """A running emulator; `environ` leads AWS's usual chain to it."""

    endpoint: str
    certificate: Path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "root",
            "AWS_SECRET_ACCESS_KEY": "root-secret",
            "AWS_REGION": "us-east-1",
            "AWS_CA_BUNDLE": str(self.certificate),
            "SSL_CERT_FILE": str(self.certificate),
        }

    def client(self, service: str) -> Any:
        """A boto3 client of the account's owner."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="root",
            aws_secret_access_key="root-secret",
            verify=str(self.certificate),
        )

    def limit_functions(self) -> None:
        """Run two functions at once: fifty would starve each other on two cores.

        Needed after each deployment: the template's number arrives in the emulator as text, over
        which its poller stumbles.
        """
        functions = self.client("lambda")
        [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 2}
        )

    def legibly(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `legibly` as a user does."""
        environ = {**os.environ, **self.environ}
        command = [sys.executable, "-m", "legibly", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done


@dataclass(frozen=True)
class Deployment:
    """A deployed stack: its emulator, the outputs of its template, what the command said, and the
    code that it built.

    The code is the function's zip and the servers' archive, kept from where they were uploaded to.
    """

    emulator: Emulator
    outputs: dict[str, str]
    address: str
    output: str
    code: tuple[Path, Path]

    @property
    def bucket(self) -> str:
        return self.outputs["BucketName"]

    def client(self, service: str) -> Any:
        return self.emulator.client(service)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """An empty AWS account, every request of which is checked against signatures and policies."""
    if not PLACE.exists():
        services.missing("ministack in a Python 3.12", BRING)
    if shutil.which("openssl") is None:
        services.missing("openssl", "apt-get install openssl")
    port = services.free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "AUTH": "true",
        "USE_SSL": "1",
        "AWS_ACCESS_KEY_ID": "root",
        "AWS_SECRET_ACCESS_KEY": "root-secret",
    }
    certificate = folder / "ministack-tls" / "server.crt"
    with services.running([str(PLACE)], log=folder / "ministack.log", env=environ):
        emulator = Emulator(f"https://127.0.0.1:{port}", certificate)
        services.wait_for(certificate.exists, subject="ministack")
        services.wait_for(lambda: _is_well(emulator), subject="ministack")
        yield emulator


def _is_well(emulator: Emulator) -> bool:
    context = ssl.create_default_context(cafile=str(emulator.certificate))
    with urllib.request.urlopen(
        f"{emulator.endpoint}/_ministack/health", timeout=2, context=context
    ) as answer:
        return "services" in json.load(answer)
