"""A stand-in for EMR Serverless: its two calls in the documented shape, over a real socket, and the
job for real.

No emulator has EMR Serverless. This one takes StartJobRun, fetches entry point and package out of
the bucket as EMR does, runs `spark-submit` with them on this machine, and answers GetJobRun. It
checks no signature and no role.
"""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from accuracy import cluster

APPLICATION = "00fstandin000001"


class StandIn(ThreadingHTTPServer):
    """Jobs by id; `asked` are the bodies of StartJobRun."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.environ = environ
        self.requests: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.log = folder / "job.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start_job(self, body: dict[str, Any]) -> str:
        """Take a job on; returns its id."""
        number = f"00fjob{len(self.jobs):010d}"
        self.requests.append(body)
        self.jobs[number] = {
            "state": "SUBMITTED",
            "stateDetails": "",
            "executionRole": body["executionRoleArn"],
        }
        self.jobs[number] |= {
            "jobDriver": body["jobDriver"],
            "createdAt": time.time(),
            "updatedAt": time.time(),
        }
        threading.Thread(target=self._run, args=(self.jobs[number],), daemon=True).start()
        return number

    def _run(self, job: dict[str, Any]) -> None:
        job["state"] = "SCHEDULED"
        submit = job["jobDriver"]["sparkSubmit"]
        words = shlex.split(submit["sparkSubmitParameters"])
        try:
            place = words.index("--py-files") + 1
            words[place] = self._fetch(words[place])
            script = self._fetch(submit["entryPoint"])
        except ClientError as error:
            job |= {
                "state": "FAILED",
                "stateDetails": f"Job failed, please check the entry point: {error}",
            }
            return
        job["state"] = "RUNNING"
        done = self._submit([*words, script, *submit["entryPointArguments"]])
        job |= (
            {"state": "SUCCESS"}
            if done == 0
            else {"state": "FAILED", "stateDetails": f"exit code {done}"}
        )

    def _submit(self, words: list[str]) -> int:
        jars = ":".join(str(jar) for jar in cluster.s3a_jars())
        # Python without its site-packages: what is not in the job's package is not there, but for
        # Spark's own.
        python = self.folder / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        python.chmod(0o755)
        remaining = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "JAVA_HOME")
        }
        environ = {
            **remaining,
            **self.environ,
            "PYSPARK_PYTHON": str(python),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        submit = [str(cluster.need_spark() / "bin" / "spark-submit"), "--master", "local[2]"]
        with self.log.open("wb") as log:
            command = [*submit, "--driver-class-path", jars, *words]
            return subprocess.run(
                command, env=environ, cwd=self.folder, stdout=log, stderr=log, check=False
            ).returncode

    def _fetch(self, url: str) -> str:
        parts = urlsplit(url)
        target = self.folder / Path(parts.path).name
        access = {
            "aws_access_key_id": "AWS_ACCESS_KEY_ID",
            "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        }
        supplied = {name: self.environ[variable] for name, variable in access.items()}
        client = boto3.client(
            "s3", endpoint_url=self.environ["AWS_ENDPOINT_URL"], region_name="us-east-1", **supplied
        )
        target.write_bytes(
            client.get_object(Bucket=parts.netloc, Key=parts.path[1:])["Body"].read()
        )
        return str(target)


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != f"/applications/{APPLICATION}/jobruns":
            self._answer(
                404, {"message": "Application not found"}, error="ResourceNotFoundException"
            )
            return
        number = self.server.start_job(body)
        self._answer(
            200,
            {
                "applicationId": APPLICATION,
                "jobRunId": number,
                "arn": f"arn:aws:emr-serverless:::{number}",
            },
        )

    def do_GET(self) -> None:
        number = self.path.rpartition("/")[2]
        job = self.server.jobs[number]
        facts = {"applicationId": APPLICATION, "jobRunId": number, "arn": "arn", "createdBy": "arn"}
        self._answer(200, {"jobRun": {**facts, "releaseLabel": "emr-7.12.0", **job}})

    def _answer(self, status: int, body: dict[str, Any], *, error: str = "") -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def running(folder: Path, environ: dict[str, str]) -> Iterator[StandIn]:
    """The stand-in, with the variables that lead to the bucket."""
    with StandIn(folder, environ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
