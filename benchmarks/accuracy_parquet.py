"""`legibly accuracy` on DuckDB over Parquet: seconds and memory, where labels repeat and where
compaction settled them.

    python benchmarks/accuracy_parquet.py [--growth 5,50,200] [--part 5] [--spark [MASTER]]
      [--folder DIR]

One image in ten is labelled twice. Each figure is a fresh process with its peak resident memory;
`legibly compact` settles the pairs between the two readings and is timed too. The settled report is
taken as compaction left it, without the counts that it left (all files counted anew), and with a
thousand new labels beside. `--spark` runs the same text on Spark over the smallest size as a peer,
on two cores of this machine or on the cluster of a MASTER such as spark://127.0.0.1:7077.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

SRC = Path(__file__).parents[1] / "src"
MILLION = 1_000_000


def main() -> None:
    """For each size: write, report, compact, report again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--growth", default="5,50,200", help="millions of pairs, one after the other"
    )
    parser.add_argument("--part", type=int, default=5, help="millions of pairs in a file")
    parser.add_argument("--spark", nargs="?", const="local[2]", metavar="MASTER")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; each a fresh process")
    for number, millions in enumerate(int(size) for size in options.growth.split(",")):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            base = Path(name) / "store"
            size = write(base, millions * MILLION, options.part * MILLION)
            print(f"{millions * MILLION:,} pairs, {size / 1e6:.0f} MB of Parquet")
            first, repeated = report(base)
            tell("labels repeat", repeated)
            if options.spark and not number:
                peer, cost = report(base, "--engine", "spark", "--master", options.spark)
                assert peer == first, "Spark gives another report"
                tell(f"{options.spark}, same bytes", (cost[0], 0, 0))
            compacted = run("compact", "--store", f"file://{base}", "--grace", "0", "--json")[1]
            tell("compact", compacted, f"{millions * MILLION / compacted[0]:,.0f} pairs a second")
            last, settled = report(base)
            assert first == last, "compaction changed the report"
            tell("settled", settled)
            label(base, 1000)
            tell("settled, 1,000 labels since", report(base)[1])
            recent(base).unlink()
            for counts in base.rglob("counts-*.parquet"):
                counts.unlink()
            last, again = report(base)
            assert first == last, "the counts are not those of the files"
            tell("settled, counted anew", again)


def tell(problem: str, cost: tuple[float, float, float], more: str = "") -> None:
    """One line; Spark's processor time and memory are its JVM's, which is no child of ours to
    measure.
    """
    wall, cpu, mb = cost
    used = f"{cpu:7.2f} s of CPU {mb:6.0f} MB at most" if cpu else ""
    print(f"  {problem:<28} {wall:7.2f} s {used}  {more}", flush=True)


def write(base: Path, pairs: int, each: int) -> int:
    """Pairs of 100 days, two models, three sources; returns bytes on disk."""
    folder = base / "records" / "pairs" / "date=2026-11-22"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        for part, start in enumerate(range(0, pairs, each)):
            stop = min(pairs, start + each)
            connection.execute(f"""COPY (
              SELECT CASE WHEN i % 10 = 0 THEN 'twin-' || md5((i // 20)::VARCHAR)
                ELSE uuidv7()::VARCHAR END AS image,
                ((i * 7919) % 10)::VARCHAR AS predicted,
                CASE WHEN hash(i) % 100 < 3 THEN ((i + 1) % 10)::VARCHAR
                 ELSE ((i * 7919) % 10)::VARCHAR END AS actual,
                round(1 - 0.5 * (hash(i + 1) % 10000 / 10000) ** 4, 6) AS confidence,
                'digits@3f9c2a41b0d' || (i // 20 % 2) AS model, NULL::VARCHAR AS writer,
                CASE i % 3 WHEN 0 THEN 'asked' WHEN 1 THEN 'volunteered'
                 ELSE 'at_upload' END AS source,
                TIMESTAMP '2026-08-01' + INTERVAL (i % 8640000) SECOND AS labelled_at
              FROM range({start}, {stop}) AS t(i)) TO '{folder}/{part}.parquet' (FORMAT parquet)""")
    return sum(path.stat().st_size for path in folder.iterdir())


def recent(base: Path) -> Path:
    """A file of labels that came after compaction."""
    return base / "records" / "pairs" / "date=2026-11-23" / "new.jsonl"


def label(base: Path, labels: int) -> None:
    """Label some settled images anew."""
    folder = recent(base).parent
    folder.mkdir(parents=True, exist_ok=True)
    pairs = f"read_parquet('{base}/records/settled-pairs/*/*.parquet', hive_partitioning = false)"
    duckdb.sql(
        f"""COPY (SELECT * REPLACE (
                strftime(labelled_at + INTERVAL 365 DAY, '%Y-%m-%dT%H:%M:%S.000Z') AS labelled_at)
        FROM {pairs} USING SAMPLE {labels}) TO '{recent(base)}' (FORMAT json)"""
    )


def report(base: Path, *how: str) -> tuple[str, tuple[float, float, float]]:
    """The report's digest, and its seconds and megabytes."""
    out, cost = run("accuracy", str(base), "--json", *how)
    assert json.loads(out)["pairs"]
    return hashlib.sha256(out).hexdigest(), cost


def run(*arguments: str) -> tuple[bytes, tuple[float, float, float]]:
    """Run `legibly` in a process of its own; what it prints, its seconds, seconds of CPU and peak
    megabytes.
    """
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:],"
        " stdout=subprocess.PIPE, check=True);sys.stdout.buffer.write(done.stdout);used ="
        " resource.getrusage(resource.RUSAGE_CHILDREN);print(used.ru_utime + used.ru_stime,"
        " used.ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "legibly", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(SRC)}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env=environ, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(
            f"legibly {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr.decode()}"
        )
    cpu, kilobytes = done.stderr.split()[-2:]
    return done.stdout, (seconds, float(cpu), int(kilobytes) / 1024)


if __name__ == "__main__":
    main()
