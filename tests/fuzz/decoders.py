"""Broken and hostile pictures, for `make fuzz`: each ends in a reading or a named error, within the
limits on processor time and memory.

Case N of a seed is the same picture each time: `--first N --cases 1` plays it again. The cases run
in processes of 1,000 each, so that the end of one is an outcome like another.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import mutants
import pictures
from legibly import errors
from legibly.images import decode
from legibly.packs import pack, registry
from legibly.vision.reading import Reader

CPU_SECONDS = 1.5
MEMORY_BYTES = 400_000_000
_IN_A_PROCESS = 1_000
_MAX_PIXELS = 50_000_000
_HEIC = Path(__file__).parents[1] / "images" / "seven.heic"
_PATTERN_SHARE = 0.02
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Report:
    """Outcomes of a run; `faults` are lines that name the case."""

    cases: int = 0
    slowest_seconds: float = 0.0
    most_bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.cases += other.cases
        self.slowest_seconds = max(self.slowest_seconds, other.slowest_seconds)
        self.most_bytes = max(self.most_bytes, other.most_bytes)
        self.outcomes.update(other.outcomes)
        self.faults += other.faults


def picture(files: list[bytes], chance: random.Random) -> bytes:
    """A broken file, or a pattern that is meant to cost time."""
    if chance.random() < _PATTERN_SHARE:
        return pattern(chance)
    data = mutants.mutate(chance.choice(files), chance)
    return with_checksums(data) if data.startswith(b"\x89PNG") and chance.random() < 0.7 else data


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the right checksums, so that what is broken in them is decoded."""
    fixed = bytearray(data)
    start = 8
    while start + 12 <= len(fixed):
        length = int.from_bytes(fixed[start : start + 4], "big")
        ending = start + 8 + length
        if ending + 4 > len(fixed):
            break
        fixed[ending : ending + 4] = zlib.crc32(fixed[start + 4 : ending]).to_bytes(4, "big")
        start = ending + 4
    return bytes(fixed)


def pattern(chance: random.Random) -> bytes:
    """Checkers, rules, noise, mazes, spirals, strips or hundreds of digits, of any size."""
    height = chance.choice([90, 400, 1000, 1670, 3000])
    width = chance.choice([90, 400, 1000, 1670, 3000, 12_000 if height < 500 else 2_000])
    y, x = np.mgrid[:height, :width]
    side = chance.choice([1, 2, 3, 5, 9, 20, 40])
    seeded = np.random.default_rng(chance.randrange(2**32))
    kind = chance.choice(["checkers", "rules", "grid", "noise", "maze", "rings", "digits"])
    if kind == "checkers":
        dark = (y // side + x // side) % 2 == 0
    elif kind == "rules":
        dark = y % (2 * side + 3) < side
    elif kind == "grid":
        dark = (y % (4 * side + 5) < side) | (x % (4 * side + 7) < side)
    elif kind == "noise":
        dark = seeded.random((height, width)) < chance.choice([0.01, 0.1, 0.5])
    elif kind == "maze":
        walls = seeded.random((height // side + 1, width // side + 1)) < 0.45
        dark = np.kron(walls, np.ones((side, side), np.bool_))[:height, :width]
    elif kind == "rings":
        dark = np.hypot(y - height / 2, x - width / 2) % (2 * side + 4) < side
    else:
        return _page_of_digits(height, width, chance)
    grey = np.where(dark, chance.choice([0, 60, 120]), 255).astype(np.uint8)
    return pictures.encoded(Image.fromarray(grey), chance.choice(["PNG", "JPEG", "WEBP"]))


def _page_of_digits(height: int, width: int, chance: random.Random) -> bytes:
    page = Image.new("L", (width, height), 255)
    size = chance.choice([20, 30, 60])
    stamps = [
        pictures.drawing(stroke).resize((size, size))
        for stroke in (pictures.SEVEN, pictures.ZERO, pictures.ONE)
    ]
    for top in range(0, height - size, size):
        for left in range(0, width - size, size):
            page.paste(chance.choice(stamps), (left, top))
    return pictures.encoded(page)


def play(*, seed: int, first: int, count: int, current: Path | None = None) -> Report:
    """Read `count` pictures in this process; `current` names the one under way."""
    reader = Reader(pack.open_pack(registry.find("digits")), max_pixels=_MAX_PIXELS)
    files = [*mutants.files(), _HEIC.read_bytes()]
    report = Report()
    reader.read(pictures.png())
    for number in range(first, first + count):
        if current:
            current.write_text(str(number))
        data = picture(files, random.Random(f"{seed}-{number}"))
        peaks = _clear_peaks()
        began = _cpu_seconds()
        try:
            outcome = _read(reader, data)
        except Exception as error:
            outcome = "fault"
            report.faults.append(f"case {number}: {type(error).__name__}: {error}")
        seconds = _cpu_seconds() - began
        grown = max(0, *(_peak(process) - before for process, before in peaks.items()))
        if seconds > CPU_SECONDS or grown > MEMORY_BYTES:
            report.faults.append(f"case {number}: {seconds:.2f} s, {grown / 1e6:.0f} MB")
        single = Report(1, seconds, grown, Counter([outcome]))
        report.add(single)
    return report


def _read(reader: Reader, data: bytes) -> str:
    with contextlib.suppress(errors.NotAnImage, errors.Unusable):
        decode.probe(data, max_pixels=_MAX_PIXELS)
    try:
        return reader.read(data).reading.verdict
    except (errors.NotAnImage, errors.Unusable) as error:
        return error.code


def _family() -> list[str]:
    own = str(os.getpid())
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return [own, *children]


def _clear_peaks() -> dict[str, int]:
    """Resident bytes of this process and its decoders, whose peaks count from now on."""
    before = {}
    for process in _family():
        with contextlib.suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")
            before[process] = _peak(process)
    return before


def _peak(process: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _cpu_seconds() -> float:
    """Processor time of this process and its decoders, ended ones included."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for process in _family()[1:]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / _TICK
    return seconds


def run(*, seed: int, first: int, cases: int) -> Report:
    """Play the cases in processes of their own; one that ends counts as a fault."""
    report = Report()
    position = first
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "current"
        while position < first + cases:
            known = len(report.faults)
            count = min(_IN_A_PROCESS, first + cases - position)
            command = [sys.executable, __file__, "--seed", str(seed), "--first", str(position)]
            command += ["--cases", str(count), "--current", str(current)]
            process = subprocess.run(command, capture_output=True, text=True)
            if process.returncode == 0:
                part = json.loads(process.stdout)
                report.add(Report(**part | {"outcomes": Counter(part["outcomes"])}))
                position += count
            else:
                number = int(current.read_text())
                report.faults.append(f"case {number}: the process ended, {process.returncode}")
                report.cases += number - position + 1
                position = number + 1
            print(f"{position} cases, {len(report.faults)} faults", flush=True)
            print("".join(f"  {fault}\n" for fault in report.faults[known:]), end="", flush=True)
    return report


def main() -> None:
    """Play cases; exits with 1 for any fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.current:
        report = play(
            seed=options.seed, first=options.first, count=options.cases, current=options.current
        )
        print(json.dumps(vars(report)))
        return
    print(f"seed {options.seed}", flush=True)
    report = run(seed=options.seed, first=options.first, cases=options.cases)
    print(
        f"{report.cases} pictures, slowest {report.slowest_seconds:.2f} s of processor time, "
        f"most memory {report.most_bytes / 1e6:.0f} MB, {dict(report.outcomes)}"
    )
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
