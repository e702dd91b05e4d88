"""The order of reading."""

import numpy as np

from legibly.vision import lattice, seams
from legibly.vision.ink import glyphs, rows


def piece(left: float, top: float, width: int = 20, height: int = 40) -> glyphs.Piece:
    """A filled piece."""
    x = round(left)
    y = round(top)
    return glyphs.Piece((x, y, x + width, y + height), np.ones((height, width), np.bool_))


def places(groups: list[list[glyphs.Piece]]) -> list[list[int]]:
    """The left edges, row by row."""
    return [[entry.box[0] for entry in group] for group in groups]


def test_rows_come_from_the_top_and_pieces_from_the_left() -> None:
    """Shuffled pieces are put in order, heights uneven."""
    rng = np.random.default_rng(0)
    pieces = [
        piece(30 * x, 70 * y + int(rng.integers(-6, 7)), height=int(rng.integers(34, 46)))
        for y in range(3)
        for x in range(6)
    ]
    matches = rows.rows([pieces[at] for at in rng.permutation(len(pieces))], 40)
    assert places(matches) == [[30 * x for x in range(6)]] * 3


def test_rows_may_climb_and_fall() -> None:
    """Slanted rows that overlap in height stay apart."""
    for fall in (-0.25, -0.1, 0.12, 0.25):
        pieces = [piece(32 * x, 300 + 75 * y + fall * 32 * x) for y in range(3) for x in range(8)]
        assert places(rows.rows(pieces, 40)) == [[32 * x for x in range(8)]] * 3


def test_a_steep_or_bent_row_is_one() -> None:
    """A row goes on where a step leads up or down by less than a digit; two digits are enough."""
    for fall in (-0.55, -0.4, 0.4, 0.55):
        for count in (2, 4, 6):
            pieces = [piece(32 * x, 400 + fall * 32 * x) for x in range(count)]
            assert places(rows.rows(pieces, 40)) == [[32 * x for x in range(count)]]
    bent = [piece(32 * x, 400 + 1.5 * x**2) for x in range(9)]
    assert places(rows.rows(bent, 40)) == [[32 * x for x in range(9)]]


def test_a_row_that_starts_where_another_ends_is_another() -> None:
    """What stands more than a digit lower to the right is the next row, however it is indented."""
    pieces = [piece(0, 0), piece(30, 0), piece(70, 65), piece(100, 65)]
    assert places(rows.rows(pieces, 40)) == [[0, 30], [70, 100]]


def test_a_five_and_its_bar_are_in_one_row() -> None:
    """A small piece belongs to the nearest row."""
    pieces = [
        piece(0, 0),
        piece(40, 8, height=32),
        piece(45, 0, 20, 4),
        piece(0, 80),
        piece(40, 80),
    ]
    assert [len(group) for group in rows.rows(pieces, 40)] == [3, 2]


def test_text_marks_rows_and_wide_gaps() -> None:
    """Rows are joined by a slash, wide gaps are a space, usual ones are not."""
    boxes = [
        [(0, 0, 20, 40), (30, 0, 50, 40), (150, 0, 170, 40), (180, 0, 200, 40)],
        [(0, 80, 20, 120)],
    ]
    assert rows.text([["1", "2", "3", "4"], ["5"]], boxes, 40) == "12 34/5"
    assert rows.text([["7"]], [[(0, 0, 20, 40)]], 40) == "7"
    even = [[(60 * x, 0, 60 * x + 20, 40) for x in range(4)]]
    assert rows.text([list("1234")], even, 40) == "1234"


def test_two_touching_loops_are_cut_between_them() -> None:
    """A seam runs where least ink is; both slices keep their ink."""
    mask = np.zeros((60, 110), np.bool_)
    y, x = np.mgrid[:60, :110]
    for middle in (28, 82):
        distance = np.hypot((x - middle) / 28, (y - 30) / 30)
        mask |= (distance < 1) & (distance > 0.7)
    entire = glyphs.Piece((5, 7, 115, 67), mask)
    slices = seams.cut(entire, 60)
    assert any(abs(entry.box[2] - 60) <= 6 for entry in slices)
    assert glyphs.merge(slices).area >= 0.98 * entire.area


def test_a_cut_through_more_ink_touches_more() -> None:
    """Contact counts the pixels along a cut, none across a gap."""
    assert seams.contact(piece(0, 0, 10, 40), piece(10, 0, 10, 40)) == 40
    assert seams.contact(piece(0, 0, 10, 40), piece(10, 30, 10, 40)) == 10
    assert seams.contact(piece(0, 0, 10, 40), piece(11, 0, 10, 40)) == 0


def test_a_piece_that_the_network_calls_no_digit_is_doubtful_in_slices() -> None:
    """One good slice of a rejected piece, its rest left out, convinces less than two good slices
    do.
    """
    entry = piece(0, 0)
    other = piece(20, 0)
    matches = {}
    for score in (-0.05, -9.0):
        entire = lattice.Hypothesis(0, 2, glyphs.merge([entry, other]), 0.0, score=-9.0, uncut=True)
        row = lattice.Row(
            [entry, other], 40, [entire, lattice.Hypothesis(0, 1, entry, 0.0, score=-0.05)]
        )
        row.hypotheses.append(lattice.Hypothesis(1, 2, other, 0.0, score=score))
        matches[score] = lattice.best(row, 800).probability
    assert matches[-0.05] > 0.95
    assert matches[-9.0] < 0.5


def test_the_likeliest_way_through_a_row_wins() -> None:
    """Two good halves win over a poor whole, a good whole over two poor halves, and a speck is left
    out.
    """
    entry = piece(0, 0)
    other = piece(21, 0)
    speck = piece(60, 20, 4, 4)
    row = lattice.Row([entry, other, speck], 40)
    entire = lattice.Hypothesis(0, 2, glyphs.merge([entry, other]), 0.0)
    single = [lattice.Hypothesis(0, 1, entry, 0.0), lattice.Hypothesis(1, 2, other, 0.0)]
    last = lattice.Hypothesis(2, 3, speck, 0.0, score=-6.0)
    row.hypotheses = [entire, *single, last]
    for good, expected in ((True, 2), (False, 1)):
        entire.score = -3.0 if good else -0.1
        for hypothesis in single:
            hypothesis.score = -0.1 if good else -4.0
        path = lattice.best(row, 800)
        assert len(path.chosen) == expected
        assert path.dropped == (speck,)
        assert 0.5 < path.probability <= 1
