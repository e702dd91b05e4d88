"""The engines against real servers: S3 and a Spark cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import services
from accuracy import cases, cluster
from legibly import object_keys, records
from legibly import store as stores
from legibly.accuracy import report, sources
from legibly.accuracy.compaction import compact
from legibly.accuracy.engines import duckdb_engine

SRC = str(Path(__file__).parents[2] / "src")
PARTS = [
    cases.NASTY,
    [
        json.dumps(cases.pair(f"i{n}", str(n % 10), str(n % 7), confidence=n / 300))
        for n in range(300)
    ],
    [
        json.dumps(
            cases.pair(f"i{n}", str(n % 10), str(n % 10), labelled_at="2026-11-23T01:00:00Z")
        )
        for n in range(90)
    ],
]


def _expected() -> bytes:
    return report.encode(report.build(cases.expected(PARTS)))


@pytest.fixture
def bucket(
    seaweedfs: services.S3Server, request: pytest.FixtureRequest
) -> tuple[str, dict[str, str]]:
    """The URL of an empty prefix of a real bucket, and the variables that lead to it."""
    pytest.importorskip(
        "duckdb_extension_httpfs",
        reason="install duckdb-extension-httpfs; `make test-all` brings it",
    )
    return f"s3://{seaweedfs.bucket}/accuracy-{request.node.name.split('[')[0]}", seaweedfs.environ


def _fill(url: str, environ: dict[str, str], *, settle: bool) -> stores.Store:
    store = stores.open_store(url, environ=environ)
    for number, part in enumerate(PARTS):
        store.create(f"{object_keys.PAIRS}date=2026-11-22/{number}.jsonl", "\n".join(part).encode())
        if settle and number == 1:
            done = compact.compact(store, environ=environ, now=records.now(), grace=timedelta(0))
            assert (done.files_written, done.files_flawed) == (1, 1)
    return store


@pytest.mark.service("seaweedfs")
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("settle", [False, True])
def test_duckdb_reads_a_bucket(
    bucket: tuple[str, dict[str, str]], settle: bool, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON lines and, once compacted, Parquet in one bucket, few or many: the reference's report,
    byte for byte.
    """
    url, environ = bucket
    _fill(f"{url}-{settle}-{large}", environ, settle=settle)
    if large:
        monkeypatch.setattr(duckdb_engine, "SPLIT_FROM_ROWS", 0)
    result = sources.find(f"{url}-{settle}-{large}", environ=environ)
    assert result.plan
    assert (bool(result.plan.settled), bool(result.plan.counts)) == (settle, settle)
    assert (
        report.encode(
            report.build(duckdb_engine.table(result.plan, base=result.base, environ=environ))
        )
        == _expected()
    )


def _job(folder: Path, out: Path, spark: cluster.Cluster) -> "subprocess.Popen[bytes]":
    script = f"{SRC}/legibly/accuracy/engines/spark_job.py"
    command = [
        sys.executable,
        script,
        "--store",
        str(folder),
        "--out",
        str(out),
        "--master",
        spark.master,
    ]
    environ = {**spark.environ, "PYTHONPATH": SRC}
    with (out.parent / "job.log").open("wb") as log:
        return subprocess.Popen(
            command, env=environ, stdout=log, stderr=log, start_new_session=True
        )


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """A master and two workers."""
    with cluster.running(tmp_path_factory.mktemp("spark")) as result:
        yield result


@pytest.mark.service("spark")
@pytest.mark.timeout(400)
def test_a_killed_job_run_again_gives_the_same_report(
    spark: cluster.Cluster, tmp_path: Path
) -> None:
    """On two workers: killed before its end it leaves no half report; run again, it gives the
    reference's bytes.
    """
    base = tmp_path / "store"
    out = tmp_path / "reports" / "accuracy.json"
    out.parent.mkdir()
    cases.write_lines(base, PARTS)
    (out.parent / "_accuracy.json.part").write_bytes(
        b'{"pairs": 12'
    )  # what a job that died while writing leaves
    first = _job(base, out, spark)
    time.sleep(4)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not out.exists()
    second = _job(base, out, spark)
    assert second.wait(300) == 0, (out.parent / "job.log").read_text()[-3000:]
    assert out.read_bytes() == _expected()
    assert [path.name for path in out.parent.iterdir() if "part" in path.name] == []


@pytest.mark.service("spark")
@pytest.mark.service("seaweedfs")
@pytest.mark.timeout(400)
def test_duckdb_and_a_cluster_agree_over_one_bucket(
    spark: cluster.Cluster, bucket: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """`legibly accuracy` on DuckDB and on two Spark workers over the same bucket, partly compacted:
    the same bytes.
    """
    jars = ":".join(str(jar) for jar in cluster.s3a_jars())
    url, access = bucket
    _fill(url, access, settle=True)
    options = (
        f"--driver-class-path {jars} --conf spark.executor.extraClassPath={jars} pyspark-shell"
    )
    environ = {**spark.environ, **access, "PYTHONPATH": SRC, "PYSPARK_SUBMIT_ARGS": options}
    result = []
    for engine in ([], ["--engine", "spark", "--master", spark.master]):
        command = [sys.executable, "-m", "legibly", "accuracy", url, "--json", *engine]
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        result.append(done.stdout)
    assert result == [_expected(), _expected()]


@pytest.mark.service("spark")
@pytest.mark.service("seaweedfs")
@pytest.mark.timeout(400)
def test_spark_compacts_a_bucket(bucket: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """`legibly compact --engine spark` over a bucket: one Parquet file a day, flawed lines kept,
    the same report.
    """
    cluster.need_spark()
    jars = ":".join(str(jar) for jar in cluster.s3a_jars())
    url, access = bucket
    store = _fill(url, access, settle=False)
    options = f"--driver-class-path {jars} pyspark-shell"
    environ = {
        **os.environ,
        **access,
        "PYTHONPATH": SRC,
        "PYSPARK_SUBMIT_ARGS": options,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [
        sys.executable,
        "-m",
        "legibly",
        "compact",
        "--store",
        url,
        "--engine",
        "spark",
        "--master",
        "local[2]",
    ]
    done = subprocess.run(
        [*command, "--grace", "0", "--json"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    counts = json.loads(done.stdout)
    assert (counts["pairs_read"], counts["pairs_written"], counts["files_written"]) == (390, 300, 2)
    left = sorted(stat.key.rpartition("/")[2] for stat in store.list(object_keys.PAIRS))
    assert (left[0], len(left), left[1].endswith(".parquet")) == ("0.jsonl", 3, True)
    result = sources.find(url, environ=access)
    assert result.plan
    assert len(result.plan.settled) == 2
    assert (
        report.encode(
            report.build(duckdb_engine.table(result.plan, base=result.base, environ=access))
        )
        == _expected()
    )
