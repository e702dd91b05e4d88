"""The Spark job travels light."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accuracy import cluster
from legibly.cloud import package


def test_the_job_imports_from_a_zip_with_pyspark_alone(tmp_path: Path) -> None:
    """With records, keys, errors and accuracy in a zip, the job loads and finds its SQL; nothing of
    ours is missed.
    """
    cluster.need_spark()
    _, archive = package.job(tmp_path)
    code = (
        "import sys, legibly; from legibly.accuracy.engines import canonical, spark_job;"
        "assert legibly.__file__.startswith(sys.argv[1]);"
        "assert 'GROUP BY' in canonical.sql('pairs.sql');"
        "print(sorted({'duckdb', 'obstore', 'click', 'legibly.store'} & set(sys.modules)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(archive)}
    command = [sys.executable, "-c", code, str(archive)]
    done = subprocess.run(
        command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("store", "out", "named"),
    [
        ("http://bucket", "s3://bucket/reports/a.json", "--store http://bucket"),
        ("s3://bucket", "gs://bucket/a.json", "--out gs://bucket/a.json"),
        ("s3://bucket", "s3://bucket/reports/", "no JSON file"),
    ],
)
def test_wrong_arguments_are_refused_before_spark_starts(
    store: str, out: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the argument, and no session: a cluster costs from its first minute."""
    pytest.importorskip("pyspark")
    from pyspark.sql import SparkSession

    from legibly.accuracy.engines import spark_job

    before = SparkSession._instantiatedSession
    assert spark_job.main(["--store", store, "--out", out]) == 1
    assert named in capsys.readouterr().err
    assert SparkSession._instantiatedSession is before
