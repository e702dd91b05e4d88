"""The Spark job travels light."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from accuracy import cluster

SRC = Path(__file__).parents[2] / "src"
NEEDED = ("__init__.py", "errors.py", "keys.py", "records.py")


def test_the_job_imports_from_a_zip_with_pyspark_alone(tmp_path: Path) -> None:
    """With records, keys, errors and accuracy in a zip, the job loads and finds its SQL; nothing of ours is missed."""
    cluster.need_spark()
    package = tmp_path / "legibly.zip"
    with zipfile.ZipFile(package, "w") as archive:
        files = [SRC / "legibly" / name for name in NEEDED]
        files += [path for path in (SRC / "legibly" / "accuracy").iterdir() if path.suffix in (".py", ".sql")]
        for path in files:
            archive.write(path, path.relative_to(SRC))
    code = (
        "import sys, legibly; from legibly.accuracy import spark_engine, spark_job;"
        "assert legibly.__file__.startswith(sys.argv[1]);"
        "assert 'GROUP BY' in spark_engine._sql('pairs.sql');"
        "print(sorted({'duckdb', 'obstore', 'click', 'legibly.store'} & set(sys.modules)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-c", code, str(package)]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
