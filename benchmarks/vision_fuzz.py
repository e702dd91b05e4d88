"""Breaks real picture files 20,000 times: each has to end in a reading or a named error, soon and
in little memory.

python benchmarks/vision_fuzz.py [--cases 20000] [--seed 1]
"""

import argparse
import random
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import mutants
from legibly import errors
from legibly.packs import pack, registry
from legibly.vision.reading import Reader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    reader = Reader(pack.open_pack(registry.find("digits")))
    rng = random.Random(args.seed)
    files = mutants.files()
    ends = Counter()
    slowest = 0.0
    for number in range(args.cases):
        data = mutants.mutate(rng.choice(files), rng)
        began = time.perf_counter()
        try:
            ends[reader.read(data).reading.verdict] += 1
        except (errors.NotAnImage, errors.Unusable) as error:
            ends[type(error).__name__] += 1
        except Exception as error:
            Path("fuzz-failure.bin").write_bytes(data)
            print(
                f"case {number}: {type(error).__name__}: {error}; its bytes are in fuzz-failure.bin"
            )
            raise
        slowest = max(slowest, time.perf_counter() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{args.cases} cases: {dict(ends)}; slowest {slowest:.2f} s; peak {memory:.0f} MB")


if __name__ == "__main__":
    main()
