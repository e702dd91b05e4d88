"""`legibly accuracy` on 5 million pairs of the older text format, beside a Hadoop MapReduce job
doing the same.

    python benchmarks/accuracy_text.py [--pairs 5000000] [--runs 3]

The peer runs in Hadoop's local runner with the jars inside the pyspark package, under one key, with
and without a combiner. Each is a fresh process; runs alternate, and the ratio is of the medians.
Needs javac and pyspark.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SRC = HERE.parent / "src"


def main() -> None:
    """Write the file, run everybody, print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jars = jar_path(folder)
        for a_line in (1, 20):
            path = folder / f"pairs-{a_line}.txt"
            right = write(path, options.pairs, a_line)
            compare(
                folder,
                path,
                jars,
                right=right,
                pairs=options.pairs,
                a_line=a_line,
                runs=options.runs,
            )


def write(path: Path, pairs: int, a_line: int) -> int:
    """Pairs of ten classes, 97 in 100 right, `a_line` to a line; returns how many are right."""
    draw = random.Random(1)
    right = 0
    with path.open("w") as file:
        for _ in range(pairs // a_line):
            fields = []
            for _ in range(a_line):
                actual = draw.randrange(10)
                hit = draw.random() < 0.97
                right += hit
                fields.append(
                    f"{actual if hit else (actual + draw.randrange(1, 10)) % 10},{actual}"
                )
            file.write(",".join(fields) + "\n")
    return right


def jar_path(folder: Path) -> str:
    """Compile the peer; the class path to run it."""
    spec = importlib.util.find_spec("pyspark")
    if not spec or not spec.origin:
        raise SystemExit("PySpark is needed for its Hadoop jars: pip install 'legibly[spark]'")
    path = f"{Path(spec.origin).parent / 'jars'}/*"
    subprocess.run(
        ["javac", "-cp", path, "-d", folder, HERE / "hadoop" / "Accuracy.java"], check=True
    )
    return f"{folder}:{path}"


def compare(
    folder: Path, path: Path, jars: str, *, right: int, pairs: int, a_line: int, runs: int
) -> None:
    """Alternate the three programs over one file."""
    out = folder / "out"
    hadoop = ["java", "-cp", jars, "Accuracy", str(path), str(out)]
    ours = [sys.executable, "-m", "legibly", "accuracy", str(path), "--json"]
    seconds: dict[str, list[float]] = {"legibly": [], "hadoop, combiner": [], "hadoop": []}
    for _ in range(runs):
        done, taken = run(ours)
        result = json.loads(done.stdout)
        assert result["pairs"] == pairs, result["pairs"]
        assert result["accuracy"]["value"] == right / pairs
        seconds["legibly"].append(taken)
        for name, extra in (("hadoop, combiner", ["combine"]), ("hadoop", [])):
            shutil.rmtree(out, ignore_errors=True)
            seconds[name].append(run([*hadoop, *extra])[1])
            value = int((out / "part-r-00000").read_text().split()[1])
            assert (value >> 32, value & 0xFFFFFFFF) == (right, pairs)
    mine = statistics.median(seconds["legibly"])
    print(
        f"{pairs:,} pairs, {a_line} a line, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()}"
        " cores"
    )
    for name, taken in seconds.items():
        each = " ".join(f"{value:.2f}" for value in taken)
        middle = statistics.median(taken)
        print(f"  {name:<18} median {middle:6.2f} s  ({each})  {middle / mine:5.1f} times ours")


def run(command: list[str]) -> tuple["subprocess.CompletedProcess[bytes]", float]:
    """Run a program to its end; what it said, and its seconds."""
    environ = {**os.environ, "PYTHONPATH": str(SRC)}
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, env=environ)
    return done, time.perf_counter() - start


if __name__ == "__main__":
    main()
