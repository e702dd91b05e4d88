"""Arithmetic on planes, against plain definitions."""

import numpy as np
import pytest

from legibly.vision.ink import components, planes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [3, 5, 9, 15, 41])
def test_windows_are_what_their_names_say(size: int) -> None:
    """Running maxima and means equal those taken window by window."""
    plane = RNG.random((30, 43)).astype(np.float32)
    half = size // 2
    edged = np.pad(plane, half, mode="edge")
    lowest = np.pad(plane, half, constant_values=-1)
    places = [(row, column) for row in range(30) for column in range(43)]
    means = [edged[row : row + size, column : column + size].mean() for row, column in places]
    peaks = [lowest[row : row + size, column : column + size].max() for row, column in places]
    assert planes.box(plane, size).ravel() == pytest.approx(np.array(means), abs=1e-5)
    assert (planes.dilate(plane, size).ravel() == np.array(peaks, np.float32)).all()


@pytest.mark.parametrize("by", [0, 1, 7])
def test_borders_are_those_of_numpy(by: int) -> None:
    """Padding with a value and going on as a plane ends give what NumPy's slower function gives."""
    plane = RNG.random((5, 9)).astype(np.float32)
    assert (planes.pad(plane, by, 0.5) == np.pad(plane, by, constant_values=0.5)).all()
    assert (planes.prolong(plane, by) == np.pad(plane, by, mode="edge")).all()


def test_closing_fills_strokes_and_keeps_shadows() -> None:
    """A dark line narrower than the window vanishes; a dark half of the page stays."""
    plane = np.full((60, 60), 200, np.float32)
    plane[:, 30:] = 100
    paper = plane.copy()
    plane[10:50, 8:12] = 20
    assert (planes.close(plane, 9) == paper).all()


def test_otsu_parts_two_levels() -> None:
    """The threshold lies between the two."""
    plane = np.where(RNG.random((50, 50)) < 0.2, 40, 200).astype(np.float32)
    assert 40 < planes.otsu(plane) < 200


def test_noise_is_measured_beside_ink() -> None:
    """The deviation of the paper is found although a tenth of the picture is ink, which adds to one
    side only.
    """
    plane = RNG.normal(0, 0.03, (200, 200)).astype(np.float32)
    plane[:20] += 0.8
    assert planes.noise(plane) == pytest.approx(0.03, rel=0.25)


def _flood(mask: components.Mask) -> list[set[tuple[int, int]]]:
    """Components by flooding, in the order of their first pixel."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    matches = []
    for start in sorted(left):
        if start not in left:
            continue
        part = set()
        edge = [start]
        left.discard(start)
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        matches.append(part)
    return matches


def test_components_are_those_of_flooding() -> None:
    """Number, pixels, boxes and areas of 8-connected components equal those of a flood fill."""
    for _ in range(120):
        mask = RNG.random(tuple(RNG.integers(1, 24, 2))) < RNG.random()
        matches = components.components(mask)
        expected = _flood(mask)
        assert len(matches) == len(expected)
        for number, part in enumerate(expected):
            painted = matches.paint(np.arange(len(matches)) == number)
            assert set(zip(*(axis.tolist() for axis in np.nonzero(painted)), strict=True)) == part
            rows = [row for row, _ in part]
            columns = [column for _, column in part]
            box = (min(columns), min(rows), max(columns) + 1, max(rows) + 1)
            assert matches.box(number) == box
            assert matches.area[number] == len(part)
            own = painted[box[1] : box[3], box[0] : box[2]]
            assert (matches.alone(number) == own).all()


def test_totals_and_peaks_go_by_component() -> None:
    """The sum and the peak of a plane over each component equal those over its mask."""
    mask = RNG.random((30, 40)) < 0.4
    values = RNG.random((30, 40)).astype(np.float32)
    matches = components.components(mask)
    masks = [matches.paint(np.arange(len(matches)) == number) for number in range(len(matches))]
    assert matches.total(values) == pytest.approx(
        [float(values[entry].sum()) for entry in masks], rel=1e-4
    )
    assert matches.peak(values) == pytest.approx([float(values[entry].max()) for entry in masks])


@pytest.mark.parametrize("shape", [(70, 90), (9, 7), (5, 2)])
def test_grain_is_above_lower_limits_only(shape: tuple[int, int]) -> None:
    """A plane is grainier than limits below its grain, and than no others."""
    values = RNG.normal(0.0, 0.1, shape).astype(np.float32)
    grain = planes.grain(values)
    assert planes.is_grainy(values, 0.99 * grain) == (grain > 0.0)
    assert not planes.is_grainy(values, 1.01 * grain)
