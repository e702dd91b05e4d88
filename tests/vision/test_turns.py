"""Quarter turns: which is worth a look, and boxes turned back."""

import numpy as np
import pytest

from legibly.vision import turns
from legibly.vision.opinions import Networks
from legibly.vision.page import Floats


def by_top(crops: Floats) -> tuple[Floats, Floats]:
    """A judge that is sure where ink lies at the top."""
    belief = np.where(crops[:, :10].sum(axis=(1, 2)) > 150, 0.99, 0.2).astype(np.float32)
    return np.stack([belief, 1 - belief], axis=1), np.ones(len(crops), np.float32)


def test_the_turn_that_reads_best_is_worth_a_look() -> None:
    """Crops with their ink on the right want one turn against the clock; upright ones none."""
    upright = np.zeros((28, 28), np.float32)
    upright[:8] = 1.0
    networks = Networks(by_top)
    assert turns.best_turn([upright] * 3, networks) == 0
    for quarters in (1, 2, 3):
        turned = np.rot90(upright, -quarters)
        assert turns.best_turn([turned] * 3, networks) == quarters
    assert turns.best_turn([], networks) == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_boxes_come_back(quarters: int) -> None:
    """A box of the turned picture lies where its pixels were before."""
    plane = np.zeros((40, 60), np.bool_)
    plane[5:12, 20:23] = True
    rows, columns = np.nonzero(np.rot90(plane, quarters))
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    assert turns.back(box, quarters, 60, 40) == (20, 5, 23, 12)
