"""The report page: a year of days, 100 classes, 5 models, in a fresh process and again in the same
one.

python benchmarks/accuracy_page.py
"""

import random
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
sys.path.insert(0, str(SRC))

from legibly.accuracy import report
from legibly.statistics import aggregates


def main() -> None:
    """Write a report of that size, render it twice here and once in a fresh process."""
    path = Path("/tmp") / "legibly-page.json"
    created = report.build(table())
    path.write_bytes(report.encode(created))
    rows = len(created["by_day"]), len(created["classes"]), len(created["by_model"])
    print(f"days, classes, models: {rows}; report {path.stat().st_size / 1e6:.2f} MB")
    code = (
        f"import sys, time; sys.path.insert(0, {str(SRC)!r}); start = time.perf_counter(); import"
        " json, pathlib;from legibly.accuracy.render import html as pages; made ="
        " json.loads(pathlib.Path(sys.argv[1]).read_bytes());page = pages.render(made,"
        " base='http://x'); first = time.perf_counter() - start; middle ="
        " time.perf_counter();pages.render(made); again = time.perf_counter() -"
        " middle;print(f'first, imports included {first:.2f} s; again {again:.2f} s;"
        " {len(page) / 1e6:.2f} MB of HTML')"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    path.unlink()


def table() -> aggregates.Table:
    """A million pairs: 365 days, 100 classes, 5 models."""
    draw = random.Random(1)
    counts: dict[tuple[str, str, str, str, str, int], int] = {}
    start = time.perf_counter()
    for _ in range(300_000):
        day = (date(2026, 1, 1) + timedelta(days=draw.randrange(365))).isoformat()
        actual = f"class {draw.randrange(100):02d}"
        lower = draw.choice(aggregates.EDGES[10:])
        right = draw.random() < lower / 1_000_000
        predicted = actual if right else f"class {draw.randrange(100):02d}"
        source = draw.choice(["asked", "volunteered", "at_upload"])
        key = (day, f"m@{draw.randrange(5)}", source, predicted, actual, lower)
        counts[key] = counts.get(key, 0) + 1
    rows = (aggregates.Cell(*key, n, n * key[5]) for key, n in counts.items())
    reads = [
        aggregates.Read(
            (date(2026, 12, 31) - timedelta(days=back)).isoformat(),
            "m@0",
            "read",
            f"class {n:02d}",
            950_000,
            9,
        )
        for back in range(35)
        for n in range(100)
    ]
    created = aggregates.Table(tuple(sorted(rows)), tuple(sorted(reads)))
    print(f"{len(created.cells):,} cells made in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    report.build(created)
    print(f"report from cells {time.perf_counter() - start:.2f} s")
    return created


if __name__ == "__main__":
    main()
