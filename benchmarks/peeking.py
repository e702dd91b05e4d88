"""How often a model that is no better is taken for better, if one looks again after every 20
labels.

    python benchmarks/peeking.py [--stores 2000]

Each store's labels grow to 2,000 (100 looks). "once" looks at the end alone; "McNemar" and "score
interval" take the first look that says yes; "any time" is what `legibly models promote` uses on a
store. The last table is the price: how many labels until half, and nine in ten, of good candidates
are shown to be no worse.
"""

import argparse
import math
import random
import statistics
from collections.abc import Callable, Iterator

from legibly.statistics import paired

LABELS = 2000
EVERY = 20
SEED = 20261122
YES = Callable[[paired.Table], bool]


def looks(draw: random.Random, gained: float, lost: float) -> Iterator[paired.Table]:
    """One store as it grows: the candidate alone right in a share `gained`, the present model alone
    in `lost`.
    """
    counts = [0, 0, 0]
    for _ in range(LABELS // EVERY):
        for step in draw.choices((0, 1, 2), (1 - gained - lost, lost, gained), k=EVERY):
            counts[step] += 1
        yield paired.Table(counts[0], counts[1], counts[2], 0)


def better(table: paired.Table) -> bool:
    """McNemar at 5 % with the candidate ahead."""
    return table.value > 0 and paired.mcnemar(int(table.only_first), int(table.only_second)) < 0.05


def false_promotions(stores: int) -> None:
    """Prints the share of stores in which each rule ever promotes a candidate that it should
    not.
    """
    kinds: list[tuple[str, float, float, float, str, YES]] = [
        ("equally good, shown to be better?", 0.05, 0.05, 0.0, "McNemar", better),
        (
            "worse by 5 points, shown to be less so?",
            0.05,
            0.10,
            0.05,
            "score interval",
            no_worse(0.05),
        ),
        (
            "worse by 2 points, shown to be less so?",
            0.01,
            0.03,
            0.02,
            "score interval",
            no_worse(0.02),
        ),
    ]
    print(
        f"{'truth, and what is asked':<42}{'rule':<16}{'once':>8}{'each look':>11}{'any time':>10}"
    )
    for title, gained, lost, margin, rule, naive in kinds:
        draw = random.Random(SEED)
        once = 0
        peeking = 0
        ours = 0
        for _ in range(stores):
            observed = list(looks(draw, gained, lost))
            once += naive(observed[-1])
            peeking += any(map(naive, observed))
            ours += any(always(margin)(table) for table in observed)
        print(
            f"{title:<42}{rule:<16}{once / stores:>8.1%}"
            f"{peeking / stores:>11.1%}{ours / stores:>10.1%}"
        )


def no_worse(margin: float) -> YES:
    """The 95 % score interval lies above `-margin`."""
    return lambda table: paired.difference(table).low > -margin


def always(margin: float) -> YES:
    """The evidence that the difference lies above `-margin` reaches 40, as the 95 % confidence
    sequence asks.
    """
    return lambda table: paired.evidence(table, above=-margin) >= math.log(40)


def price(stores: int) -> None:
    """Prints how many labels an equally good candidate needs, by how often the two differ."""
    print(f"\n{'the two differ in':<20}{'margin':>8}{'half by':>10}{'nine in ten by':>16}")
    for share, margin in ((0.0, 0.05), (0.02, 0.05), (0.02, 0.02), (0.05, 0.05)):
        draw = random.Random(SEED)
        needed = []
        for _ in range(stores):
            observed = looks(draw, share / 2, share / 2)
            needed.append(next((table.n for table in observed if always(margin)(table)), math.inf))
        tenths = statistics.quantiles(sorted(needed), n=10, method="inclusive")
        print(f"{share:<20.0%}{margin:>8.1%}{tenths[4]:>10,.0f}{tenths[8]:>16,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=2000)
    stores = parser.parse_args().stores
    false_promotions(stores)
    price(min(stores, 500))


if __name__ == "__main__":
    main()
