"""A Spark cluster of this machine: a master and two workers as processes of their own."""

import contextlib
import importlib.util
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import services

S3A = Path(__file__).parents[2] / ".tools" / "s3a"
"""Where hadoop-aws and aws-java-sdk-bundle jars lie that fit the pyspark package."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the master listens, and the variables with which a driver finds it."""

    master: str
    environ: dict[str, str]


def need_spark() -> Path:
    """The folder of the pyspark package; skips where it or Java is missing."""
    result = importlib.util.find_spec("pyspark")
    if not result or not result.origin:
        services.missing("PySpark", "pip install legibly[spark]")
    if not shutil.which("java"):
        services.missing("Java", "apt-get install openjdk-17-jre-headless")
    return Path(result.origin).parent


def s3a_jars() -> list[Path]:
    """The jars with which Spark reads s3a://; skips where they are missing."""
    jars = sorted(S3A.glob("*.jar"))
    if not jars:
        services.missing("Spark's S3 connector", "make test-all")
    return jars


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start master and workers, and stop them at the end."""
    home = need_spark()
    port = services.free_port()
    page = services.free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    environ |= {
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    environ |= {"SPARK_LOG_DIR": str(folder), "SPARK_WORKER_DIR": str(folder / "work")}
    start = [str(home / "bin" / "spark-class")]
    master = f"spark://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        where = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
        command = [*start, "org.apache.spark.deploy.master.Master", *where]
        stack.enter_context(services.running(command, log=folder / "master.log", env=environ))
        for number in range(2):
            limits = ["--host", "127.0.0.1", "--webui-port", "0", "-c", "1", "-m", "1200m"]
            command = [*start, "org.apache.spark.deploy.worker.Worker", *limits, master]
            stack.enter_context(
                services.running(command, log=folder / f"worker{number}.log", env=environ)
            )
        services.wait_for(lambda: _alive(page) == 2, subject="Spark's workers", seconds=90)
        yield Cluster(master, environ)


def _alive(page: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
        return int(json.loads(answer.read())["aliveworkers"])
