"""`legibly compact` on small files of JSON lines: records a second, by how many stand in one file.

python benchmarks/compact.py [--records 1000000] [--single 20000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"


def main() -> None:
    """Files of a thousand records, of a hundred, and of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--single", type=int, default=20_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for each, records in ((1000, options.records), (100, options.records), (1, options.single)):
        with tempfile.TemporaryDirectory() as name:
            write(Path(name), records, each)
            run(Path(name), records, each)


def write(base: Path, records: int, each: int) -> None:
    """Files of `each` records over thirty days."""
    for number in range(records // each):
        day = f"2026-11-{1 + number % 30:02d}"
        folder = base / "records" / "pairs" / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({
                "image": f"0192{number:08x}-7000-8000-{place:012x}", "predicted": str(place % 10),
                "actual": str(place % 9), "confidence": 0.9731,
                "model": "digits@3f9c2a41b0de", "writer": None, "source": "asked",
                "labelled_at": f"{day}T10:00:00.{place % 1000:03d}Z",
            })
            for place in range(each)
        ]  # fmt: skip
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")


def run(base: Path, records: int, each: int) -> None:
    """Compact and say how fast."""
    command = [sys.executable, "-m", "legibly", "compact", "--store", f"file://{base}", "--json"]
    before = os.times()
    start = time.perf_counter()
    done = subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(SRC)}
    )
    seconds = time.perf_counter() - start
    after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    assert json.loads(done.stdout)["pairs_written"] == records
    files = records // each
    print(
        f"{records:>9,} records in {files:>7,} files: {seconds:6.2f} s, {records / seconds:>9,.0f}"
        f" a second; {cpu:6.2f} s of CPU, {records / cpu:>9,.0f} a second of CPU",
        flush=True,
    )


if __name__ == "__main__":
    main()
